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
from lm_bandit.plots import few_ticks, name_ends, name_points
from mdp.looks import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, dots, look

GOLD = "gold reward minus the reference's, points"
FEW = 12  # points on a line: it has markers

Ends = dict[str, tuple[float, float]]  # where each line ends, by its name

DISTANCE = r"$d = \sqrt{\mathrm{KL}(\pi\,||\,\pi_{ref})}$"


def draw_overoptimisation(result: OveroptimisationResult) -> Figure:
    """Draw promised and real reward, what moves the peak, and Gao et al.'s forms."""
    figure, axes = _page(
        "The learned reward climbs; what the raters want does not",
        ("learned (promised) and gold (real)", "reward minus the reference's, points"),
        ("what moves the peak", GOLD),
        ("Gao et al.'s forms, fitted", GOLD),
    )
    first, second, third = axes
    plain, more, most = list(result.paths)[:3]
    path = result.paths[plain]
    promised = path._replace(gold=path.learned * result.gold_deviation)
    control = result.paths["control"]
    noise = "unbiased noise\nof the same size"
    of_first = _draw_path(first, promised, GREY, "promised")
    of_first |= _draw_path(first, control, GREEN, noise)
    of_first |= _draw_path(first, path, ORANGE, "real")
    of_second = _draw_path(second, path, ORANGE, plain)
    of_second |= _draw_path(second, result.paths[more], BLUE, more, band=False)
    of_second |= _draw_path(second, result.paths[most], PURPLE, most)
    for name, colour in (("mean of 25", GREY), ("worst of 25", GREEN)):
        of_second |= _draw_path(second, result.paths[name], colour, name, band=False)
    sampled, best_fit, fit = result.best_of, result.best_of_fit, result.frontier_fit
    of_third = _draw_fit(third, sampled, best_fit, best_of_n_terms, BLUE, "best of n")
    of_third |= _draw_fit(third, path, fit, rlhf_terms, ORANGE, "RLHF")
    for each, ends in zip(axes, (of_first, of_second, of_third), strict=True):
        each.axhline(0.0, color=INK, lw=0.8)
        each.set(xlabel=DISTANCE, xlim=(0.0, None))
        name_ends(each, ends)
    return figure


def draw_flaw(result: FlawResult) -> Figure:
    """Draw how much the optimum uses each flaw, and its gold reward."""
    flaws = result.flaws.items()
    panels = [(name, flaw.unit) for name, flaw in flaws]
    figure, axes = _page("You get what you ask for", *panels, ("gold reward", GOLD))
    bonuses, gold = result.bonuses, axes[-1]
    of_gold: Ends = {}
    named = [(gold, of_gold)]
    for each, (name, flaw), colour in zip(axes, flaws, (BLUE, ORANGE), strict=False):
        each.axhline(flaw.reference, color=INK, lw=1.2, ls=":")
        ends = _draw_line(each, bonuses, flaw.use, colour, "optimum")
        named.append((each, {**ends, "reference": (bonuses[-1], flaw.reference)}))
        of_gold |= _draw_line(gold, bonuses, flaw.gold, colour, name)
    for each, ends in named:
        each.set(xlabel="bonus, deviations", ylim=(0.0, None), xlim=(0.0, bonuses[-1]))
        name_ends(each, ends)
    return figure


def draw_bad_annotators(result: BadAnnotatorsResult) -> Figure:
    """Draw malice and its repair, poison, mistakes and their repair."""
    figure, (first, second, third) = _page(
        "Annotators who lie, poison or err: a dot for each seed",
        ("20% malicious: the optimum", GOLD),
        ("2% poisoned", f"P({POISON_WORD!r}), asked for praise"),
        ("20% mistaken", "KL of the optimum, nats"),
    )
    _draw_dots(first, result.gold, (ORANGE, GREEN))
    _draw_dots(second, result.word_share, (GREY, GREEN, ORANGE), log=True)
    _draw_dots(third, result.kl, (GREEN, ORANGE, BLUE))
    first.set_xlabel("how the reward was learned")
    second.set_xlabel("answers that the reward was learned from")
    third.set_xlabel("answers, and beta if it was changed")
    return figure


