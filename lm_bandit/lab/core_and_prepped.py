"""The core LLM against the prepped LLM: what reward costs in language and diversity.

    core       pi_0: predicts how the language at large goes on, whatever was asked
    prepped    SFT on demonstrations, then RLHF: answers, and answers that raters like

Every measure of a policy pi is exact:

    - E_{y ~ pi_0}[ log pi(y | x) ] / tokens    cross-entropy of the language, in nats
    E_{y ~ pi}[ gold ]                          what the raters think of the policy
    H(pi),  exp H(first word),  E[distinct completions of 100]

The first is the loss of next-token prediction, and it is lowest at pi_0. Each step away
from the core raises the gold reward and raises this loss, because the language at large
holds what nobody wants to read. Diversity goes another way. The choice of words narrows
from the start. But raters like long answers better, and there are more of them, so the
completions are at first more diverse than the SFT model's, and much less where beta is
small. A pretraining term in the loss (PPO-ptx in Ouyang et al. 2022) restores some of
the likelihood.

The core here is the world's own Markov chain (`world.language`), restricted to texts
that end within three words. The SFT model is the bench's reference, mixed with two
hundredths of the core.

Source: Ouyang et al. (2022), sections 3.5 and 4.2, on the "alignment tax"; Kirk et al.
(2023), "Understanding the effects of RLHF on LLM generalisation and diversity".
Shapes: S seeds, n values of beta.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.lab import tabular
from lm_bandit.lab.experiment import (
    Experiment,
    Rows,
    seed_jobs,
    stack_seeds,
)
from lm_bandit.lab.tabular import Bench
from lm_bandit.oracle import exact
from lm_bandit.oracle.trie import LogProbs
from lm_bandit.world import END, language
from mdp.interface.jobs import Runner

KL_WEIGHTS = np.geomspace(10.0, 0.05, 17)  # beta
SHOWN = (1.0, 0.5, 0.1)  # values of beta in the summary
CORE_SHARE = 0.02  # of the core, in the SFT model
DRAWS = 100


class PolicyTraits(NamedTuple):
    """Measures of a policy: one number each, or arrays [S n] for many optima."""

    surprise: Float[np.ndarray, "*S_n"]  # cross-entropy of the language, nats a token
    gold: Float[np.ndarray, "*S_n"]  # minus the reference's, in points
    entropy: Float[np.ndarray, "*S_n"]  # of a completion, nats
    words: Float[np.ndarray, "*S_n"]  # exp H(first word): a number of equal choices
    distinct: Float[np.ndarray, "*S_n"]  # expected distinct completions of a hundred


class CoreAndPreppedResult(NamedTuple):
    """The traits of the core, of the SFT model, and of the optimum for each beta."""

    seeds: tuple[int, ...]
    comparisons: int
    kl_weights: Float[np.ndarray, "n"]
    core: PolicyTraits
    sft: PolicyTraits
    optima: PolicyTraits


def compare_core_and_prepped(
    seeds: Sequence[int] = range(10),
    comparisons: int = 1000,
    runner: Runner | None = None,
) -> CoreAndPreppedResult:
    """Learn a reward from each seed's answers, and optimise it for each beta."""
    bench = tabular.make_bench()
    core = core_model(bench)
    sft_model = mixed_with_core(core, bench.reference)
    jobs = seed_jobs(seeds, _optima, bench, core, sft_model, comparisons)
    return CoreAndPreppedResult(
        seeds=tuple(seeds),
        comparisons=comparisons,
        kl_weights=KL_WEIGHTS,
        core=policy_traits(bench, core, core),
        sft=policy_traits(bench, core, sft_model),
        optima=stack_seeds((runner or Runner()).run_all(jobs)),
    )


def _optima(
    seed: int, bench: Bench, core: LogProbs, sft_model: LogProbs, comparisons: int
) -> PolicyTraits:
    """Return the traits of the optimum for each beta, by one seed's answers."""
    rng = np.random.default_rng(seed)
    answers = tabular.ask_annotators(rng, bench, comparisons)
    learned = tabular.standardise(bench, tabular.fit_scores(bench, answers))
    problem = tabular.bench_problem(bench, learned)._replace(reference=sft_model)
    policies = [exact.optimum(problem._replace(kl_weight=b)) for b in KL_WEIGHTS]
    return stack_seeds([policy_traits(bench, core, p) for p in policies])


def core_model(bench: Bench) -> LogProbs:
    """The language's continuations of "was", given that they end within three words."""
    chain = language(bench.world)
    before = np.full(len(bench.completions), bench.world.prompts[0, -1])
    running = np.full(len(before), True)
    log_probs = np.zeros(len(before))
    for tokens in bench.completions.T:
        log_probs += np.log(np.where(running, chain[before, tokens], 1.0))
        running &= tokens != END
        before = tokens
    log_probs -= np.log(np.exp(log_probs).sum())
    return bench.reference._replace(ended=np.tile(log_probs, (len(bench.gold), 1)))


def mixed_with_core(core: LogProbs, reference: LogProbs) -> LogProbs:
    """The mixture of 98% of the reference and 2% of the core."""
    kept, mixed_in = np.log1p(-CORE_SHARE), np.log(CORE_SHARE)
    pairs = zip(core, reference, strict=True)
    return LogProbs(*(np.logaddexp(kept + r, mixed_in + c) for c, r in pairs))


def policy_traits(bench: Bench, core: LogProbs, policy: LogProbs) -> PolicyTraits:
    """The measures of a policy, means over the prompts.

    A completion of probability p is among 100 draws with probability 1 - (1 - p)^100.
    """
    probs = np.exp(policy.ended)
    tokens = np.sum(np.exp(core.ended) * 2 * bench.lengths, axis=1).mean()
    cross_entropy = exact.entropy(core) + exact.kl(core, policy)
    reference_gold = np.sum(bench.probs * bench.gold, axis=1).mean()
    drawn = -np.expm1(DRAWS * np.log1p(-np.minimum(probs, 1.0 - 1e-12)))
    first_word = (bench.completions[:, :1] == bench.world.rated).astype(float)
    words = probs @ first_word
    word_entropy = -np.sum(words * np.log(np.maximum(words, 1e-300)), axis=1)
    return PolicyTraits(
        surprise=np.asarray(cross_entropy / tokens),
        gold=np.asarray(np.sum(probs * bench.gold, axis=1).mean() - reference_gold),
        entropy=np.asarray(exact.entropy(policy)),
        words=np.asarray(np.exp(word_entropy.mean())),
        distinct=np.asarray(drawn.sum(1).mean()),
    )


COLUMNS = {
    "policy": "",
    "surprise": "how badly it predicts the language at large: cross-entropy, nats a "
    "token; means over the seeds",
    "gold": "what the raters think of its completions, in points, minus the "
    "reference's",
    "entropy": "how varied its completions are, in nats; 0 if there is only one",
    "first words": "so many equally likely first words would be as varied as its own",
    "different of 100": "of 100 completions, so many are expected to be different",
}
WORDS = {
    "core": "the language at large: it goes on as texts do, whatever was asked",
    "SFT": "a policy that has learned from demonstrations, with a little of the core",
    "optimum": "the best policy for a learned reward - beta x KL from SFT",
}


def _summary(result: CoreAndPreppedResult) -> Rows:
    """Return the traits of the core, of SFT, and of the optimum for some betas."""
    policies = {"core": result.core, "SFT": result.sft}
    for beta in SHOWN:
        j = int(np.abs(np.log(result.kl_weights / beta)).argmin())
        name = f"optimum, beta {result.kl_weights[j]:.2g}"
        policies[name] = PolicyTraits(*(x[:, j].mean() for x in result.optima))
    rows: Rows = []
    for name, each in policies.items():
        nats = f"{each.surprise:.2f}", f"{each.gold:+.2f}", f"{each.entropy:.2f}"
        rows.append((name, *nats, f"{each.words:.1f}", f"{each.distinct:.0f}"))
    return rows


def _explanation(result: CoreAndPreppedResult) -> list[str]:
    core = result.core
    last = PolicyTraits(*(x[:, -1].mean() for x in result.optima))
    return [
        f"From the core to the optimum for the smallest beta, the gold reward rises "
        f"from {core.gold:+.2f} to {last.gold:+.2f}, and the surprise from "
        f"{core.surprise:.2f} to {last.surprise:.2f} nats a token.",
        f"An answer begins with one of {last.words:.1f} words instead of "
        f"{core.words:.1f}, and of a hundred completions {last.distinct:.0f} are "
        f"distinct instead of {core.distinct:.0f}.",
    ]


EXPERIMENT = Experiment(
    compare_core_and_prepped,
    COLUMNS,
    _summary,
    _explanation,
    WORDS,
    points=("kl_weights",),
    types=(PolicyTraits,),
)
