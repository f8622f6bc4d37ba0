"""How far training comes, by exact performance."""

import jax

import mdp
from policy_gradient import exact
from policy_gradient.policies import policy_table


def shares_of_the_way(learn, keys, world, policy):
    """J of the policy learned with each key: 0 if uniform, 1 if optimal."""
    learned = jax.jit(jax.vmap(learn))(keys)
    optimum = world.start @ mdp.value_iteration(world).values
    uniform = exact.performance(world, mdp.uniform_policy(world))
    for i in range(len(keys)):
        params = jax.tree.map(lambda x, i=i: x[i], learned)
        table = policy_table(policy, params, world.num_states)
        yield (exact.performance(world, table) - uniform) / (optimum - uniform)
