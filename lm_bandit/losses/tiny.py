"""A bandit of one prompt that is small enough to enumerate its groups of completions.

A completion has at most T tokens, and stops after the end of text. A policy is a table
of logits, a row for each prefix. Over three tokens (the end, a, b) and T = 3 there are
15 completions: 7 that end, after 1, 2 or 3 tokens, and 8 that are cut off. A group of G
is one of 15^G, so that every expectation over groups is a finite sum.

`climbs` are the terms that are tried when the expected update of a loss is explained.
Each is a function of the policy with an exact gradient. Some of them hold something
fixed while they are differentiated, so that they are the gradient of no function. Some
losses follow such directions.

Source: Schulman (2020), "Approximating KL divergence", for the estimators whose
gradients these are; Liu et al. (2025), arXiv 2510.01555, section 3; Sutton & Barto
(2018), section 2.8, for the gradient bandit.
Shapes: Y completions of at most T tokens, N prefixes, V tokens in the vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int

END = 0  # the first word
NAME_OF_END = "<end>"

Logits = Float[Array, "N V"]
Table = Float[Array, "Y T"]  # a number for each token of each completion
Climb = Callable[["Point"], Float[Array, ""]]


class Point(NamedTuple):
    """A place where a loss is examined: a policy, a reference and rewards."""

    logits: Logits
    reference: Logits
    rewards: Float[Array, "Y"]


@dataclass(frozen=True, eq=False)
class TinyBandit:
    """Every completion of one prompt, and exact functions of the policies on it."""

    words: tuple[str, ...]
    tokens: Int[np.ndarray, "Y T"]
    prefixes: Int[np.ndarray, "Y T"]  # the number of the prefix before each token
    mask: Float[np.ndarray, "Y T"]  # 1 up to the end of text, 0 on padding

    @property
    def lengths(self) -> Float[np.ndarray, "Y"]:
        """The number of tokens of each completion."""
        return self.mask.sum(1)

    @property
    def num_prefixes(self) -> int:
        """N, the number of prefixes that a token can follow."""
        return int(self.prefixes.max()) + 1

    @property
    def names(self) -> list[str]:
        """Each completion as text."""
        return [
            " ".join(self.words[token] for token in row[: int(length)])
            for row, length in zip(self.tokens, self.lengths, strict=True)
        ]

    def points(self, count: int = 6, seed: int = 0) -> list[Point]:
        """Return random points; at the last one, rewards are 0 or 1."""
        rng = np.random.default_rng(seed)
        shape = self.num_prefixes, len(self.words)
        found = []
        for number in range(count):
            reference = rng.normal(0.0, 0.7, shape)
            logits = reference + rng.normal(0.0, 0.5, shape)
            rewards = rng.normal(0.0, 1.0, len(self.lengths))
            if number == count - 1:
                rewards = (rewards > 0).astype(float)
            found.append(Point(*(jnp.asarray(x) for x in (logits, reference, rewards))))
        return found

    def token_log_probs(self, logits: Logits) -> Table:
        """Return the log-probability of each token of each completion; 0 on padding."""
        every = jax.nn.log_softmax(logits)
        return every[self.prefixes, self.tokens] * self.mask

    def probabilities(self, logits: Logits) -> Float[Array, "Y"]:
        """Return the probability of each completion."""
        return jnp.exp(self.token_log_probs(logits).sum(1))

    def objective(self, point: Point, kl_weight: float) -> Float[Array, ""]:
        """Return J = E[r] - beta KL(pi || pi_ref) of the point's policy."""
        return self._mean_reward(point) - kl_weight * self._kl(point)

    def optimal_objective(self, point: Point, kl_weight: float) -> Float[Array, ""]:
        """Return J* = beta log Z, with Z the sum of pi_ref exp(r / beta).

        Source: Rafailov et al. (2023), appendix A.1.
        """
        reference = self.token_log_probs(point.reference).sum(1)
        return kl_weight * jax.nn.logsumexp(reference + point.rewards / kl_weight)

    def climbs(self) -> dict[str, Callable[[Point], Float[Array, ""]]]:
        """Return the terms that may explain an update, by name.

        Of the terms "prefixes still", the probability that a prefix is reached is not
        differentiated: each token is charged for itself, and not for where it leads to.
        """
        return {
            "E[r]": self._mean_reward,
            "KL(pi || ref)": self._kl,
            "KL(ref || pi)": self._reverse_kl,
            "KL(pi || ref), prefixes still": self._kl_of_tokens,
            "KL(ref || pi), prefixes still": self._reverse_kl_of_tokens,
            "H(pi)": lambda point: (
                -self._mean(point, self.token_log_probs(point.logits).sum(1))
            ),
            "E[length]": lambda point: self._mean(point, jnp.asarray(self.lengths)),
            "sd(r)": self._deviation,
            "E[r / sd(r)], sd still": lambda point: (
                self._mean_reward(point) / stop_gradient(self._deviation(point))
            ),
            "E[(r - mean) / length], mean still": lambda point: self._mean(
                point,
                (point.rewards - stop_gradient(self._mean_reward(point)))
                / self.lengths,
            ),
            "E[k2]": lambda point: self._mean(
                point, 0.5 * self.log_ratios(point).sum(1) ** 2
            ),
            "E[k2 of tokens]": lambda point: self._mean(
                point, 0.5 * jnp.sum(self.log_ratios(point) ** 2, axis=1)
            ),
        }

    def log_ratios(self, point: Point) -> Table:
        """Return log(pi / pi_ref) of each token of each completion."""
        return self.token_log_probs(point.logits) - self.token_log_probs(
            point.reference
        )

    def _mean(self, point: Point, amounts: Float[Array, "Y"]) -> Float[Array, ""]:
        """Return the expectation of an amount of each completion, under the policy."""
        return jnp.dot(self.probabilities(point.logits), amounts)

    def _mean_reward(self, point: Point) -> Float[Array, ""]:
        return self._mean(point, point.rewards)

    def _deviation(self, point: Point) -> Float[Array, ""]:
        """Return the standard deviation of the reward under the policy."""
        return jnp.sqrt(
            self._mean(point, (point.rewards - self._mean_reward(point)) ** 2)
        )

    def _kl(self, point: Point) -> Float[Array, ""]:
        return self._mean(point, self.log_ratios(point).sum(1))

    def _reverse_kl(self, point: Point) -> Float[Array, ""]:
        return -jnp.dot(
            self.probabilities(point.reference), self.log_ratios(point).sum(1)
        )

    def _kl_of_tokens(self, point: Point) -> Float[Array, ""]:
        """Return the sum over prefixes of their probability times their KL."""
        now, then = (jax.nn.log_softmax(x) for x in (point.logits, point.reference))
        return jnp.dot(
            self._reached(point), jnp.sum(jnp.exp(now) * (now - then), axis=1)
        )

    def _reverse_kl_of_tokens(self, point: Point) -> Float[Array, ""]:
        """Return the same sum for the KL from the reference to the policy."""
        now, then = (jax.nn.log_softmax(x) for x in (point.logits, point.reference))
        return jnp.dot(
            self._reached(point), jnp.sum(jnp.exp(then) * (then - now), axis=1)
        )

    def _reached(self, point: Point) -> Float[Array, "N"]:
        """Return the probability that each prefix is written; it is held still."""
        each = self.probabilities(point.logits)[:, None] * self.mask
        sums = jnp.zeros(self.num_prefixes).at[self.prefixes.ravel()].add(each.ravel())
        return stop_gradient(sums)


def enumerated(words: tuple[str, ...], length: int) -> TinyBandit:
    """Return the bandit with these words after the end of text, shortest first."""
    vocabulary = (NAME_OF_END, *words)
    numbers: dict[tuple[int, ...], int] = {}  # of prefixes
    rows = []
    for tokens in product(range(len(vocabulary)), repeat=length):
        count = tokens.index(END) + 1 if END in tokens else length
        if any(tokens[count:]):
            continue  # padding is written as END
        before = [
            numbers.setdefault(tokens[:t], len(numbers)) if t < count else 0
            for t in range(length)
        ]
        rows.append((count, tokens, before, [float(t < count) for t in range(length)]))
    rows.sort(key=lambda row: row[0])
    _, *columns = zip(*rows, strict=True)
    return TinyBandit(vocabulary, *(np.array(column) for column in columns))


FIFTEEN = enumerated(("a", "b"), 3)
THREE = enumerated(("a",), 2)  # for a picture: its policies are a triangle
