"""Tests keep compiled programs between runs, as the command lines do."""

import os

from mdp.interface.compilation import keep_compiled_programs

keep_compiled_programs()
# The workers share the cores: more threads in each would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
