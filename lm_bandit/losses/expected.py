"""What does this loss maximise? Its expected update, exactly, held against gradients.

A loss takes one group of completions of a prompt, and returns the number to minimise:

    loss(log_probs, old_log_probs, reference_log_probs, mask, rewards)
         [G, T]     [G, T]         [G, T]               [G, T] [G]

Libraries write such losses by hand, and it is not plain what they climb. On the bandit
of `tiny.py` all groups can be written down with their probabilities, so that

    u(theta)  =  - sum over groups  P(group) grad L(group)

is exact. Four questions follow. Is u a sum of known gradients, with the same weights at
every point? Is it a gradient at all: is its Jacobian symmetric? How many groups does
one need to see it through the noise? And where does following it end?

Source: Liu et al. (2025), arXiv 2510.01555, and "A comedy of estimators" (2025), arXiv
2512.21852, for parts of the theory; Schulman (2020), "Approximating KL divergence".
Shapes: G completions in a group, T tokens; D = N V logits; M points.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp

from lm_bandit.losses.tiny import FIFTEEN, Point, TinyBandit

GroupLoss = Callable[..., Float[Array, ""]]
# From groups of log-probabilities [n, G, T] of the policy, the old policy and the
# reference, their masks and rewards [n, G], to the slopes of the loss [n, G, T].
Slopes = Callable[..., Float[Array, "n G T"]]
# From the policy's logits to the log-probabilities of the tokens that are drawn.
Sampler = Callable[[Float[Array, "N V"]], Float[Array, "N V"]]
Vector = Float[np.ndarray, "D"]
Gradients = dict[str, Float[np.ndarray, "MD"]]  # by the names of `climbs`

SIZE = 3  # completions of a group
STEP = 1e-5  # of a logit, for differences
EXACT = 1e-6  # a sum of known gradients, up to rounding
NOTHING = 1e-9  # an update that is smaller is 0, up to rounding
TERMS = 2  # at most, where no sum is exact
WORTH = 0.01  # share of the update that a further term must explain
DISTANCES = 0.1, 0.01, 0.001  # of a policy from the reference, in logits
HORIZON = 1e5  # of the flow, in units of the step size
REST = 1e-5  # the flow has ended where the update is smaller
MOST = 3000  # evaluations of the update: one that jumps has a flow without end
CORNER = 1e-3  # a policy is at a corner if all but this is on one completion


class Examination(NamedTuple):
    """The answers about one loss."""

    terms: dict[str, float]  # weight of each known gradient in the update
    unexplained: float  # |update - terms| / |update| over all points
    curl: float  # the largest at any point; see `curl`
    cosines: Float[np.ndarray, "M"]  # of the angle between the update and grad J
    groups_needed: float  # for a standard error of a tenth of the update; the median
    leash: list[float]  # see `leash_strength`
    end: "End"

    @property
    def is_exact(self) -> bool:
        """Whether the terms are the update, at every point."""
        return self.unexplained < EXACT


class End(NamedTuple):
    """The end of the way from the reference along the update, at the first point."""

    policy: Float[np.ndarray, "Y"]
    objective: float  # J there
    reference: float  # J of the reference
    optimum: float  # J*
    at_rest: bool  # whether the update is 0 there, inside the simplex

    @property
    def share(self) -> float:
        """The share of the way, (J - J_ref) / (J* - J_ref)."""
        return (self.objective - self.reference) / (self.optimum - self.reference)


def by_jax(loss: GroupLoss) -> Slopes:
    """Return the gradients of a loss that is written in jax."""
    return jax.vmap(jax.grad(loss))


class Update:
    """The exact expected update of a loss, as a function of the point."""

    def __init__(
        self,
        slopes: Slopes,
        sampler: Sampler = jax.nn.log_softmax,
        size: int = SIZE,
        old_is_policy: bool = True,
        bandit: TinyBandit = FIFTEEN,
    ):
        """Compile the update.

        Args:
            slopes: the gradients of the loss; `by_jax(loss)` makes them.
            sampler: what draws the completions, by default the policy.
            size: G, the completions of a group.
            old_is_policy: whether `old_log_probs` are those of the policy, whatever
                has drawn the completions; else they are those of the sampler.
            bandit: whose groups are enumerated.
        """
        self.groups = np.array(list(product(range(len(bandit.tokens)), repeat=size)))
        self.slopes, self.sampler, self.old_is_policy = slopes, sampler, old_is_policy
        self.bandit, self.size = bandit, size
        self._sum_compiled = jax.jit(self._sum)

    def __call__(self, point: Point) -> Vector:
        """Return u at a point."""
        return np.asarray(self._sum_compiled(point).mean).ravel()

    def variance(self, point: Point) -> float:
        """Return the total variance of the update that a single group gives."""
        mean, slopes, probs = map(np.asarray, self._sum_compiled(point))
        directions = np.asarray(jax.jacfwd(self.bandit.token_log_probs)(point.logits))
        directions = directions.reshape(*directions.shape[:2], -1)[self.groups]
        each = np.einsum("ngt,ngtd->nd", slopes, directions)
        return float(probs @ np.sum(each**2, axis=1) - np.sum(mean**2))

    def jacobian(self, point: Point) -> Float[np.ndarray, "D D"]:
        """Return du/dtheta; the sampler and the old policy move along with theta.

        By central differences, whose error is about 1e-9 of the update in float64.
        """
        steps = STEP * np.eye(point.logits.size).reshape(-1, *point.logits.shape)
        columns = [
            self(point._replace(logits=point.logits + step))
            - self(point._replace(logits=point.logits - step))
            for step in steps
        ]
        return np.stack(columns, axis=1) / (2 * STEP)

    def _sum(self, point: Point) -> "Groups":
        """Return u, with the slopes and the probability of every group."""
        bandit = self.bandit
        drawn = self.sampler(point.logits)[bandit.prefixes, bandit.tokens]
        drawn *= bandit.mask
        policy, back = jax.vjp(bandit.token_log_probs, point.logits)
        old = stop_gradient(policy if self.old_is_policy else drawn)
        reference = bandit.token_log_probs(point.reference)
        tables = policy, old, reference, jnp.asarray(bandit.mask), point.rewards
        slopes = self.slopes(*(x[self.groups] for x in tables))
        probs = jnp.exp(drawn.sum(1)[self.groups].sum(1))
        # Groups are all tuples of completions, so that each place is an axis: the
        # weight of a completion is the sum over the completions at the other places.
        each = (-probs[:, None, None] * slopes).reshape(
            *[len(bandit.tokens)] * self.size, self.size, -1
        )
        places = range(self.size)
        weights = sum(
            each[..., place, :].sum([other for other in places if other != place])
            for place in places
        )
        return Groups(back(weights)[0], slopes, probs)


class _WithoutEnd(Exception):
    """Raised to stop following an update."""


class Groups(NamedTuple):
    """The expected update, and the groups that it is the mean of."""

    mean: Float[Array, "N V"]
    slopes: Float[Array, "n G T"]
    probs: Float[Array, "n"]


def examine_loss(
    update: Update, kl_weight: float, points: list[Point] | None = None
) -> Examination:
    """Return what the expected update of a loss is, and where it ends.

    Args:
        update: of the loss.
        kl_weight: beta of J = E[r] - beta KL(pi || pi_ref), with which it is compared.
        points: where it is compared; the terms must have equal weights at all of them.
    """
    points = points or update.bandit.points()
    updates = np.array([update(point) for point in points])
    gradients = known_gradients(update.bandit, points)
    terms, unexplained = explain(updates.ravel(), gradients)
    wanted = gradients["E[r]"] - kl_weight * gradients["KL(pi || ref)"]
    pairs = zip(updates, wanted.reshape(updates.shape), strict=True)
    return Examination(
        terms=terms,
        unexplained=unexplained,
        curl=max(curl(update.jacobian(point)) for point in points),
        cosines=np.array([_cosine(*pair) for pair in pairs]),
        groups_needed=float(
            np.median(
                [
                    100.0 * update.variance(point) / max(np.sum(u**2), 1e-300)
                    for point, u in zip(points, updates, strict=True)
                ]
            )
        ),
        leash=leash_strength(update, kl_weight),
        end=follow(update, points[0], kl_weight),
    )


def explain(
    target: Float[np.ndarray, "MD"], gradients: Gradients
) -> tuple[dict[str, float], float]:
    """Return the weights of known gradients whose sum is the update, and the rest.

    Least squares over all points at once: weights that hold at one point only explain
    nothing. Where no sum is exact, the few terms that explain most are returned.
    """
    size = np.linalg.norm(target)
    if size < NOTHING:
        return {}, 0.0
    names = list(gradients)
    weights, rest = _fit(gradients, names, target)
    if rest < EXACT:
        lengths = [np.linalg.norm(gradients[name]) for name in names]
        shares = np.abs(weights) * lengths / size
        names = [n for n, share in zip(names, shares, strict=True) if share > EXACT]
    else:
        names = _best_terms(gradients, target)
    weights, rest = _fit(gradients, names, target)
    return dict(zip(names, weights.tolist(), strict=True)), rest


def known_gradients(bandit: TinyBandit, points: list[Point]) -> Gradients:
    """Return the gradient of each of the bandit's `climbs`, point after point."""
    each = [_gradients_at(bandit)(point) for point in points]
    return {
        name: np.concatenate([np.asarray(at[name].logits).ravel() for at in each])
        for name in bandit.climbs()
    }


