"""The lab's bench: a language so small that every policy in it is a table.

    "<word>"   or   "<word> and <word>"   or   "<word> and <word> and <word>"

Twenty words, up to three of them: 8,420 completions of each prompt. The reference is
not trained but written down: who writes stops after a word with probability 1/2 (after
the third, surely), and each word is, with probability `care`, one meant to answer the
prompt, as in `sft.demonstrations`. What a subject is makes no difference, so one prompt
asks for praise and one for complaint.

A reward model is a table here, too, and with it the policy that RLHF is after,

    pi_beta = pi_ref exp(r / beta) / Z,

its KL, and what it is really worth: nothing in the lab is due to a bad optimiser. Only
what people are asked, and what they answer, is random.

Shapes: k prompts, E completions, D rated words.
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
from lm_bandit.world import END, World, pocket_world, word_frequencies

WORDS = 3  # at most, in a completion
NEVER = -700.0  # log-probability of being cut off: e^-700 is the least that a float has


class Bench(NamedTuple):
    """A world of opinions, its reference, and what is true of it."""

    world: World
    completions: Int[np.ndarray, "E C"]
    counts: Int[np.ndarray, "E D"]  # how often each rated word is used
    reference: LogProbs
    gold: Float[np.ndarray, "k E"]

    @property
    def probs(self) -> Float[np.ndarray, "k E"]:
        """pi_ref(y | x)."""
        return np.exp(self.reference.ended)

    @property
    def used(self) -> Float[np.ndarray, "E D"]:
        """Whether each rated word is used: the gold reward is linear in this."""
        return (self.counts > 0).astype(float)


class Asked(NamedTuple):
    """Comparisons; completions by their row in `Bench.completions`."""

    which: Int[np.ndarray, "n"]  # prompts
    chosen: Int[np.ndarray, "n"]
    rejected: Int[np.ndarray, "n"]
    annotators: Int[np.ndarray, "n"] | None


class Path(NamedTuple):
    """What policies are worth, one after the other; rewards less the reference's."""

    kl: Float[np.ndarray, "n"]  # nats per completion
    learned: Float[np.ndarray, "n"]  # in deviations of the reference
    gold: Float[np.ndarray, "n"]  # in points of rating


def bench(world: World | None = None, care: float = 0.5) -> Bench:
    """All completions of up to three words, and the probability of each."""
    pocket = pocket_world() if world is None else world
    asked = [int(np.argmax(pocket.signs == sign)) for sign in (1, -1)]
    world = pocket._replace(
        prompts=pocket.prompts[asked],
        signs=pocket.signs[asked],
        completion_length=2 * WORDS,
    )
    (and_,) = world.encode("and")
    words = np.log(_word_probs(world, care))
    D = len(world.rated)
    rows, counts, log_probs = [], [], []
    for n in range(1, WORDS + 1):
        chosen = np.array([*product(range(D), repeat=n)])
        tokens = np.full((len(chosen), world.completion_length), END)
        tokens[:, 1 : 2 * n - 1 : 2] = and_
        tokens[:, 0 : 2 * n : 2] = world.rated[chosen]
        rows.append(tokens)
        counts.append((chosen[:, :, None] == np.arange(D)).sum(1))
        stops = np.log(0.5) * min(n, WORDS - 1)
        log_probs.append(words[:, chosen].sum(-1) + stops)
    completions = np.concatenate(rows)
    return Bench(
        world,
        completions,
        np.concatenate(counts),
        LogProbs(np.concatenate(log_probs, axis=1), np.full((2, 1), NEVER)),
        bandit.gold_scores(world, completions),
    )


def ask(
    rng: np.random.Generator, on: Bench, count: int, people: People | None = None
) -> Asked:
    """Pairs drawn from the reference, judged by people, or each by somebody new."""
    which = rng.integers(len(on.gold), size=count)
    rows = draw(rng, on.probs, np.repeat(which, 2)).reshape(-1, 2)
    pairs = on.completions[rows]
    answers = annotators.compare_pairs(rng, on.world, which, pairs, people)
    first = (answers.chosen == pairs[:, 0]).all(1)
    chosen = np.where(first, *rows.T)
    return Asked(which, chosen, rows.sum(1) - chosen, answers.annotators)


