"""Pictures of the lab: what was found in, a figure out; nothing is shown or saved here.

A line is the mean over the seeds and the band the middle 80% of them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_bandit.lab import bad_annotators as crowds
from lm_bandit.lab import core_and_prepped as prepared
from lm_bandit.lab import flaw as flaws
from lm_bandit.lab import gao
from lm_bandit.lab import overlooked as oversights
from lm_bandit.lab import overoptimisation as overoptimised
from lm_bandit.lab import too_hard as hard
from lm_bandit.lab import who_was_asked as asked
from lm_bandit.lab.opinions import Path
from lm_bandit.plots import BLUE, GREEN, GREY, INK, ORANGE

GOLD = "gold reward over the reference's, points"
DISTANCE = r"$d = \sqrt{\mathrm{KL}(\pi\,||\,\pi_{ref})}$"


def overoptimisation(found: overoptimised.Found) -> Figure:
    """What was promised, and kept; what moves the peak; Gao et al.'s forms."""
    figure, axes = _page(3, "The learned reward climbs; what people wanted does not")
    plain, *more = list(found.paths)[:3]
    path, control = found.paths[plain], found.paths["control"]
    first, second, third = axes
    first.set_title("promised, and kept")
    promised = Path(path.kl, path.learned, path.learned * found.gold_deviation)
    _gold(first, promised, GREY, "promised")
    _gold(first, control, GREEN, "unbiased noise\nof the same size")
    _gold(first, path, ORANGE, "kept", dy=-8)
    second.set_title("what moves the peak")
    _gold(second, path, ORANGE, plain, dy=-8)
    _gold(second, found.paths[more[0]], BLUE, more[0], dy=10, band=False)
    _gold(second, found.paths[more[1]], BLUE, more[1], dy=4)
    _gold(second, found.paths["mean of 25"], GREY, "mean of 25", dy=8, band=False)
    _gold(second, found.paths["worst of 25"], GREEN, "worst of 25")
    third.set_title("Gao et al.'s forms, fitted")
    for each, colour, terms, fitted, name in (
        (found.best_of, BLUE, gao.best_of_terms, found.best_of_fit, "best of n"),
        (path, ORANGE, gao.frontier_terms, found.frontier_fit, "RLHF"),
    ):
        d = np.sqrt(each.kl)
        third.plot(d.ravel(), each.gold.ravel(), ".", color=colour, ms=3, alpha=0.3)
        along = np.linspace(0.0, d.max(), 200)
        R = gao.curve(fitted, terms, along)
        third.plot(along, R, color=colour, lw=2)
        _name(third, along[-1], R[-1], name, colour)
    for each in axes:
        each.axhline(0.0, color=GREY, lw=0.8)
        each.set(xlabel=DISTANCE, xlim=(0.0, None))
    first.set_ylabel(GOLD)
    return figure


def flaw(found: flaws.Found) -> Figure:
    """How much of each flaw the optimum has, and what people get for it."""
    figure, axes = _page(3, "You get what you ask for")
    for each, (name, flaw), colour in zip(
        axes, found.flaws.items(), (BLUE, ORANGE), strict=False
    ):
        each.set_title(f"{name}: {flaw.unit}")
        _line(each, found.bonuses, flaw.use, colour)
        _name(each, found.bonuses[-1], flaw.use[:, -1].mean(), "optimum", colour)
        each.axhline(flaw.reference, color=GREY, lw=1, ls="--")
        _name(each, found.bonuses[-1], flaw.reference, "reference", GREY)
        _line(axes[2], found.bonuses, flaw.gold, colour)
        _name(axes[2], found.bonuses[-1], flaw.gold[:, -1].mean(), name, colour)
    axes[2].set_title(GOLD)
    for each in axes:
        each.set(xlabel="bonus, deviations of the reference", ylim=(0.0, None))
        each.set_xlim(0.0, found.bonuses[-1])
    return figure


def bad_annotators(found: crowds.Found) -> Figure:
    """Malice and its repair; poison; mistakes and their repair."""
    figure, axes = _page(3, "Annotators who lie, poison and err: a dot for each seed")
    first, second, third = axes
    first.set_title("20% malicious: the optimum's gold reward")
    _dots(first, found.gold, (ORANGE, GREEN))
    first.set_ylabel(GOLD)
    second.set_title(f"2% poisoned: P({crowds.MAGIC_WORD!r}), asked for praise")
    _dots(second, found.word_share, (GREY, GREEN, ORANGE))
    second.set_yscale("log")
    third.set_title("20% mistaken: KL of the optimum, nats")
    _dots(third, found.kl, (GREEN, ORANGE, BLUE))
    for each in (first, third):
        each.set_ylim(0.0, None)
    return figure


def overlooked(found: oversights.Found) -> Figure:
    """The ratings of the word, what finds such mistakes, and what one does."""
    figure, axes = _page(3, f"Ten people rated {oversights.WORD!r}: find the mistake")
    first, second, third = axes
    first.set_title("their ratings")
    wrong = found.ratings == found.ratings.max()
    for i, value in enumerate(found.ratings):
        first.plot(value, i, "o", color=ORANGE if wrong[i] else BLUE, ms=9)
    means = found.ratings.mean(), found.ratings[~wrong].mean()
    first.vlines(means, -1.6, 9.6, colors=(GREY, BLUE), lw=1, ls="--")
    first.text(means[0], -1.0, " mean of all", color=GREY, va="center")
    first.text(means[1], -1.0, "of nine ", color=BLUE, va="center", ha="right")
    first.set(xlabel="rating", yticks=[], xlim=(-4.4, 4.4), ylim=(-1.6, 9.6))
    second.set_title(f"planted mistakes among the {oversights.FOUND} largest of 2,660")
    names = list(found.planted)[::-1]
    bars = second.barh(
        names, [found.planted[name].mean() for name in names], color=BLUE
    )
    second.bar_label(bars, fmt=" {:.0%}", color=INK)
    second.set(xlim=(0.0, 1.0), xticks=[])
    second.spines["bottom"].set_visible(False)
    third.set_title(f"P({oversights.WORD!r}), asked for praise, by who was asked")
    _dots(third, found.share, (GREY, GREEN, ORANGE))
    third.set_yscale("log")
    return figure


