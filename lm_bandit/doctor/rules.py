"""The rules of the doctor: the fault that the history of a run shows.

    finding = diagnose(curves, settings)      None: the history looks healthy

Each rule below is one function. It looks at a few curves, and returns the sentence that
it says, or nothing. The rules are asked in the order of `RULES`, and the first one that
says something is the diagnosis. Faults that break an identity come first, because they
also change the numbers that later rules look at.

    identities   log pi while writing = log pi of reading; nothing after the end counts;
                 reward = score - beta KL; each update has a random key of its own.
                 They hold in every sound run, up to rounding.
    curves       the objective does not fall; an update is a small step. They hold in
                 all usual runs.

A healthy history proves little: a reward that people do not want, or too few updates,
leave no trace in it.

Source: Schulman (2020), "Approximating KL divergence"; Huang et al. (2024), "The N
implementation details of RLHF with PPO".
Shapes: n updates.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Curves = Mapping[str, Float[np.ndarray, "n"]]
Settings = Mapping[str, Any]

# Identities hold in float32 to about 1e-5, and PPO stops a run at this gap.
ROUNDING = 1e-3
# A reward for each token, in deviations of the reward: 0 but for rounding.
BONUS = 0.01
# A sound update moves the policy by some hundredths of a nat. A single wild one proves
# nothing, so the rule looks at the one that 95% of a run's updates stay below: in sound
# runs that is at most 0.11 with completions as actions, and 0.05 with tokens.
MOST_UPDATES = 0.95
RESTLESS, RESTLESS_TOKEN = 0.14, 0.08
# The objective of sound runs does not fall at all; where the ratio is upside down, it
# falls by more than eighty standard errors.
FALL = 20.0
FEWEST = 5  # updates, for rules about the course of a run
MANY = 20  # updates, for a rule about one update in twenty


class Finding(NamedTuple):
    """The fault that a rule found."""

    fault: str
    saw: str  # with the numbers
    means: str
    look: str  # where in the program


class Rule(NamedTuple):
    """A fault, how to see it, and what to say about it."""

    fault: str
    symptom: Callable[[Curves, Settings], str]  # empty where there is none
    means: str
    look: str


def diagnose(curves: Curves, settings: Settings) -> Finding | None:
    """Return what the first broken rule found, or None for a healthy history.

    Args:
        curves: the fields of `History` and of its `improvement`, by name.
        settings: the fields of `RLHFConfig`, by name.
    """
    for rule in RULES:
        if saw := rule.symptom(curves, settings):
            return Finding(rule.fault, saw, rule.means, rule.look)
    return None


def not_finite(curves: Curves, settings: Settings) -> str:
    """Return at which update the first number is not finite."""
    for name, curve in curves.items():
        if not np.isfinite(curve).all():
            update = int(np.argmin(np.isfinite(curve))) + 1
            return f"{name} is not a finite number in update {update}."
    return ""


def padding_counts(curves: Curves, settings: Settings) -> str:
    """Return how much a text changes when only its padding is changed."""
    gap = curves["padding_gap"].max()
    if gap < ROUNDING:
        return ""
    return (
        "With other tokens after its end, a text should keep its score and its "
        f"log-probability; they change by up to {gap:.2g}."
    )


def two_temperatures(curves: Curves, settings: Settings) -> str:
    """Return the difference between log pi while writing, and while reading."""
    gap = curves["sampler_gap"].max()
    ratio = np.abs(curves["first_ratio"] - 1.0).max()
    if max(gap, ratio) < ROUNDING:
        return ""
    return (
        "Before the first gradient step the policy should give its own texts the "
        "probabilities with which it wrote them. Their logarithms differ by up to "
        f"{gap:.2g}, and the mean ratio differs from 1 by up to {ratio:.2g}; the "
        f"temperature of the run is {settings['temperature']:g}."
    )


def critic_sees_action(curves: Curves, settings: Settings) -> str:
    """Return how much the critic's value of a prompt depends on the completion."""
    gap = curves["value_gap"].max()
    if gap < ROUNDING:
        return ""
    return (
        "Before the first token, all completions of a prompt should have one value. "
        f"The critic's values for them differ by up to {gap:.2g}."
    )


def constant_reward(curves: Curves, settings: Settings) -> str:
    """Return the score, where all completions of all updates have the same."""
    score, error = curves["score"], curves["score_error"]
    if np.ptp(score) > ROUNDING or error.max() > ROUNDING:
        return ""
    loss = np.abs(curves["loss"]).max()
    return (
        f"All completions in all {len(score)} updates have the score {score[0]:.3g}; "
        f"the loss is {loss:.2g} at most."
    )