def curl(jacobian: Float[np.ndarray, "D D"]) -> float:
    """Return |(J - J^T) / 2| / |J|: 0 for the gradient of a function, else up to 1.

    A function's second derivatives do not depend on their order: the Jacobian of a
    gradient is symmetric. Source: Schwarz's theorem on mixed derivatives.
    """
    size = np.linalg.norm(jacobian)
    turning = np.linalg.norm(jacobian - jacobian.T) / 2
    return float(turning / size) if size else 0.0


def leash_strength(
    update: Update, kl_weight: float, distances: Sequence[float] = DISTANCES
) -> list[float]:
    """Return how strongly the policy is pulled back to the reference, near to it.

    1 is the strength of -beta grad KL(pi || pi_ref), in its direction. The leash is the
    update, less the update with the policy itself as the reference.

    Args:
        update: of the loss.
        kl_weight: beta.
        distances: of the policy from the reference, in logits.
    """
    start = update.bandit.points(1)[0]
    away = start.logits - start.reference
    found = []
    for distance in distances:
        logits = start.reference + distance * away / jnp.linalg.norm(away)
        point = start._replace(logits=logits)
        leash = update(point) - update(point._replace(reference=logits))
        slope = known_gradients(update.bandit, [point])["KL(pi || ref)"]
        found.append(float(-leash @ slope / (kl_weight * slope @ slope)))
    return found


