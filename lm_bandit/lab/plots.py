"""Pictures of the lab's results: a result in, a figure out; nothing is shown or saved.

A line is the mean over the seeds, and its band holds the middle 80% of them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_bandit.lab.bad_annotators import POISON_WORD, BadAnnotatorsResult
from lm_bandit.lab.core_and_prepped import CoreAndPreppedResult
from lm_bandit.lab.flaw import FlawResult
from lm_bandit.lab.overlooked import INSPECTED, WORD, OverlookedResult
from lm_bandit.lab.overoptimisation import OveroptimisationResult
from lm_bandit.lab.scaling_law import ScalingFit, Terms, best_of_n_terms, rlhf_terms
from lm_bandit.lab.tabular import RewardPath
from lm_bandit.lab.too_hard import LENGTHS, TooHardResult
from lm_bandit.lab.who_was_asked import WhoWasAskedResult
from lm_bandit.plots import BLUE, GREEN, GREY, INK, ORANGE

GOLD = "gold reward minus the reference's, points"
DISTANCE = r"$d = \sqrt{\mathrm{KL}(\pi\,||\,\pi_{ref})}$"


def draw_overoptimisation(result: OveroptimisationResult) -> Figure:
    """Draw promised and real reward, what moves the peak, and Gao et al.'s forms."""
    figure, axes = _page(
        "The learned reward climbs; what people want does not",
        "learned reward (promised) and gold reward (real)",
        "what moves the peak",
        "Gao et al.'s forms, fitted",
    )
    first, second, third = axes
    plain, more, most = list(result.paths)[:3]
    path = result.paths[plain]
    promised = path._replace(gold=path.learned * result.gold_deviation)
    _draw_path(first, promised, GREY, "promised")
    control = "unbiased noise\nof the same size"
    _draw_path(first, result.paths["control"], GREEN, control)
    _draw_path(first, path, ORANGE, "real", dy=-8)
    _draw_path(second, path, ORANGE, plain, dy=-8)
    _draw_path(second, result.paths[more], BLUE, more, dy=10, band=False)
    _draw_path(second, result.paths[most], BLUE, most, dy=4)
    _draw_path(second, result.paths["mean of 25"], GREY, "mean of 25", 8, band=False)
    _draw_path(second, result.paths["worst of 25"], GREEN, "worst of 25")
    sampled, fit = result.best_of, result.best_of_fit
    _draw_fit(third, sampled, fit, best_of_n_terms, BLUE, "best of n")
    _draw_fit(third, path, result.frontier_fit, rlhf_terms, ORANGE, "RLHF")
    for each in axes:
        each.axhline(0.0, color=GREY, lw=0.8)
        each.set(xlabel=DISTANCE, xlim=(0.0, None))
    first.set_ylabel(GOLD)
    return figure


def draw_flaw(result: FlawResult) -> Figure:
    """Draw how much the optimum uses each flaw, and its gold reward."""
    titles = [f"{name}: {flaw.unit}" for name, flaw in result.flaws.items()]
    figure, axes = _page("You get what you ask for", *titles, GOLD)
    bonuses, flaws = result.bonuses, result.flaws.items()
    for each, (name, flaw), colour in zip(axes, flaws, (BLUE, ORANGE), strict=False):
        _draw_line(each, bonuses, flaw.use, colour, "optimum")
        each.axhline(flaw.reference, color=GREY, lw=1, ls="--")
        _name_point(each, bonuses[-1], flaw.reference, "reference", GREY)
        _draw_line(axes[2], bonuses, flaw.gold, colour, name)
    for each in axes:
        each.set(xlabel="bonus, deviations", ylim=(0.0, None), xlim=(0.0, bonuses[-1]))
    return figure


