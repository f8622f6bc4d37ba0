"""The command line: python -m policy_gradient compare | algorithms.

It reads the command and calls the library. A command imports what it needs when it
runs, so that `--help` and a mistake do not wait for jax.
"""

from mdp.interface import stopping

if __name__ == "__main__":
    stopping.watch()  # first: the imports of a command take a second

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import OmitArgPrefixes

from mdp.interface.command_line import Terminal, run
from mdp.interface.compilation import (
    fix_threads,
    keep_compiled_programs,
    prepare_card,
)
from mdp.interface.tables import explained_table
from mdp.interface.workers import WorkersConfig
from policy_gradient.config import ALGORITHMS, REFERENCE, ComparisonConfig


@dataclass(frozen=True)
class Compare(ComparisonConfig):
    """Compare algorithms: equal budgets, many seeds, judged by exact performance."""

    # The processes or the cluster that share the runs.
    share: Annotated[WorkersConfig, OmitArgPrefixes] = field(
        default_factory=WorkersConfig
    )

    @staticmethod
    def names() -> dict[str, Iterable[str]]:
        """Return the names that the flags take, for the help."""
        from mdp.worlds import WORLDS

        numbers = {
            name: None
            for config in ALGORITHMS.values()
            for name, x in vars(config).items()
            if isinstance(x, float)
        }
        algorithms = (*ALGORITHMS, REFERENCE)
        return {"--worlds": WORLDS, "--algorithms": algorithms, "--sweep": numbers}

    def run(self) -> None:
        """Train, judge, show and write."""
        from policy_gradient.comparison.command import run_comparison

        run_comparison(self, self.share, Terminal())


@dataclass(frozen=True)
class Algorithms:
    """List the algorithms, and the numbers of each that --sweep can vary."""

    def run(self) -> None:
        """Print one line for each algorithm."""
        rows = []
        for name, config in ALGORITHMS.items():
            numbers = vars(config).items()
            floats = [f"{n}={x:g}" for n, x in numbers if isinstance(x, float)]
            rows.append((name, ", ".join(floats)))
        optimum = "takes no steps: the optimum that all others are compared with"
        rows.append((REFERENCE, optimum))
        columns = {
            "algorithm": "",
            "numbers": "fields of its config that compare --sweep can vary, such as "
            "--sweep step_size=0.01,0.1",
        }
        Terminal().print(explained_table("", columns, rows, texts=("numbers",)))


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 2 after one line about a mistake."""
    keep_compiled_programs()
    fix_threads()
    prepare_card()
    return run(
        Compare | Algorithms, args, "python -m policy_gradient", "Policy gradients."
    )


if __name__ == "__main__":
    raise SystemExit(main())
