"""The command `python -m lm_bandit examine`: what a loss maximises, in one sentence.

    python -m lm_bandit examine                   the losses that it knows
    python -m lm_bandit examine grpo              one of them
    python -m lm_bandit examine mine.py:my_loss   one of your own

NAME.json   all numbers         NAME.png   the field of arrows on a triangle
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from mdp.checks import CheckedConfig
from mdp.interface.configs import require_positive

ALL = "all"
# A Jacobian that is less antisymmetric is symmetric, up to the error of differences:
# about 1e-5 for a loss in numpy, which is differentiated twice in this way.
TURNS = 1e-4


@dataclass(frozen=True)
class ExamineCommand(CheckedConfig):
    """Compute exactly what a loss of RLHF maximises, on a bandit of 15 completions.

        python -m lm_bandit examine                   the losses that it knows
        python -m lm_bandit examine grpo              one of them; all: every one
        python -m lm_bandit examine mine.py:my_loss   one of your own

    A loss of your own is a function of one group of completions, written in jax, torch
    or numpy: my_loss(log_probs, old_log_probs, reference_log_probs, mask, rewards),
    where the first four have the shape [G, T] and rewards [G]; it returns the number to
    minimise.
    """

    # The loss; without a name the known ones are listed.
    name: Positional[Annotated[str, arg(metavar="[LOSS]")]] = ""
    # Completions in a group, 2 to 4; time grows like 15 to this power.
    group: int = 3
    # beta of the known losses, and of J = E[r] - beta KL(pi || pi_ref), which each
    # loss is compared with.
    kl_weight: float = 0.1
    # Folder for NAME.json and NAME.png; without it nothing is written.
    out: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "kl_weight")
        if not 2 <= self.group <= 4:
            raise ValueError(f"group must be 2, 3 or 4, got {self.group}")

    def run(self) -> None:
        """List the known losses, or examine one and show the answers."""
        import jax

        with jax.enable_x64(True):
            _run(self)


def _run(command: ExamineCommand) -> None:
    """Do what the command says."""
    from lm_bandit.losses import expected, own_loss
    from lm_bandit.losses.known import KNOWN
    from mdp.interface.command_line import Terminal, name_files
    from mdp.interface.files import Content, json_text, png_bytes, write_files

    console = Terminal()
    if not command.name:
        console.print(_list(KNOWN))
        return
    if command.name in (ALL, *KNOWN):
        names = KNOWN if command.name == ALL else (command.name,)
        chosen = {
            name: KNOWN[name].update(command.group, command.kl_weight) for name in names
        }
    elif ":" in command.name:
        chosen = dict([own_loss.own_update(command.name, command.group)])
    else:
        raise ValueError(
            f"LOSS must be one of {', '.join(KNOWN)}, or file.py:function, "
            f"got {command.name}"
        )
    for name, update in chosen.items():
        found = expected.examine_loss(update, command.kl_weight)
        console.print(_answers(name, found), "")
        if command.out:
            from lm_bandit.losses import plots

            figure = plots.loss_figure(update, command.kl_weight, verdict(name, found))
            report = report_of(name, found, command)
            files: dict[str, Content] = {
                f"{name}.json": json_text(report),
                f"{name}.png": png_bytes(figure),
            }
            name_files(console, write_files(command.out, files))


def verdict(name: str, found: Any) -> str:
    """Return one sentence: what a loss climbs, and what is wrong with that."""
    turns = found.curl > TURNS
    if not found.terms and found.unexplained == 0.0:
        return f"{name} does not move the policy: its expected update is 0."
    if not found.is_exact:
        what = (
            f"is the gradient of nothing: it turns by {found.curl:.2g}"
            if turns
            else "is a gradient, but not of the known terms"
        )
        near = (
            f"{formula(found.terms)} leaves {found.unexplained:.1%} of it unexplained"
        )
        return f"{name} {what}; the nearest sum, {near}."
    said = f"{name} ascends {formula(found.terms)}"
    if comment := _comment(found.terms):
        said += f": {comment}"
    if turns:
        said += f"; it is the gradient of nothing, and turns by {found.curl:.2g}"
    return said + "."


def formula(terms: dict[str, float]) -> str:
    """Return a sum of terms as text, such as E[r] - 0.1 KL(pi || ref)."""
    scale = abs(terms.get("E[r]", 1.0))
    text = ""
    for name, weight in sorted(terms.items(), key=lambda term: -abs(term[1])):
        size = f"{abs(weight) / scale:.3g}"
        sign = (
            ("-" if weight < 0 else "") if not text else " - " if weight < 0 else " + "
        )
        text += sign + (name if size == "1" else f"{size} {name}")
    if abs(scale - 1) < 1e-6:
        return text
    return f"{scale:.3g} {text}" if len(terms) == 1 else f"{scale:.3g} ({text})"


def _comment(terms: dict[str, float]) -> str:
    """Return what the terms of the leash mean, or an empty string."""
    pulls = {name: weight for name, weight in terms.items() if "KL" in name}
    back = sum(weight for name, weight in pulls.items() if name.startswith("KL(ref"))
    still = any("still" in name for name in pulls)
    if not any("KL" in name or "k2" in name for name in terms):
        return "nothing holds the policy near the reference" if "E[r]" in terms else ""
    if len(pulls) == 2 and back > 0:
        said = "two divergences that cancel near the reference"
    elif any("k2" in name for name in terms):
        said = "k2 is charged, but it is not differentiated where it depends on pi"
    elif back < 0:
        said = "the divergence is the other way round"
    else:
        said = "that is J, with the right divergence" if not still else "nearly J"
    if still:
        said += ", but no token pays for where it leads to"
    return said


def report_of(name: str, found: Any, command: ExamineCommand) -> dict[str, Any]:
    """Return everything about a loss as plain values."""
    from lm_bandit.losses.tiny import FIFTEEN

    end = found.end
    return {
        "loss": name,
        "verdict": verdict(name, found),
        "group": command.group,
        "kl_weight": command.kl_weight,
        **found._replace(cosines=list(map(float, found.cosines)))._asdict(),
        "end": {
            **end._asdict(),
            "share": end.share,
            "policy": dict(zip(FIFTEEN.names, map(float, end.policy), strict=True)),
        },
    }


def _answers(name: str, found: Any) -> Any:
    """Return the verdict and a table of its numbers."""
    from rich.console import Group
    from rich.text import Text

    from lm_bandit.losses.expected import DISTANCES
    from mdp.interface.tables import explained_table

    leash = ", ".join(f"{strength:.2g}" for strength in found.leash)
    near = ", ".join(f"{distance:g}" for distance in DISTANCES)
    rows: Sequence[tuple[str, str]] = (
        ("share of the update that no sum explains", f"{found.unexplained:.2g}"),
        ("curl: 0 for a gradient, at most 1", f"{found.curl:.2g}"),
        ("cosine to grad J, at the worst of 6 points", f"{found.cosines.min():.3f}"),
        ("groups for a standard error of a tenth", f"{found.groups_needed:.0f}"),
        (f"leash at {near} from pi_ref; right: 1", leash),
        ("share of the way to J* at its end", _end(found.end)),
    )
    table = explained_table("", {"exactly": "", "number": ""}, rows, texts=("number",))
    return Group(Text(verdict(name, found)), table)


def _end(end: Any) -> str:
    """Return where following the update ends, as text."""
    if end.at_rest:
        return f"{end.share:.1%}, at rest"
    from lm_bandit.losses.tiny import FIFTEEN

    likeliest = FIFTEEN.names[int(end.policy.argmax())]
    if end.policy.max() > 0.99:
        return f"{end.share:.1%}, all on one completion, {likeliest!r}"
    return f"{end.share:.1%}, still moving"


def _list(variants: dict[str, Any]) -> Any:
    """Return a table of the known losses."""
    from mdp.interface.tables import explained_table

    rows = [(name, each.why) for name, each in variants.items()]
    return explained_table(
        "Known losses; examine NAME says what one of them maximises",
        {"loss": "", "why": ""},
        rows,
        texts=("why",),
    )