def draw_overlooked(result: OverlookedResult) -> Figure:
    """Draw the ratings of the word, what finds mistakes, and what this one does."""
    figure, (first, second, third) = _page(
        f"Ten people rated {WORD!r}: find the mistake",
        ("their ratings", "rater"),
        (f"planted mistakes among the {INSPECTED} largest of 2,660", "sorted by"),
        ("what this mistake does", f"P({WORD!r}), asked for praise"),
    )
    wrong = result.ratings == result.ratings.max()
    rater = np.arange(1, 1 + len(wrong))
    first.plot(result.ratings[~wrong], rater[~wrong], **dots(BLUE) | {"ms": 9})
    first.plot(result.ratings[wrong], rater[wrong], **dots(ORANGE) | {"ms": 9})
    of_all, of_nine = result.ratings.mean(), result.ratings[~wrong].mean()
    first.vlines((of_all, of_nine), -0.8, 10.6, colors=INK, lw=1.2, ls=":", zorder=0)
    first.text(of_all, 0.0, " mean of all", color=INK, va="center")
    first.text(of_nine, 0.0, "of nine ", color=INK, va="center", ha="right")
    first.set(xlabel="rating", yticks=rater, xlim=(-4.6, 4.6), ylim=(-0.8, 10.6))
    names = list(result.planted)[::-1]
    found = [result.planted[name].mean() for name in names]
    second.bar_label(second.barh(names, found, color=BLUE), fmt=" {:.0%}", color=INK)
    second.set(xlim=(0.0, 1.0), xlabel="share of them found")
    second.xaxis.set_major_formatter("{x:.0%}")
    _draw_dots(third, result.share, (GREY, GREEN, ORANGE), log=True)
    third.set_xlabel("ratings that the reward was learned from")
    return figure


def draw_too_hard(result: TooHardResult) -> Figure:
    """Draw answers, reward models and policies by the words in a completion."""
    figure, axes = _page(
        "Tasks too hard to judge: noise grows with length",
        ("answers", "share of right answers"),
        ("reward models", "rank correlation of learned and gold"),
        ("policies", "the optimum's gold reward, points"),
    )
    looks = {
        "careful": GREY,
        "tired": ORANGE,
        "careful, shared": GREY,
        "tired, shared": GREEN,
        "tired, separate": ORANGE,
    }
    measures = result.accuracy, result.rank_correlation, result.gold
    for each, cases in zip(axes, measures, strict=True):
        each.set(xlabel="words in a completion", xticks=LENGTHS)
        ends: Ends = {}
        for name in (name for name in looks if name in cases):
            lengths = np.array(LENGTHS, float)
            ends |= _draw_line(each, lengths, cases[name], looks[name], name)
        name_ends(each, ends)
    return figure


def draw_who_was_asked(result: WhoWasAskedResult) -> Figure:
    """Draw what each group gets, and what the answers show of it."""
    figure, (first, second) = _page(
        "Two groups disagree: whom does the policy serve?",
        ("what each group gets", GOLD),
        ("what the answers show of it", "share that the model agrees with"),
    )
    percent = 100 * result.shares
    for each in (first, second):
        each.set(xlabel="share of the second group among annotators, %", xlim=(0, 100))
    first.axhline(0.0, color=INK, lw=0.8)
    ends = _draw_line(first, percent, result.first, BLUE, "first group")
    name_ends(first, ends | _draw_line(first, percent, result.second, ORANGE, "second"))
    _draw_line(second, percent, result.agreement, GREEN)
    second.set_ylim(0.5, 1.0)
    return figure