def pay_for_length(curves: Curves, sign: int) -> str:
    """Return what each token adds to the score, where it has this sign.

    It must be the same in all updates, but for those whose texts are equally long.
    """
    gap, bonuses = curves["score_gap"].max(), curves["length_bonus"]
    bonuses = bonuses[np.abs(bonuses) > BONUS]
    if gap < ROUNDING or not bonuses.size or sign * bonuses.mean() < 0:
        return ""
    if np.ptp(bonuses) > 0.1 * np.abs(bonuses.mean()):
        return ""
    first, last = curves["length"][[0, -1]]
    return (
        f"The scores differ from the reward model's own by up to {gap:.2g}: each token "
        f"more changes them by {bonuses.mean():+.2f}. The mean length goes from "
        f"{first:.2f} to {last:.2f} tokens."
    )


def length_bias(curves: Curves, settings: Settings) -> str:
    """Return how much a longer text is paid above the reward model's score."""
    return pay_for_length(curves, 1)


def padding_pays(curves: Curves, settings: Settings) -> str:
    """Return how much a shorter text is paid above the reward model's score."""
    return pay_for_length(curves, -1)


def other_score(curves: Curves, settings: Settings) -> str:
    """Return how far the scores are from the reward model's own."""
    gap = curves["score_gap"].max()
    if gap < ROUNDING:
        return ""
    return f"The scores differ from the reward model's own by up to {gap:.2g}."


def whitened_rewards(curves: Curves, settings: Settings) -> str:
    """Return the mean reward, where it is 0 and the objective is not."""
    reward, objective = curves["reward"], curves["objective"]
    asked = settings["reward_scaling"] == "whiten"
    if asked or np.abs(reward).max() > ROUNDING or np.abs(objective).max() < ROUNDING:
        return ""
    return (
        "The rewards of every batch have mean 0, whereas score - beta KL is "
        f"{objective[0]:.2f} at first and {objective[-1]:.2f} at last; reward_scaling "
        f"is {settings['reward_scaling']}, which keeps the mean."
    )


def kl_charge(curves: Curves) -> float:
    """Return b of reward = score + b KL, by least squares over the updates."""
    kl = curves["kl"]
    return float(kl @ (curves["reward"] - curves["score"]) / max(kl @ kl, 1e-12))


def kl_sign(curves: Curves, settings: Settings) -> str:
    """Return the charge for the KL, where it is a payment."""
    gap = np.abs(curves["reward"] - curves["objective"]).max()
    charge, beta = kl_charge(curves), curves["kl_weight"].mean()
    if settings["reward_scaling"] != "none" or gap < ROUNDING or charge < beta / 2:
        return ""
    first, last = curves["kl"][[0, -1]]
    return (
        f"The reward is score + {charge:.3g} KL, and should be score - {beta:.3g} KL. "
        f"The KL goes from {first:.2f} to {last:.2f} nats."
    )


def other_reward(curves: Curves, settings: Settings) -> str:
    """Return how far the reward is from score - beta KL."""
    gap = np.abs(curves["reward"] - curves["objective"]).max()
    if settings["reward_scaling"] != "none" or gap < ROUNDING:
        return ""
    return (
        f"The reward should be score - beta KL, and differs from it by up to {gap:.2g}."
    )


def reference_moves(curves: Curves, settings: Settings) -> str:
    """Return the KL, where it stays 0 and the policy moves."""
    kl, moved = np.abs(curves["kl"]).max(), curves["approx_kl"].sum()
    if len(curves["kl"]) < FEWEST or kl > ROUNDING or moved < ROUNDING:
        return ""
    return (
        f"The KL to the reference is {kl:.2g} nats at most. But the updates move the "
        f"policy, by {moved:.2g} nats in all, and the score goes from "
        f"{curves['score'][0]:.2f} to {curves['score'][-1]:.2f}."
    )


def old_log_probs_recomputed(curves: Curves, settings: Settings) -> str:
    """Return the approximate KL, where it is 0 and the gradient is not."""
    steps = settings["epochs"] * settings["minibatches"]
    moved, norm = np.abs(curves["approx_kl"]).max(), curves["gradient_norm"].mean()
    if steps < 2 or moved > 1e-9 or norm < ROUNDING:
        return ""
    return (
        f"An update takes {steps} gradient steps of mean norm {norm:.2g}, and still "
        "approx_kl and clip_fraction are exactly 0."
    )


