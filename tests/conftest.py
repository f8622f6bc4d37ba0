"""Tests keep compiled programs between runs, as the command lines do."""

import os

from policy_gradient.compilation import keep_compiled_programs

keep_compiled_programs()
# The workers share the cores: more threads than that in each would only wait for others.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