def draw_core_and_prepped(result: CoreAndPreppedResult) -> Figure:
    """Draw what the gold reward costs: the language, words, completions."""
    figure, axes = _page(
        "Core LLM, prepped LLM: the price of reward",
        ("the language is forgotten", "cross-entropy of the language, nats a token"),
        ("words are lost", "first words (as many equally likely ones)"),
        ("answers repeat", "distinct completions of a hundred"),
    )
    others = (("core", result.core, BLUE), ("SFT", result.sft, GREEN))
    for each, name in zip(axes, ("surprise", "words", "distinct"), strict=True):
        gold, y = result.optima.gold.mean(0), getattr(result.optima, name)
        golds = [float(policy.gold) for _, policy, _ in others]
        heights = [float(getattr(policy, name)) for _, policy, _ in others]
        for at, height, (_, _, colour) in zip(golds, heights, others, strict=True):
            each.plot(at, height, **dots(colour) | {"ms": 9, "zorder": 3})
        ends = _draw_line(each, gold, y, ORANGE, "optimum,\nleast beta")
        each.margins(y=0.12)
        each.set(xlabel=GOLD, ylim=(0.0, None))
        name_ends(each, ends)
        name_points(each, [label for label, _, _ in others], golds, heights)
    return figure


def _draw_dots(
    axes: Axes,
    columns: Mapping[str, Float[np.ndarray, "S"]],
    colours: Sequence[str],
    log: bool = False,
) -> None:
    """Draw a column of dots for each name, a line at its mean, and the mean above."""
    if log:
        axes.set_yscale("log")
    for i, (numbers, colour) in enumerate(zip(columns.values(), colours, strict=True)):
        aside = i + 0.24 * np.linspace(-1.0, 1.0, len(numbers))
        axes.plot(aside, numbers, **dots(colour))
        axes.hlines(numbers.mean(), i - 0.35, i + 0.35, color=colour, lw=2, zorder=1)
        above, text = (i, numbers.max()), f"{numbers.mean():.2g}"
        axes.annotate(
            text, above, (0, 8), textcoords="offset points", ha="center", color=INK
        )
    names = [name.replace(", ", ",\n") for name in columns]
    axes.set_xticks(range(len(columns)), names)
    axes.set_xlim(-0.6, len(columns) - 0.4)
    if log:
        axes.margins(y=0.12)
        few_ticks(axes.yaxis)
    else:
        axes.set_ylim(0.0, 1.12 * max(numbers.max() for numbers in columns.values()))


def _draw_path(
    axes: Axes, path: RewardPath, colour: str, name: str, band: bool = True
) -> Ends:
    """Draw the gold reward over d; return where it ends."""
    return _draw_line(axes, np.sqrt(path.kl).mean(0), path.gold, colour, name, band)


def _draw_fit(
    axes: Axes, path: RewardPath, fit: ScalingFit, terms: Terms, colour: str, name: str
) -> Ends:
    """Draw the points of all seeds, and the fitted form through them."""
    d = np.sqrt(path.kl)
    axes.plot(d.ravel(), path.gold.ravel(), **dots(colour) | {"ms": 3.5, "mew": 0.3})
    along = np.linspace(0.0, d.max(), 200)
    curve = terms(along) @ np.array([fit.alpha.value, fit.beta.value])
    return _draw_line(axes, along, curve[None], colour, name)


def _draw_line(
    axes: Axes,
    x: Float[np.ndarray, "n"],
    y: Float[np.ndarray, "S n"],
    colour: str,
    name: str = "",
    band: bool = True,
) -> Ends:
    """Draw the mean over the seeds, and a band from the 10% to the 90% quantile."""
    axes.plot(x, y.mean(0), **look(colour, marked=len(x) <= FEW) | {"lw": 2})
    if band:
        low, high = np.quantile(y, [0.1, 0.9], axis=0)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    return {name: (float(x[-1]), float(y[:, -1].mean()))}


def _page(title: str, *panels: tuple[str, str]) -> tuple[Figure, list[Axes]]:
    """Return a row of plain axes, each with its title and y label, under one title."""
    figure = Figure(figsize=(4.6 * len(panels), 4.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=14)
    axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
    for each, (panel, label) in zip(axes, panels, strict=True):
        each.set(ylabel=label)
        each.set_title(panel, color=INK, fontsize=11)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes
