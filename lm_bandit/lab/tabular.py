"""A language so small that every policy is a table: the bench of all experiments.

    "<word>"   or   "<word> and <word>"   or   "<word> and <word> and <word>"

There are twenty words and at most three in a completion: 8,420 completions of each
prompt. The reference is not trained but written down. A writer stops after a word with
probability 1/2, and always after the third. Each word is, with probability 1/2, one
that is meant to answer the prompt, as in `sft.demonstrations`; otherwise it is any
word. One prompt asks for praise and one for complaint.

A reward model is a table, too, and so is the optimal policy of RLHF,

    pi_beta = pi_ref exp(r / beta) / Z.

Its KL and its gold reward are exact sums. So no result of the lab is the fault of a bad
optimiser. Only the questions and the answers of the annotators are random.

Source: the optimum is eq. 4 of Rafailov et al. (2023), see `oracle/exact.py`.
Shapes: k prompts, E completions, D rated words, F features, n answers.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lm_bandit import bandit
from lm_bandit.feedback import annotators, linear_reward
from lm_bandit.feedback.annotators import People
from lm_bandit.oracle import exact
from lm_bandit.oracle.exact import Problem
from lm_bandit.oracle.trie import LogProbs
from lm_bandit.sft import demonstration_word_probs
from lm_bandit.world import END, World, pocket_world

MAX_WORDS = 3  # in a completion
CARE = 0.5  # probability that a word is meant to answer the prompt
CUT_OFF = -700.0  # log-probability of being cut off: e^-700 is almost the least float

Rewards = Float[np.ndarray, "k E"]  # a reward of every completion of every prompt
Features = Float[np.ndarray, "E F"]  # of every completion


class Bench(NamedTuple):
    """A world of short completions, its reference policy and its gold reward."""

    world: World
    completions: Int[np.ndarray, "E C"]
    counts: Int[np.ndarray, "E D"]  # how often each rated word is used
    reference: LogProbs
    gold: Rewards

    @property
    def probs(self) -> Rewards:
        """The reference's probability of each completion, pi_ref(y | x)."""
        return np.exp(self.reference.ended)

    @property
    def used(self) -> Float[np.ndarray, "E D"]:
        """1 for each rated word that is used; the gold reward is linear in this."""
        return (self.counts > 0).astype(float)

    @property
    def lengths(self) -> Int[np.ndarray, "E"]:
        """The number of rated words in each completion; repeated words count again."""
        return self.counts.sum(1)

    def column(self, word: str) -> int:
        """Return the column of a rated word in `counts` and `used`."""
        return int(np.flatnonzero(self.world.rated == self.world.encode(word)[0])[0])


class BenchComparisons(NamedTuple):
    """Answers to "which is better?"; a completion is its row in the bench."""

    prompts: Int[np.ndarray, "n"]  # number of the prompt
    chosen: Int[np.ndarray, "n"]
    rejected: Int[np.ndarray, "n"]
    annotators: Int[np.ndarray, "n"] | None


class RewardPath(NamedTuple):
    """The KL and the mean rewards of a sequence of policies."""

    kl: Float[np.ndarray, "*S n"]  # KL(pi || pi_ref), nats per completion
    learned: Float[np.ndarray, "*S n"]  # in deviations
    gold: Float[np.ndarray, "*S n"]  # minus the reference's, in points of rating


def make_bench() -> Bench:
    """Return all completions of up to three words, and the probability of each."""
    pocket = pocket_world()
    prompts = [int(np.argmax(pocket.signs == sign)) for sign in (1, -1)]
    world = pocket._replace(
        prompts=pocket.prompts[prompts],
        signs=pocket.signs[prompts],
        completion_length=2 * MAX_WORDS,
    )
    (and_,) = world.encode("and")
    word_log_probs = np.log(demonstration_word_probs(world, CARE))
    D = len(world.rated)
    completions, counts, log_probs = [], [], []
    for n in range(1, MAX_WORDS + 1):
        words = np.array([*product(range(D), repeat=n)])
        tokens = np.full((len(words), world.completion_length), END)
        tokens[:, 1 : 2 * n - 1 : 2] = and_
        tokens[:, 0 : 2 * n : 2] = world.rated[words]
        completions.append(tokens)
        counts.append((words[:, :, None] == np.arange(D)).sum(1))
        stops = np.log(0.5) * min(n, MAX_WORDS - 1)
        log_probs.append(word_log_probs[:, words].sum(-1) + stops)
    tokens = np.concatenate(completions)
    cut_off = np.full((len(prompts), 1), CUT_OFF)
    reference = LogProbs(np.concatenate(log_probs, axis=1), cut_off)
    gold = bandit.gold_scores(world, tokens)
    return Bench(world, tokens, np.concatenate(counts), reference, gold)


def ask_annotators(
    rng: np.random.Generator, bench: Bench, count: int, people: People | None = None
) -> BenchComparisons:
    """Return comparisons of pairs of completions that are drawn from the reference.

    Args:
        rng: of the pairs, and of the annotators' answers.
        bench: the completions.
        count: number of comparisons.
        people: the annotators; by default a new one answers each question.
    """
    prompts, pairs = draw_pairs(rng, bench, count)
    return judge_pairs(rng, bench, prompts, pairs, people)