def draw_bad_annotators(result: BadAnnotatorsResult) -> Figure:
    """Draw malice and its repair, poison, mistakes and their repair."""
    figure, (first, second, third) = _page(
        "Annotators who lie, poison or err: a dot for each seed",
        "20% malicious: the optimum's gold reward",
        f"2% poisoned: P({POISON_WORD!r}), asked for praise",
        "20% mistaken: KL of the optimum, nats",
    )
    _draw_dots(first, result.gold, (ORANGE, GREEN))
    _draw_dots(second, result.word_share, (GREY, GREEN, ORANGE))
    _draw_dots(third, result.kl, (GREEN, ORANGE, BLUE))
    first.set(ylabel=GOLD, ylim=(0.0, None))
    second.set_yscale("log")
    third.set_ylim(0.0, None)
    return figure


def draw_overlooked(result: OverlookedResult) -> Figure:
    """Draw the ratings of the word, what finds mistakes, and what this one does."""
    figure, (first, second, third) = _page(
        f"Ten people rated {WORD!r}: find the mistake",
        "their ratings",
        f"planted mistakes among the {INSPECTED} largest of 2,660",
        f"P({WORD!r}), asked for praise, by annotators",
    )
    wrong = result.ratings == result.ratings.max()
    for i, value in enumerate(result.ratings):
        first.plot(value, i, "o", color=ORANGE if wrong[i] else BLUE, ms=9)
    of_all, of_nine = result.ratings.mean(), result.ratings[~wrong].mean()
    first.vlines((of_all, of_nine), -1.6, 9.6, colors=(GREY, BLUE), lw=1, ls="--")
    first.text(of_all, -1.0, " mean of all", color=GREY, va="center")
    first.text(of_nine, -1.0, "of nine ", color=BLUE, va="center", ha="right")
    first.set(xlabel="rating", yticks=[], xlim=(-4.4, 4.4), ylim=(-1.6, 9.6))
    names = list(result.planted)[::-1]
    found = [result.planted[name].mean() for name in names]
    second.bar_label(second.barh(names, found, color=BLUE), fmt=" {:.0%}", color=INK)
    second.set(xlim=(0.0, 1.0), xticks=[])
    second.spines["bottom"].set_visible(False)
    _draw_dots(third, result.share, (GREY, GREEN, ORANGE))
    third.set_yscale("log")
    return figure


def draw_too_hard(result: TooHardResult) -> Figure:
    """Draw answers, reward models and policies by the words in a completion."""
    figure, axes = _page(
        "Tasks too hard to judge: noise grows with length",
        "right answers",
        "rank correlation of learned and gold",
        "the optimum's gold reward, points",
    )
    looks = {
        "careful": (GREY, 6),
        "tired": (ORANGE, 0),
        "careful, shared": (GREY, 6),
        "tired, shared": (GREEN, -6),
        "tired, separate": (ORANGE, 0),
    }
    measures = result.accuracy, result.rank_correlation, result.gold
    for each, cases in zip(axes, measures, strict=True):
        for name in (name for name in looks if name in cases):
            colour, dy = looks[name]
            _draw_line(each, np.array(LENGTHS, float), cases[name], colour, name, dy)
        each.set(xlabel="words in a completion", xticks=LENGTHS)
    return figure


def draw_who_was_asked(result: WhoWasAskedResult) -> Figure:
    """Draw what each group gets, and what the answers show of it."""
    title = "Two groups disagree: whom does the policy serve?"
    figure, axes = _page(title, GOLD, "answers that the model agrees with")
    first, second = axes
    percent = 100 * result.shares
    first.axhline(0.0, color=GREY, lw=0.8)
    _draw_line(first, percent, result.first, BLUE, "first group")
    _draw_line(first, percent, result.second, ORANGE, "second")
    _draw_line(second, percent, result.agreement, GREY)
    second.set_ylim(0.5, 1.0)
    for each in axes:
        each.set(xlabel="share of the second group among annotators, %", xlim=(0, 100))
    return figure