def too_hard(found: hard.Found) -> Figure:
    """Answers, reward models and policies, over the words of a completion."""
    figure, axes = _page(3, "Tasks too hard to judge: noise grows with length")
    words = np.arange(1, found.gold["tired, shared"].shape[1] + 1)
    titles = (
        "answers that are right",
        "order known to the model",
        "the optimum's gold reward, points",
    )
    shown = (
        {"careful": GREY, "tired": ORANGE},
        *2
        * (
            {
                "careful, shared": GREY,
                "tired, shared": GREEN,
                "tired, separate": ORANGE,
            },
        ),
    )
    numbers = found.right, found.known, found.gold
    for each, title, of, colours in zip(axes, titles, numbers, shown, strict=True):
        each.set_title(title)
        for name, colour in colours.items():
            _line(each, words, of[name], colour)
            dy = {GREY: 6, GREEN: -6}.get(colour, 0)
            _name(each, words[-1], of[name][:, -1].mean(), name, colour, dy)
        each.set(xlabel="words in a completion", xticks=words)
    return figure


def who_was_asked(found: asked.Found) -> Figure:
    """What each group gets, and what the answers let one see of it."""
    figure, axes = _page(2, "Two groups disagree: whom does the policy serve?")
    first, second = axes
    first.set_title(GOLD)
    first.axhline(0.0, color=GREY, lw=0.8)
    percent = 100 * found.shares
    groups = {"first group": (found.first, BLUE), "second": (found.second, ORANGE)}
    for name, (gold, colour) in groups.items():
        _line(first, percent, gold, colour)
        _name(first, percent[-1], gold[:, -1].mean(), name, colour)
    second.set_title("answers that the model agrees with")
    _line(second, percent, found.agreement, GREY)
    second.set_ylim(0.5, 1.0)
    for each in axes:
        each.set(xlabel="share of the second group among those asked, %", xlim=(0, 100))
    return figure


def core_and_prepped(found: prepared.Found) -> Figure:
    """What is paid for the gold reward: the language, words, completions."""
    figure, axes = _page(3, "Core LLM, prepped LLM: what reward is paid for with")
    titles = {
        "surprise": "surprise at the language, nats a token",
        "words": "first words (as many equally likely ones)",
        "distinct": "distinct completions of a hundred",
    }
    for each, (name, title) in zip(axes, titles.items(), strict=True):
        each.set_title(title)
        x, y = found.optima.gold.mean(0), getattr(found.optima, name)
        _line(each, x, y, ORANGE)
        _name(each, x[-1], y[:, -1].mean(), "optimum,\nleast beta", ORANGE)
        places = {"core": (found.core, BLUE), "SFT": (found.sft, GREEN)}
        for label, (policy, colour) in places.items():
            at = policy.gold, getattr(policy, name)
            each.plot(*at, "o", color=colour, ms=9)
            _name(each, *at, label, colour, dy=10)
        each.margins(y=0.12)
        each.set(xlabel=GOLD, ylim=(0.0, None))
    return figure


def _dots(axes: Axes, columns: dict[str, np.ndarray], colours: Sequence[str]) -> None:
    """A column of dots for each name, and a line at its mean."""
    for i, (numbers, colour) in enumerate(zip(columns.values(), colours, strict=True)):
        aside = i + 0.24 * np.linspace(-1.0, 1.0, len(numbers))
        axes.plot(aside, numbers, "o", color=colour, ms=6, alpha=0.6, mew=0)
        axes.hlines(numbers.mean(), i - 0.3, i + 0.3, color=colour, lw=2)
        _name(axes, i + 0.3, numbers.mean(), f"{numbers.mean():.2g}", colour)
    axes.set_xticks(range(len(columns)), list(columns))
    axes.set_xlim(-0.6, len(columns) - 0.3)


def _gold(
    axes: Axes, path: Path, colour: str, name: str, dy: float = 0.0, band: bool = True
) -> None:
    """The gold reward over d, with its name at the end."""
    d, gold = np.sqrt(path.kl).mean(0), path.gold
    _line(axes, d, gold, colour, band)
    _name(axes, d[-1], gold[:, -1].mean(), name, colour, dy)


def _line(
    axes: Axes,
    x: Float[np.ndarray, "n"],
    y: Float[np.ndarray, "S n"],
    colour: str,
    band: bool = True,
) -> None:
    """The mean, and where most of the seeds are."""
    axes.plot(x, y.mean(0), color=colour, lw=2)
    if band:
        low, high = np.quantile(y, [0.1, 0.9], axis=0)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)


def _name(axes, x, y, name, colour, dy=0.0):
    """To the right of the end of a line."""
    place = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
    axes.annotate(name, (x, y), (6, dy), color=colour, **place)


def _page(columns: int, title: str) -> tuple[Figure, Sequence[Axes]]:
    """A row of plain axes under a title."""
    figure = Figure(figsize=(4.6 * columns, 4.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=14)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.spines[["left", "bottom"]].set_color(GREY)
        each.tick_params(colors=INK)
        each.title.set(color=INK, fontsize=11)
    return figure, axes
