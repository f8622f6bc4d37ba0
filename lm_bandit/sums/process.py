"""A perfect reward of the process: what each token gains, exactly.

    A(s, a)  =  q(s, a) - v(s),      v(s)  =  sum_a pi(a|s) q(s, a)
    q(s, a)  =  r(s, a) - beta log(pi(a|s) / pi_ref(a|s)) + v(s a)

A verifier judges whole texts. RLOO gives each token of a text the same advantage, that
of the text. In the text MDP (`oracle/text_mdp.py`) a token has a value of its own. A
wrong step that can be repaired costs little. After a step that makes a right answer
impossible, later tokens lose nothing more. In this small world q and v are known, for
the policy as it is *now*. Both advantages have the same expected gradient; this one
lacks the noise of the tokens that follow.

Where nobody can enumerate, process reward models estimate this difference.

Source: Schulman et al. (2016), section 3, for the advantage of the least variance;
Lightman et al. (2023); Wang et al. (2024), "Math-Shepherd"; Setlur et al. (2024),
"Rewarding progress", for q - v as the reward of a step.
Shapes: k prompts, E prefixes, V tokens, n pulls, C tokens of a completion.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from lm_bandit import ppo
from lm_bandit.bandit import Pulls, pull
from lm_bandit.config import RLHFConfig
from lm_bandit.oracle.trie import node_logits
from lm_bandit.ppo import ActorCritic, Fixed
from lm_bandit.reward_table import RewardTable
from lm_bandit.transformer import Transformer
from lm_bandit.world import END
from policy_gradient import training
from policy_gradient.improvement import improve


class Steps(NamedTuple):
    """The text MDP of every prompt, as arrays."""

    references: Float[Array, "k E V"]  # log pi_ref of each token
    outcomes: Float[Array, "k E V"]  # reward of each token: that of a text at its end
    next_prefixes: Int[Array, "E V"]  # E where the text is over


class ProcessState(NamedTuple):
    """The state of training, between two updates."""

    params: ActorCritic
    optimizer_state: optax.OptState


def text_steps(fixed: Fixed, length: int, penalty: float) -> Steps:
    """Return the text MDP of every prompt, with the rewards of a table."""
    table = fixed.reward_model
    if not isinstance(table, RewardTable):
        raise ValueError("the reward must be a table, got a reward model")
    logits = node_logits(fixed.reference, fixed.prompts, length)
    _, num_prefixes, num_tokens = logits.shape
    prefixes = jnp.arange(num_prefixes)[:, None]
    longer = (num_tokens - 1) * prefixes + jnp.arange(num_tokens)
    next_prefixes = jnp.minimum(longer, num_prefixes).at[:, END].set(num_prefixes)
    is_cut_off = (longer >= num_prefixes) & (jnp.arange(num_tokens) != END)
    outcomes = jnp.broadcast_to(penalty * is_cut_off, logits.shape)
    outcomes = outcomes.at[..., END].set(table.scores)
    return Steps(jax.nn.log_softmax(logits), outcomes, next_prefixes)


def text_values(
    policy: Float[Array, "E V"],
    rewards: Float[Array, "E V"],
    next_prefixes: Int[Array, "E V"],
    length: int,
) -> Float[Array, "E"]:
    """Return v of every prefix of one prompt, by as many backups as a text has tokens.

        v(s)  <-  sum_a pi(a|s) [ r(s, a) + v(s a) ]

    Source: Sutton & Barto (2018), eq. 4.5.
    """
    values = jnp.zeros(len(policy))
    for _ in range(length):
        following = jnp.append(values, 0.0)[next_prefixes]
        values = jnp.sum(policy * (rewards + following), axis=1)
    return values


def process_advantages(
    values: Float[Array, "E"],
    rewards: Float[Array, "E V"],
    next_prefixes: Int[Array, "E V"],
) -> Float[Array, "E V"]:
    """Return A(s, a) = q(s, a) - v(s) of every token a after every prefix s.

        q(s, a)  =  r(s, a) + v(s a),      v = 0 where the text is over

    Entry [s, a] of `next_prefixes` is the number of the prefix s a, and E, one more
    than the last number, where the text is over.
    Source: Schulman et al. (2016), eq. 10; the text MDP has no chance in its steps.
    """
    following = jnp.append(values, 0.0)[next_prefixes]
    return rewards + following - values[:, None]


def priced_rewards(
    policy: Transformer, fixed: Fixed, steps: Steps, length: int, kl_weight: float
) -> tuple[Float[Array, "k E V"], Float[Array, "k E V"]]:
    """Return log pi of every token, and its reward less the price of the KL."""
    logits = node_logits(policy, fixed.prompts, length)
    log_probs = jax.nn.log_softmax(logits)
    return log_probs, steps.outcomes - kl_weight * (log_probs - steps.references)


def exact_objective(
    policy: Transformer, fixed: Fixed, steps: Steps, length: int, kl_weight: float
) -> Float[Array, ""]:
    """Return J, the mean over the prompts of v at the empty prefix; in float32."""
    log_probs, rewards = priced_rewards(policy, fixed, steps, length, kl_weight)
    values = jax.vmap(partial(text_values, length=length), (0, 0, None))
    return values(jnp.exp(log_probs), rewards, steps.next_prefixes)[:, 0].mean()


def train(
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: RLHFConfig,
    credit: str = "process",
) -> Transformer:
    """Tune the reference with exact advantages of the tokens that it samples.

    process   each token has its own, q - v
    outcome   each token has that of its text, R - v of the prompt: their sum

    Returns the policy after every update, along a leading axis.
    Source: Schulman et al. (2017), algorithm 1.
    """
    params = ActorCritic(fixed.reference, None)
    start = ProcessState(params, config.optimizer().init(params))
    steps = text_steps(fixed, length, config.penalty)

    def advance(
        state: ProcessState, key: Key[Array, ""]
    ) -> tuple[ProcessState, Transformer]:
        state = update(state, key, fixed, steps, length, config, credit)
        return state, state.params.policy

    return training.loop(key, start, advance, config.num_updates)[1]


def update(
    state: ProcessState,
    key: Key[Array, ""],
    fixed: Fixed,
    steps: Steps,
    length: int,
    config: RLHFConfig,
    credit: str,
) -> ProcessState:
    """Pull completions, look up the gain of each of their tokens, and improve."""
    pull_key, improve_key = jax.random.split(key)
    params, optimizer_state = state
    pulls = pull(
        params.policy, pull_key, fixed.prompts, config.pulls, length, config.temperature
    )
    scored = ppo.score_pulls(None, pulls, fixed, config)
    kl_weight = jnp.asarray(config.kl_weight)
    trajectories = ppo.reward_pulls(pulls, scored, kl_weight, config)
    batch = ppo.compare_pulls(pulls.completions, trajectories, config)
    gains = token_gains(params.policy, pulls, fixed, steps, config.kl_weight)
    if credit == "outcome":
        gains = jnp.broadcast_to(gains.sum(-1, keepdims=True), gains.shape)
    batch = batch._replace(advantages=gains.reshape(batch.advantages.shape))
    improved = improve(
        params,
        optimizer_state,
        improve_key,
        batch,
        partial(ppo.loss, prompts=fixed.prompts, config=config),
        config.optimizer(),
        config,
    )
    return ProcessState(improved.params, improved.optimizer_state)


def token_gains(
    policy: Transformer, pulls: Pulls, fixed: Fixed, steps: Steps, kl_weight: float
) -> Float[Array, "k n C"]:
    """Return the exact advantage of each token that was pulled; 0 on the padding.

    Their sum over a completion is its reward less v of the prompt.
    """
    length = pulls.completions.shape[-1]
    log_probs, rewards = priced_rewards(policy, fixed, steps, length, kl_weight)

    def of_prompt(
        log_probs: Float[Array, "E V"],
        rewards: Float[Array, "E V"],
        completions: Int[Array, "n C"],
    ) -> Float[Array, "n C"]:
        following = steps.next_prefixes
        values = text_values(jnp.exp(log_probs), rewards, following, length)
        gains = process_advantages(values, rewards, following)
        return jax.vmap(look_up_tokens, (None, 0, None))(gains, completions, following)

    return jax.vmap(of_prompt)(log_probs, rewards, pulls.completions)


def look_up_tokens(
    table: Float[Array, "E V"],
    completion: Int[Array, "C"],
    next_prefixes: Int[Array, "E V"],
) -> Float[Array, "C"]:
    """Return the entry of each token of a completion after its prefix; 0 on padding."""
    prefix, found = jnp.zeros((), int), []
    for token in completion:
        found.append(table.at[prefix, token].get(mode="fill", fill_value=0.0))
        prefix = next_prefixes.at[prefix, token].get(mode="fill", fill_value=len(table))
    return jnp.stack(found)