def follow(update: Update, point: Point, kl_weight: float) -> End:
    """Follow the expected update from the reference on, until it ends."""
    bandit = update.bandit
    start = point._replace(logits=point.reference)
    end = _last(update, start)
    policy = np.asarray(bandit.probabilities(end.logits))
    still = np.linalg.norm(update(end)) < 2 * REST
    return End(
        policy=policy,
        objective=float(bandit.objective(end, kl_weight)),
        reference=float(bandit.objective(start, kl_weight)),
        optimum=float(bandit.optimal_objective(point, kl_weight)),
        at_rest=bool(still and policy.max() < 1.0 - CORNER),
    )


def _last(update: Update, start: Point) -> Point:
    """Return the last point of the flow: at rest, at a corner, or after MOST steps."""
    probabilities = jax.jit(update.bandit.probabilities)
    seen = [np.asarray(start.logits).ravel()]

    def at(logits: Vector) -> Point:
        return start._replace(logits=jnp.asarray(logits).reshape(start.logits.shape))

    def left(_: float, logits: Vector) -> float:
        """Return a number that falls below 0 at rest, and at a corner."""
        here = at(logits)
        corner = 1.0 - CORNER - float(probabilities(here.logits).max())
        return min(float(np.linalg.norm(update(here))) - REST, corner)

    def move(_: float, logits: Vector) -> Vector:
        seen.append(logits)
        if len(seen) > MOST:
            raise _WithoutEnd
        return update(at(logits))

    setattr(left, "terminal", True)  # noqa: B010 -- as solve_ivp asks for it
    ends = {"events": left, "rtol": 1e-5, "atol": 1e-8}
    with suppress(_WithoutEnd):
        way = solve_ivp(move, (0.0, HORIZON), seen[0], "LSODA", **ends)
        seen.append(way.y[:, -1])
    return at(seen[-1])


@cache
def _gradients_at(bandit: TinyBandit) -> Callable[[Point], dict[str, Point]]:
    """Return all known gradients at a point, as one compiled program."""

    def at(point: Point) -> dict[str, Point]:
        return {name: jax.grad(f)(point) for name, f in bandit.climbs().items()}

    return jax.jit(at)


def _best_terms(gradients: Gradients, target: Float[np.ndarray, "MD"]) -> list[str]:
    """Return the few terms that explain most, chosen one after the other."""
    chosen: list[str] = []
    rest = 1.0
    while len(chosen) < TERMS:
        rests = {
            name: _fit(gradients, [*chosen, name], target)[1]
            for name in gradients
            if name not in chosen
        }
        best = min(rests, key=rests.__getitem__)
        if rest - rests[best] < WORTH:
            break
        rest = rests[best]
        chosen.append(best)
    return chosen


def _fit(
    gradients: Gradients,
    names: list[str],
    target: Float[np.ndarray, "MD"],
) -> tuple[Float[np.ndarray, "terms"], float]:
    """Return the best weights of these terms, and the share that they leave."""
    if not names:
        return np.zeros(0), 1.0
    columns = np.stack([gradients[name] for name in names], axis=1)
    weights = np.linalg.lstsq(columns, target, rcond=None)[0]
    rest = np.linalg.norm(columns @ weights - target) / np.linalg.norm(target)
    return weights, float(rest)


def _cosine(first: Vector, second: Vector) -> float:
    """Return the cosine of the angle between two vectors; 0 if one of them is 0."""
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / lengths) if lengths else 0.0
