"""Core LLM against prepped LLM: what preparation costs the model of the language.

    core       pi_0: predicts how the language at large goes on, whatever was asked
    prepped    SFT on demonstrations, and RLHF: answers, and answers that people like

All that is to be said of them is exact:

    - E_{y ~ pi_0}[ log pi(y | x) ] / tokens    surprise at the language, nats a token
    E_{y ~ pi}[ gold ]                          what people think of it
    H(pi),  exp H(first word),  E[distinct completions of 100]

The first is the loss of next-token prediction; it is lowest at pi_0. Each step away
from the core raises the second and is paid for in the first: the language at large
holds what nobody wants to read. Diversity goes another way. The choice of words narrows
from the start; but people like long answers better, there are more of these, and so the
completions are at first more diverse than the SFT model's. Where beta is small, one
answer is left. A pretraining term in the loss (Ouyang et al.'s PPO-ptx) buys some of
the first back.

The core here is the world's own Markov chain (`text.language`), of which those texts
are taken that end within three words; the SFT model is the bench's reference, with two
hundredths of the core left in it.

Source: Ouyang et al. (2022), sections 3.5 and 4.2, on the "alignment tax"; Kirk et al.
(2023), "Understanding the effects of RLHF on LLM generalisation and diversity".
Shapes: S seeds, n values of beta.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.lab import opinions
from lm_bandit.lab.opinions import Bench
from lm_bandit.oracle import exact
from lm_bandit.oracle.trie import LogProbs
from lm_bandit.world import END, language

KL_WEIGHTS = np.geomspace(10.0, 0.05, 17)  # beta
SHOWN = (1.0, 0.5, 0.1)  # in the table
LEFT = 0.02  # of the core, in the SFT model
DRAWS = 100


class Traits(NamedTuple):
    """What a policy is like; of the optima [S n], of core and SFT a number each."""

    surprise: Float[np.ndarray, "..."]  # at the language at large, nats a token
    gold: Float[np.ndarray, "..."]  # over the reference's, in points
    entropy: Float[np.ndarray, "..."]  # of a completion, nats
    words: Float[np.ndarray, "..."]  # exp H(first word): as many equally likely ones
    distinct: Float[np.ndarray, "..."]  # completions, expected, of a hundred


class Found(NamedTuple):
    """The core, the SFT model, and the optimum for each beta."""

    seeds: tuple[int, ...]
    comparisons: int
    kl_weights: Float[np.ndarray, "n"]
    core: Traits
    sft: Traits
    optima: Traits


def run(seeds: Sequence[int] = range(10), comparisons: int = 1000) -> Found:
    """Learn a reward from each seed's answers, and optimise for each beta."""
    on = opinions.bench()
    core = core_model(on)
    reference = left_in(core, on.reference)
    optima = []
    for seed in seeds:
        asked = opinions.ask(np.random.default_rng(seed), on, comparisons)
        reward = opinions.scores(on, on.used, opinions.learn(on, asked))
        reward = opinions.standardised(on, reward)
        posed = opinions.problem(on, reward)._replace(reference=reference)
        policies = [
            exact.optimum(posed._replace(kl_weight=float(beta))) for beta in KL_WEIGHTS
        ]
        optima.append(_stack([traits(on, core, policy) for policy in policies]))
    return Found(
        tuple(seeds),
        comparisons,
        KL_WEIGHTS,
        traits(on, core, core),
        traits(on, core, reference),
        _stack(optima),
    )


def core_model(on: Bench) -> LogProbs:
    """How the language at large goes on after "was", where it ends in time."""
    chain = language(on.world)
    before = np.full(len(on.completions), on.world.prompts[0, -1])
    running = np.full(len(before), True)
    log_probs = np.zeros(len(before))
    for tokens in on.completions.T:
        log_probs += np.log(np.where(running, chain[before, tokens], 1.0))
        running &= tokens != END
        before = tokens
    log_probs -= np.log(np.exp(log_probs).sum())
    return on.reference._replace(ended=np.tile(log_probs, (len(on.gold), 1)))


def left_in(core: LogProbs, reference: LogProbs) -> LogProbs:
    """The reference, with a share of the core left in it."""
    kept, left = np.log1p(-LEFT), np.log(LEFT)
    return LogProbs(
        *(
            np.logaddexp(kept + r, left + c)
            for r, c in zip(reference, core, strict=True)
        )
    )


def traits(on: Bench, core: LogProbs, policy: LogProbs) -> Traits:
    """All that is told of a policy."""
    probs = np.exp(policy.ended)
    tokens = np.sum(np.exp(core.ended) * 2 * on.counts.sum(1), axis=1).mean()
    cross_entropy = exact.entropy(core) + exact.kl(core, policy)
    start = np.sum(on.probs * on.gold, axis=1).mean()
    seen = -np.expm1(DRAWS * np.log1p(-np.minimum(probs, 1.0 - 1e-12)))
    first = (on.completions[:, :1] == on.world.rated).astype(float)
    words = probs @ first
    of_word = -np.sum(words * np.log(np.maximum(words, 1e-300)), axis=1)
    return Traits(
        cross_entropy / tokens,
        np.sum(probs * on.gold, axis=1).mean() - start,
        exact.entropy(policy),
        np.exp(of_word.mean()),
        seen.sum(1).mean(),
    )


def rows(found: Found) -> list[tuple]:
    """A header, and a row for the core, the SFT model, and each optimum and seed."""
    table = [("policy", "beta", "seed", *Traits._fields)]
    for name, each in (("core", found.core), ("SFT", found.sft)):
        table.append((name, "", "", *map(float, each)))
    for i, seed in enumerate(found.seeds):
        for j, beta in enumerate(found.kl_weights.tolist()):
            numbers = (float(x[i, j]) for x in found.optima)
            table.append(("optimum", beta, seed, *numbers))
    return table


def summary(found: Found) -> list[tuple]:
    """Core, SFT and a few optima; means over the seeds."""
    heads = "surprise", "gold", "entropy", "words", "distinct of 100"
    policies = {"core": found.core, "SFT": found.sft}
    for beta in SHOWN:
        j = int(np.abs(np.log(found.kl_weights / beta)).argmin())
        name = f"optimum, beta {found.kl_weights[j]:.2g}"
        policies[name] = Traits(*(x[:, j].mean() for x in found.optima))
    table = [("policy", *heads)]
    for name, each in policies.items():
        told = f"{each.surprise:.2f}", f"{each.gold:+.2f}", f"{each.entropy:.2f}"
        table.append((name, *told, f"{each.words:.1f}", f"{each.distinct:.0f}"))
    return table


def meaning(found: Found) -> list[str]:
    """What the table says."""
    surprise, gold, _, words, distinct = (x[:, -1].mean() for x in found.optima)
    core = found.core
    return [
        f"From the core to the optimum for the least beta, the gold reward goes from "
        f"{core.gold:+.2f} to {gold:+.2f}; the surprise at the language from "
        f"{core.surprise:.2f} to {surprise:.2f} nats a token.",
        f"An answer begins with one of {words:.1f} words instead of {core.words:.1f}, "
        f"and of a hundred completions {distinct:.0f} are distinct instead of "
        f"{core.distinct:.0f}.",
    ]


def _stack(each):
    return Traits(*map(np.array, zip(*each, strict=True)))
