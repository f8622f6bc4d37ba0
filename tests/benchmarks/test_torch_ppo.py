"""The loop by hand in torch does our PPO: the same batch and the same gradient."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import lm_bandit, torch_ppo, trl_peers
from lm_bandit import bandit, ppo, transformer
from lm_bandit.config import TransformerConfig

torch = pytest.importorskip("torch", reason="torch comes with the benchmarks' extra")
pytest.importorskip("transformers", reason="it comes with the benchmarks' extra")

SIZE = TransformerConfig(num_layers=1, num_heads=2, d_model=16)
PULLS, LENGTH = lm_bandit.PPO.pulls, 6


def test_the_torch_loop_has_our_batch_and_our_gradient(monkeypatch):
    create = partial(transformer.init, vocabulary_size=8, context=12, config=SIZE)
    policy, reference = create(jax.random.key(0)), create(jax.random.key(1))
    scores = trl_peers.random_reward_model(reference)
    prompts = jnp.asarray(np.random.default_rng(0).integers(1, 7, (4, 6)))
    pulls = bandit.pull(policy, jax.random.key(2), prompts, PULLS, LENGTH)
    params, fixed = (
        ppo.ActorCritic(policy, scores),
        ppo.Fixed(prompts, reference, scores),
    )
    config = lm_bandit.PPO
    beta = jnp.asarray(config.kl_weight)
    ours, _ = ppo.estimate(params, pulls, fixed, beta, config)
    gradient, _ = jax.grad(ppo.loss, has_aux=True)(params, ours, prompts, config)

    both = [np.repeat(prompts, PULLS, 0), pulls.completions.reshape(-1, LENGTH)]
    texts = torch.tensor(np.concatenate(both, 1)).long()
    monkeypatch.setattr(torch_ppo, "sample", lambda *_: texts)
    actor, critic = torch_ppo.hugging_face(policy), torch_ppo.valued(scores)
    theirs = torch_ppo.collect(
        actor,
        torch_ppo.hugging_face(reference),
        critic,
        critic,
        texts[:, :6],
        LENGTH,
        config,
    )
    assert 0 < theirs["mask"].mean() < 1  # some end early
    mask = np.array(theirs["mask"])
    for name in ("log_probs", "advantages", "values"):
        expected = getattr(ours, name) * mask
        np.testing.assert_allclose(theirs[name] * mask, expected, atol=1e-5)
    torch_ppo.loss(
        actor, critic, {k: v.clone() for k, v in theirs.items()}, config
    ).backward()
    np.testing.assert_allclose(
        actor.transformer.wte.weight.grad, gradient.policy.wte, atol=1e-6
    )
    np.testing.assert_allclose(
        critic.head.weight.grad[0], gradient.critic.head, atol=1e-6
    )