def draw(
    rng: np.random.Generator, probs: Float[np.ndarray, "k E"], which: np.ndarray
) -> Int[np.ndarray, "n"]:
    """A completion, by its row, of each prompt number `which`."""
    rows = np.zeros(len(which), int)
    for i, row in enumerate(probs):
        asked = which == i
        rows[asked] = rng.choice(len(row), size=asked.sum(), p=row / row.sum())
    return rows


def differences(
    on: Bench, asked: Asked, features: Float[np.ndarray, "E F"]
) -> Float[np.ndarray, "n F"]:
    """phi(x, chosen) - phi(x, rejected), with the sign that the prompt asks for."""
    signs = on.world.signs[asked.which, None]
    return signs * (features[asked.chosen] - features[asked.rejected])


def learn(on: Bench, asked: Asked) -> Float[np.ndarray, "D"]:
    """A worth for each word used: the form of the gold reward."""
    return linear_reward.fit_weights(differences(on, asked, on.used)).mean


def scores(
    on: Bench, features: Float[np.ndarray, "E F"], worths: Float[np.ndarray, "F"]
) -> Float[np.ndarray, "k E"]:
    """r(x, y) = sign(x) w . phi(y)."""
    return on.world.signs[:, None] * (features @ worths)


def standardised(on: Bench, learned: Float[np.ndarray, "k E"]) -> np.ndarray:
    """Mean 0 for each prompt and deviation 1 under the reference, as in RLHF."""
    centred = learned - np.sum(on.probs * learned, axis=1, keepdims=True)
    return centred / deviation(on, learned)


def deviation(on: Bench, rewards: Float[np.ndarray, "k E"]) -> float:
    """The standard deviation within a prompt, under the reference."""
    centred = rewards - np.sum(on.probs * rewards, axis=1, keepdims=True)
    return float(np.sqrt(np.mean(np.sum(on.probs * centred**2, axis=1))))


def problem(
    on: Bench, learned: Float[np.ndarray, "k E"], kl_weight: float = 1.0
) -> Problem:
    """What RLHF is set: this reward, this reference, this beta."""
    return Problem(on.reference, on.gold, learned, kl_weight, penalty=0.0)


def optimum(on: Bench, learned: Float[np.ndarray, "k E"], kl_weight: float) -> LogProbs:
    """The best policy for the standardised reward, at this beta."""
    return exact.optimum(problem(on, standardised(on, learned), kl_weight))


def frontier(
    on: Bench, learned: Float[np.ndarray, "k E"], kl_weights: Float[np.ndarray, "n"]
) -> Path:
    """The optimum for each beta, by the standardised reward."""
    posed = problem(on, standardised(on, learned))
    return path(on, exact.frontier(posed, kl_weights))


def best_of(
    on: Bench, learned: Float[np.ndarray, "k E"], numbers: Int[np.ndarray, "n"]
) -> Path:
    """Best-of-n for each n."""
    posed = problem(on, standardised(on, learned))
    values = [
        exact.policy_value(posed, exact.best_of_n(posed, int(n))) for n in numbers
    ]
    return path(on, values)


def path(on: Bench, values: list[exact.Value]) -> Path:
    """The values of policies, as arrays, beside the reference's."""
    start = np.mean(np.sum(on.probs * on.gold, axis=1))
    kl, learned, gold = np.array([(v.kl, v.learned, v.gold) for v in values]).T
    return Path(np.maximum(kl, 0.0), learned, gold - start)


def stack(paths: list[Path]) -> Path:
    """Along a new first axis."""
    return Path(*map(np.stack, zip(*paths, strict=True)))


def _word_probs(world, care):
    """P(word | prompt), [k D]: any word, or one that somebody thinks an answer."""
    frequencies = word_frequencies(world)
    likes = (world.signs[:, None, None] * world.ratings[world.rated] > 0).mean(-1)
    meant = frequencies * likes
    return (1.0 - care) * frequencies + care * meant / meant.sum(1, keepdims=True)