def ratio_upside_down(curves: Curves, settings: Settings) -> str:
    """Return the objective at the start and at the end, where it falls."""
    objective, error = curves["objective"], curves["score_error"]
    part = max(len(objective) // 8, 1)
    first, last = objective[:part].mean(), objective[-part:].mean()
    noise = (error[:part].mean() + error[-part:].mean()) / part**0.5
    if len(objective) < FEWEST or first - last < FALL * noise:
        return ""
    return (
        f"The objective falls, from {first:.2f} to {last:.2f}, and with it the score, "
        f"from {curves['score'][0]:.2f} to {curves['score'][-1]:.2f}."
    )


def min_max_swapped(curves: Curves, settings: Settings) -> str:
    """Return how far updates move the policy, where that is far again and again."""
    moved = curves["approx_kl"]
    limit = RESTLESS_TOKEN if settings["view"] == "token" else RESTLESS
    if len(moved) < MANY or np.quantile(moved, MOST_UPDATES) < limit:
        return ""
    return (
        f"Each of {int(np.sum(moved > limit))} updates moves the policy by more than "
        f"{limit:g} nats (approx_kl), update {int(moved.argmax()) + 1} by "
        f"{moved.max():.2g}; and up to {curves['clip_fraction'].max():.0%} of the "
        "ratios are outside the clip range."
    )


def key_used_twice(curves: Curves, settings: Settings) -> str:
    """Return how many random keys the updates had, where most had an old one."""
    updates, keys = len(curves["fingerprint"]), len(np.unique(curves["fingerprint"]))
    if 2 * keys > updates:
        return ""
    return (
        f"The {updates} updates drew their random numbers with {keys} different keys "
        "(fingerprint); each should have a key of its own."
    )


RULES = (
    Rule(
        "not-finite",
        not_finite,
        "A number overflowed, or was divided by 0.",
        "Try a smaller step size; then look for log(0) and for 0 / 0.",
    ),
    Rule(
        "reward-at-pad",
        padding_counts,
        "The score or the log-probability is read at a pad, behind the end of a text.",
        "reward_model.score_after, generate.at_last_token, generate.completion_mask",
    ),
    Rule(
        "two-temperatures",
        two_temperatures,
        "Texts are sampled in one way and scored in another: usually the temperature "
        "is in one of them only.",
        "generate.draw_tokens, ppo.evaluate_completions",
    ),
    Rule(
        "critic-sees-action",
        critic_sees_action,
        "The critic has read the action that it is to judge, so that good actions get "
        "no advantage.",
        "ppo.critic_values, reward_model.prefix_values",
    ),
    Rule(
        "constant-reward",
        constant_reward,
        "The reward says nothing about the text. There is nothing to learn.",
        "ppo.score_pulls: does the reward model's score arrive there?",
    ),
    Rule(
        "length-bias",
        length_bias,
        "Long texts are paid for their length.",
        "ppo.score_pulls, and what is added to the scores",
    ),
    Rule(
        "padding-pays",
        padding_pays,
        "Short texts are paid for the padding behind them.",
        "ppo.score_pulls, and what is summed over the padding",
    ),
    Rule(
        "other-score",
        other_score,
        "The policy is not trained for the reward model's score.",
        "ppo.score_pulls",
    ),
    Rule(
        "whitened-rewards",
        whitened_rewards,
        "The mean of the rewards is removed. Their signs change, and a penalty for "
        "each token becomes a payment or the other way round.",
        "rewards.scaled",
    ),
    Rule(
        "kl-sign",
        kl_sign,
        "The KL is paid for and not charged: the policy is driven away from the "
        "reference.",
        "rewards.token_rewards: R = r - beta log(pi / pi_ref)",
    ),
    Rule(
        "other-reward",
        other_reward,
        "Something else is added to the reward, or something is missing in it.",
        "rewards.token_rewards, ppo.reward_pulls",
    ),
    Rule(
        "reference-moves",
        reference_moves,
        "The reference is not frozen: it moves along with the policy, and the penalty "
        "charges nothing.",
        "ppo.score_pulls: log pi_ref must come from the SFT model",
    ),
    Rule(
        "old-log-probs-recomputed",
        old_log_probs_recomputed,
        "The old log-probabilities are computed anew in every step, so that the ratio "
        "is always 1 and the clip limits nothing.",
        "policy_gradient.ppo.loss: batch.log_probs belong to the policy that wrote",
    ),
    Rule(
        "key-used-twice",
        key_used_twice,
        "Updates draw with the same random key, so that their batches are nearly the "
        "same: the policy learns from few texts.",
        "policy_gradient.training.scanned: a new key for every update",
    ),
    Rule(
        "ratio-upside-down",
        ratio_upside_down,
        "Good texts become rarer: the ratio is upside down, or a loss is raised.",
        "policy_gradient.objectives.importance_ratio, and the sign of the loss",
    ),
    Rule(
        "min-max-swapped",
        min_max_swapped,
        "Nothing keeps the policy near the one that wrote the batch: the clip does not "
        "act, or the steps are far too large.",
        "policy_gradient.objectives.clipped_surrogate; step_size and epochs",
    ),
)
