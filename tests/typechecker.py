"""Types are checked at run time; as in static checkers, a float may be an int."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