def draw_core_and_prepped(result: CoreAndPreppedResult) -> Figure:
    """Draw what the gold reward costs: the language, words, completions."""
    figure, axes = _page(
        "Core LLM, prepped LLM: the price of reward",
        "cross-entropy of the language, nats a token",
        "first words (as many equally likely ones)",
        "distinct completions of a hundred",
    )
    others = (("core", result.core, BLUE), ("SFT", result.sft, GREEN))
    for each, name in zip(axes, ("surprise", "words", "distinct"), strict=True):
        gold, y = result.optima.gold.mean(0), getattr(result.optima, name)
        _draw_line(each, gold, y, ORANGE, "optimum,\nleast beta")
        for label, policy, colour in others:
            at = float(policy.gold), float(getattr(policy, name))
            each.plot(*at, "o", color=colour, ms=9)
            _name_point(each, *at, label, colour, dy=10)
        each.margins(y=0.12)
        each.set(xlabel=GOLD, ylim=(0.0, None))
    return figure


def _draw_dots(
    axes: Axes, columns: Mapping[str, Float[np.ndarray, "S"]], colours: Sequence[str]
) -> None:
    """Draw a column of dots for each name, and a line at its mean."""
    for i, (numbers, colour) in enumerate(zip(columns.values(), colours, strict=True)):
        aside = i + 0.24 * np.linspace(-1.0, 1.0, len(numbers))
        axes.plot(aside, numbers, "o", color=colour, ms=6, alpha=0.6, mew=0)
        axes.hlines(numbers.mean(), i - 0.3, i + 0.3, color=colour, lw=2)
        _name_point(axes, i + 0.3, numbers.mean(), f"{numbers.mean():.2g}", colour)
    axes.set_xticks(range(len(columns)), list(columns))
    axes.set_xlim(-0.6, len(columns) - 0.3)


def _draw_path(
    axes: Axes, path: RewardPath, colour: str, name: str, dy: int = 0, band: bool = True
) -> None:
    """Draw the gold reward over d, with its name at the end."""
    _draw_line(axes, np.sqrt(path.kl).mean(0), path.gold, colour, name, dy, band)


def _draw_fit(
    axes: Axes, path: RewardPath, fit: ScalingFit, terms: Terms, colour: str, name: str
) -> None:
    """Draw the points of all seeds, and the fitted form through them."""
    d = np.sqrt(path.kl)
    axes.plot(d.ravel(), path.gold.ravel(), ".", color=colour, ms=3, alpha=0.3)
    along = np.linspace(0.0, d.max(), 200)
    curve = terms(along) @ np.array([fit.alpha.value, fit.beta.value])
    _draw_line(axes, along, curve[None], colour, name)


def _draw_line(
    axes: Axes,
    x: Float[np.ndarray, "n"],
    y: Float[np.ndarray, "S n"],
    colour: str,
    name: str = "",
    dy: int = 0,
    band: bool = True,
) -> None:
    """Draw the mean over the seeds, a band from the 10% to the 90% quantile, a name."""
    axes.plot(x, y.mean(0), color=colour, lw=2)
    if band:
        low, high = np.quantile(y, [0.1, 0.9], axis=0)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    _name_point(axes, x[-1], y[:, -1].mean(), name, colour, dy)


def _name_point(
    axes: Axes, x: float, y: float, name: str, colour: str, dy: int = 0
) -> None:
    """Write a name to the right of a point, such as the end of a line."""
    axes.annotate(
        name,
        (x, y),
        (6, dy),
        textcoords="offset points",
        color=colour,
        va="center",
        annotation_clip=False,
    )


def _page(title: str, *panels: str) -> tuple[Figure, list[Axes]]:
    """Return a row of plain axes with these titles, under one title."""
    figure = Figure(figsize=(4.6 * len(panels), 4.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=14)
    axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
    for each, panel in zip(axes, panels, strict=True):
        each.set_title(panel)
        each.spines[["top", "right"]].set_visible(False)
        each.spines[["left", "bottom"]].set_color(GREY)
        each.tick_params(colors=INK)
        each.title.set(color=INK, fontsize=11)
    return figure, axes
