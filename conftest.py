"""Settings of every test run: workers, checks of shapes, order, and stored programs.

The settings are made here, and not as options in setup.cfg, so that an environment
without the test extras can still run tests: each extra is used if it is installed.
"""

import gc
import importlib.util
import os
import sys
from importlib.metadata import version
from typing import Any

import pytest

from mdp.interface import compilation

PACKAGES = ("mdp", "policy_gradient", "lm_bandit")
EXTRAS = {
    "xdist": "tests run in one process",
    "nbmake": "the notebooks are not run",
    "beartype": "shapes and types are not checked",
}
MISSING = {name for name in EXTRAS if importlib.util.find_spec(name) is None}

GATE = "tests/test_exercise_gate.py"
# What takes longest, longest first: it starts first, so that no worker is left alone
# with it at the end.
LONGEST = (
    "notebooks/09",
    "notebooks/01",
    GATE,
    "tests/test_site.py",
    "tests/lm_bandit/real_text",
    "notebooks",
    "tests/test_diagnosis_gate.py",
)


# The workers share the cores, so a program need not be cut into parts for many threads
# to compile, which costs a fifth. Later versions of jax may not know this flag.
WHOLE = (
    "--xla_cpu_parallel_codegen_split_count=1"
    if version("jaxlib").startswith("0.10.")
    else ""
)

# In the environment, so that workers, notebooks and other processes have them too.
compilation.keep_compiled_programs()
# Tests run most programs once: to compile quickly matters more than to run quickly.
# A notebook trains for long, in its own process, and gets some optimisation.
QUICK = [f"{compilation.quick_flags(level)} {WHOLE}".strip() for level in (0, 1)]
os.environ.setdefault("XLA_FLAGS", QUICK[0])
# Sliders are dead in a notebook that is saved.
os.environ.setdefault("STILL_PICTURES", "1")
# Where there is a card, many workers cannot share it, and its digits are others.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# A program in jax's own words names the lines it comes from, which costs a tenth.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# The workers share the cores: more threads in each would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# With all of jax in memory, to look for garbage takes long: a fifth of the tests' time.
gc.set_threshold(20_000, 50, 100)
# Many processes import the same files; to compile each file once saves ten seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if "beartype" not in MISSING:
    from jaxtyping import install_import_hook

    import tests.typechecker  # noqa: F401  the hook looks its name up

    install_import_hook(PACKAGES, "tests.typechecker.checked")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Use one worker per core, and run the notebooks, if the plugins are there."""
    option = config.option
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    has_workers = alone and config.pluginmanager.has_plugin("xdist")
    if has_workers and option.dist == "no":
        option.dist = "loadfile"
        if option.numprocesses is None:
            option.numprocesses = "auto"
    # The order below is the order in which the files start.
    option.loadscopereorder = False
    option.nbmake = True


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker all tests of a file, but of the gate all those of an exercise.

    A file shares what it has compiled. The gate takes longest of all, and each of its
    exercises has programs of its own.
    """
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrExercise(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return f"{file} {test.partition('[')[2]}" if file == GATE else file

    return ByFileOrExercise(config, log) if config.option.dist == "loadfile" else None


def pytest_report_header() -> list[str]:
    """Say what this run leaves out."""
    return [
        f"{name} is not installed: {EXTRAS[name]} (pip install -e '.[test]')"
        for name in sorted(MISSING)
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow; a worker gets all tests of a file, and the longest start."""
    for item in items:
        if item.location[0].endswith(".ipynb") or item.get_closest_marker("gate"):
            item.add_marker("slow")
    slow_files = {i.location[0] for i in items if i.get_closest_marker("slow")}
    items.sort(key=lambda item: _rank(item.location[0], slow_files))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Compile a notebook's programs better than those of the other tests."""
    if os.environ["XLA_FLAGS"] in QUICK:
        os.environ["XLA_FLAGS"] = QUICK[item.location[0].endswith(".ipynb")]


def _rank(file: str, slow_files: set[str]) -> tuple[int, bool]:
    """The place of a file in the order of the run; smaller is earlier."""
    places = [i for i, start in enumerate(LONGEST) if file.startswith(start)]
    return (places or [len(LONGEST)])[0], file not in slow_files
