"""The KL, against sums over everything that could be said."""

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.oracle.exact import LogProbs, kl
from tests.lm_bandit import inputs


def test_it_is_what_the_policy_says_and_the_other_would_not(rng):
    policy, other = inputs.policy(rng), inputs.policy(rng)
    total = 0.0
    for x in range(2):
        for name in ("ended", "cut_off"):
            pairs = zip(getattr(policy, name)[x], getattr(other, name)[x], strict=True)
            total += sum(np.exp(p) * (p - q) for p, q in pairs) / 2
    assert_allclose(kl(policy, other), total, rtol=1e-9)
    assert kl(policy, other) > 0.0
    assert_allclose(kl(policy, policy), 0.0, atol=1e-12)


def test_a_policy_that_says_one_thing_has_left_its_reference_by_that_things_surprise():
    sure = LogProbs(np.array([[0.0, -50.0]]), np.array([[-50.0]]))
    other = LogProbs(np.log([[0.1, 0.6]]), np.log([[0.3]]))
    assert_allclose(kl(sure, other), np.log(10.0), rtol=1e-9)