def draw_pairs(
    rng: np.random.Generator, bench: Bench, count: int
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n 2"]]:
    """Return random prompt numbers, and two completions of each by the reference."""
    prompts = rng.integers(len(bench.gold), size=count)
    asked = np.repeat(prompts, 2)
    pairs = np.zeros(len(asked), int)
    for i, row in enumerate(bench.probs):
        of_prompt = asked == i
        p = row / row.sum()
        pairs[of_prompt] = rng.choice(len(row), size=of_prompt.sum(), p=p)
    return prompts, pairs.reshape(-1, 2)


def judge_pairs(
    rng: np.random.Generator,
    bench: Bench,
    prompts: Int[np.ndarray, "n"],
    pairs: Int[np.ndarray, "n 2"],
    people: People | None = None,
) -> BenchComparisons:
    """Return the answers of annotators about these pairs of completions."""
    shown = bench.completions[pairs]
    answers = annotators.compare_pairs(rng, bench.world, prompts, shown, people)
    first_won = (answers.chosen == shown[:, 0]).all(1)
    chosen = np.where(first_won, pairs[:, 0], pairs[:, 1])
    return BenchComparisons(prompts, chosen, pairs.sum(1) - chosen, answers.annotators)


def feature_differences(
    bench: Bench, answers: BenchComparisons, features: Features
) -> Float[np.ndarray, "n F"]:
    """phi(x, chosen) - phi(x, rejected), for phi(x, y) = sign(x) features(y)."""
    signs = bench.world.signs[answers.prompts, None]
    return signs * (features[answers.chosen] - features[answers.rejected])


def fit_word_weights(bench: Bench, answers: BenchComparisons) -> Float[np.ndarray, "D"]:
    """The weight of each word in a learned reward of the gold reward's form.

    It is Bradley & Terry's (1952) model with a Gaussian prior, see `linear_reward.py`.
    """
    differences = feature_differences(bench, answers, bench.used)
    return linear_reward.fit_weights(differences).mean


def linear_scores(
    bench: Bench, features: Features, weights: Float[np.ndarray, "F"]
) -> Rewards:
    """The linear reward r(x, y) = sign(x) w . features(y) of all completions."""
    return bench.world.signs[:, None] * (features @ weights)


def fit_scores(bench: Bench, answers: BenchComparisons) -> Rewards:
    """The scores of a reward model that has the gold reward's form."""
    return linear_scores(bench, bench.used, fit_word_weights(bench, answers))


def standardise(bench: Bench, rewards: Rewards) -> Rewards:
    """Rewards with mean 0 for each prompt and deviation 1 under the reference.

    Source: Ziegler et al. (2019), section 2.2, normalise the reward model so.
    """
    return centre(bench, rewards) / reward_deviation(bench, rewards)


def reward_deviation(bench: Bench, rewards: Rewards) -> float:
    """The standard deviation of a reward within a prompt, under the reference."""
    squares = bench.probs * centre(bench, rewards) ** 2
    return float(np.sqrt(np.mean(np.sum(squares, axis=1))))


def centre(
    bench: Bench, rewards: Float[np.ndarray, "*n k E"]
) -> Float[np.ndarray, "*n k E"]:
    """Rewards minus their mean under the reference, for each prompt."""
    return rewards - np.sum(bench.probs * rewards, axis=-1, keepdims=True)


def bench_problem(bench: Bench, learned: Rewards, kl_weight: float = 1.0) -> Problem:
    """The problem of RLHF with this learned reward, this reference and this beta."""
    return Problem(bench.reference, bench.gold, learned, kl_weight, penalty=0.0)


def optimal_policy(bench: Bench, learned: Rewards, kl_weight: float) -> LogProbs:
    """The optimal policy for the standardised learned reward, at one beta."""
    return exact.optimum(bench_problem(bench, standardise(bench, learned), kl_weight))


def optimum_path(
    bench: Bench, learned: Rewards, kl_weights: Float[np.ndarray, "n"]
) -> RewardPath:
    """The optimal policies for the standardised learned reward, beta by beta."""
    problem = bench_problem(bench, standardise(bench, learned))
    return reward_path(bench, exact.frontier(problem, kl_weights))


def best_of_n_path(
    bench: Bench, learned: Rewards, sizes: Int[np.ndarray, "n"]
) -> RewardPath:
    """The path of best-of-n policies, one for each n in `sizes`."""
    problem = bench_problem(bench, standardise(bench, learned))
    policies = [exact.best_of_n(problem, int(n)) for n in sizes]
    return reward_path(bench, [exact.policy_value(problem, p) for p in policies])


def reward_path(bench: Bench, values: list[exact.Value]) -> RewardPath:
    """The exact values of policies as arrays; gold is relative to the reference's."""
    reference = np.mean(np.sum(bench.probs * bench.gold, axis=1))
    kl, learned, gold = np.array([(v.kl, v.learned, v.gold) for v in values]).T
    return RewardPath(np.maximum(kl, 0.0), learned, gold - reference)


def optimum_gold(bench: Bench, learned: Rewards, kl_weight: float) -> float:
    """The gold reward of the optimal policy for a learned reward, at one beta."""
    return float(optimum_path(bench, learned, np.array([kl_weight])).gold[0])
