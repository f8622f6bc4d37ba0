"""Tests keep compiled programs between runs, as the command lines do."""

from policy_gradient.compilation import keep_compiled_programs

keep_compiled_programs()
