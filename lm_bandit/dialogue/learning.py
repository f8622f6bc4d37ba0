"""PPO on a dialogue: over both turns, and with each turn as a bandit of its own.

Both use the PPO of the second floor on the dialogue's MDP, and pay the price of the KL
with each answer, by the policy that gives it. They differ in one thing:

    over both turns    an answer earns what comes after it, too:  r + v(next prompt)
    turn by turn       an answer earns its own reward; what comes next is another
                       bandit, whose prompts come from dialogues by the reference

Source: Schulman et al. (2017); Ziegler et al. (2019), section 2.2, for the price.
Shapes: S prompts, A answers to each, n updates.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from lm_bandit.dialogue.talk import Talk, talk_mdp, with_end
from mdp import MDP
from policy_gradient import ppo, training
from policy_gradient.config import PPOConfig
from policy_gradient.policies import Policy, TabularParams, tabular_softmax, tabulate
from policy_gradient.rollout import to_jax
from policy_gradient.training import State

CONFIG = PPOConfig(
    num_updates=60,
    num_environments=64,
    num_steps=2,
    step_size=0.05,
    entropy_weight=0.0,
    trace_decay=1.0,
)


def learn_to_talk(
    keys: Key[Array, "seeds"],
    talk: Talk,
    turn_by_turn: bool = False,
    config: PPOConfig = CONFIG,
) -> Float[np.ndarray, "seeds n S A"]:
    """Return PPO's policy after each update, for each seed; it starts as pi_ref."""
    table = turns_apart(talk) if turn_by_turn else talk_mdp(talk)
    policy = policy_of(talk, table)
    learner, optimizer = ppo.learner(table, config, policy), config.make_optimizer()

    def update(
        state: State, key: Key[Array, ""]
    ) -> tuple[State, Float[Array, "states A"]]:
        """Charge answers for their distance from the reference, and update by PPO."""
        now = tabulate(policy, state.params, table.num_states).log_probs
        price = talk.kl_weight * (now - jnp.log(with_end(talk.reference)))
        paid = to_jax(table)._replace(rewards=table.rewards - price[:, :, None])
        new, _ = ppo.update(state, key, paid, policy, optimizer, config)
        return new, tabulate(policy, new.params, table.num_states).log_probs

    def train(key: Key[Array, ""]) -> Float[Array, "n states A"]:
        start_key, loop_key = jax.random.split(key)
        start = learner.start(start_key)
        return training.loop(loop_key, start, update, config.num_updates)[1]

    log_probs = np.asarray(jax.jit(jax.vmap(train))(keys), float)
    policies = np.exp(log_probs[:, :, :-1])  # without the end
    return policies / policies.sum(-1, keepdims=True)  # they are in float32


def turns_apart(talk: Talk) -> MDP:
    """Return the MDP in which each turn is an episode: half of them begin with turn 2.

    The second prompts come as they do in dialogues by the reference.
    """
    table = talk_mdp(talk)
    start = 0.5 * table.start
    start[:-1] += 0.5 * talk.reference[0] @ talk.replies
    return table.with_discount(0.0)._replace(start=start)


def policy_of(talk: Talk, table: MDP) -> Policy:
    """Return the policy with a preference for each answer, which starts as pi_ref."""
    plain = tabular_softmax(table)
    log_probs = jnp.log(with_end(talk.reference))

    def init(key: Key[Array, ""]) -> TabularParams:
        return plain.init(key)._replace(preferences=log_probs)

    return Policy(init, plain.apply)
