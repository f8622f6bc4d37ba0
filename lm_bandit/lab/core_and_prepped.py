"""Core LLM against prepped LLM: what preparation costs the model of the language.

    core       pi_0: predicts how the language at large goes on, whatever was asked
    prepped    SFT on demonstrations, and RLHF: answers, and answers that people like

Both can be read in three numbers, all exact:

    - E_{y ~ pi_0}[ log pi(y | x) ]    surprise at the language at large, in nats a text
    E_{y ~ pi}[ gold ]                 what people think of it
    H(pi),  E[distinct of 100]         how much there is that it would say

The first is next-token cross-entropy, added up over a text; it is lowest at pi_0. Each
step away from the core raises the second, and is paid for in the first and the third:
the language at large holds what nobody wants to read. A pretraining term in the loss
(Ouyang et al.'s PPO-ptx) buys some of the first back.

The core here is the world's own Markov chain (`text.language`), of which texts that do
not end after three words count as one; the SFT model is the bench's reference, with a
few hundredths of the core left in it.

Source: Ouyang et al. (2022), sections 3.5 and 4.2, on the "alignment tax"; Kirk et al.
(2023), "Understanding the effects of RLHF on LLM generalisation and diversity".
Shapes: S seeds, n values of beta.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit import exact, linear_reward
from lm_bandit.exact import Problem
from lm_bandit.lab import opinions
from lm_bandit.lab.opinions import WORDS, Bench
from lm_bandit.text import END, language
from lm_bandit.trie import LogProbs

KL_WEIGHTS = np.geomspace(10.0, 0.05, 17)  # beta
SHOWN = (1.0, 0.5, 0.1)  # in the table
LEFT = 0.02  # of the core, in the SFT model
PENALTY = -4.0  # instead of a reward where a text does not end
DRAWS = 100


class Traits(NamedTuple):
    """What a policy is like; of the optima [S n], of core and SFT a number each."""

    surprise: Float[np.ndarray, "..."]  # at the language at large, nats a text
    gold: Float[np.ndarray, "..."]  # points, PENALTY where nothing ends
    entropy: Float[np.ndarray, "..."]  # nats
    distinct: Float[np.ndarray, "..."]  # completions, expected, of a hundred
    ended: Float[np.ndarray, "..."]  # share of the completions


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
        worths = linear_reward.fit(opinions.differences(on, asked, on.used)).mean
        reward = opinions.standardised(on, opinions.scores(on, on.used, worths))
        posed = Problem(reference, on.gold, reward, 1.0, PENALTY)
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
    """How likely the language at large goes on so after "was"; the rest in one."""
    chain = language(on.world)
    after = int(on.world.prompts[0, -1])
    before = np.full(len(on.completions), after)
    running = np.full(len(before), True)
    log_probs = np.zeros(len(before))
    for tokens in on.completions.T:
        # 0 only where it does not go on: the table has what the chain can say.
        step = np.log(np.where(running, chain[before, tokens], 1.0))
        log_probs += step
        running &= tokens != END
        before = tokens
    ended = np.tile(log_probs, (len(on.gold), 1))
    rest = np.log1p(-np.exp(ended).sum(-1, keepdims=True))
    return LogProbs(ended, rest)


def left_in(core: LogProbs, reference: LogProbs) -> LogProbs:
    """The reference, with a share of the core left in it."""
    pairs = zip(reference, core, strict=True)
    return LogProbs(
        *(np.logaddexp(np.log1p(-LEFT) + r, np.log(LEFT) + c) for r, c in pairs)
    )


def traits(on: Bench, core: LogProbs, policy: LogProbs) -> Traits:
    """All that is told of a policy."""
    posed = Problem(policy, on.gold, on.gold, 1.0, PENALTY)
    chances = np.concatenate([np.exp(policy.ended), np.exp(policy.cut_off)], axis=1)
    seen = -np.expm1(DRAWS * np.log1p(-np.minimum(chances, 1.0 - 1e-12)))
    return Traits(
        exact.entropy(core) + exact.kl(core, policy),
        exact.evaluate(posed, policy).gold,
        exact.entropy(policy),
        float(seen.sum(1).mean()),
        float(np.exp(policy.ended).sum(1).mean()),
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
    heads = "surprise", "gold", "entropy", "distinct of 100", "ended"
    policies = {"core": found.core, "SFT": found.sft}
    for beta in SHOWN:
        j = int(np.abs(np.log(found.kl_weights / beta)).argmin())
        name = f"optimum, beta {found.kl_weights[j]:.2g}"
        policies[name] = Traits(*(x[:, j].mean() for x in found.optima))
    table = [("policy", *heads)]
    for name, each in policies.items():
        told = f"{each.surprise:.2f}", f"{each.gold:+.2f}", f"{each.entropy:.2f}"
        table.append((name, *told, f"{each.distinct:.0f}", f"{each.ended:.1%}"))
    return table


def meaning(found: Found) -> list[str]:
    """What the table says."""
    surprise, gold, _, distinct, _ = (x[:, -1].mean() for x in found.optima)
    return [
        f"From the core to the optimum for the least beta, the gold reward goes from "
        f"{found.core.gold:+.2f} to {gold:+.2f}; a text of the language at large is "
        f"{surprise - found.core.surprise:.1f} nats more of a surprise, and of a "
        f"hundred completions {distinct:.0f} are distinct instead of "
        f"{found.core.distinct:.0f}."
    ]


def _stack(each):
    return Traits(*map(np.array, zip(*each, strict=True)))
