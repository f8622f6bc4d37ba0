"""Stop a command in a test, as Ctrl-C does, once it has kept its first piece."""

import pytest

from mdp.interface.runs import Run


def stop_after_first_piece(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make the next command stop once; return the growing list of kept pieces."""
    keep, kept = Run.keep, []

    def keep_and_stop(run, name, content):
        keep(run, name, content)
        kept.append(name)
        if len(kept) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "keep", keep_and_stop)
    return kept
