"""Each rule of the doctor speaks on its own fault only, and none on a sound history."""

import re
from pathlib import Path

import numpy as np
import pytest

from lm_bandit import ppo, rewards
from lm_bandit.config import RLHFConfig
from lm_bandit.diagnostics import named_curves
from lm_bandit.doctor import RULES, diagnose

NUM_UPDATES = 40


def settings(**changed):
    return vars(RLHFConfig(**changed))


def sound_history(seed=0):
    """A score that climbs with noise, a KL that follows, all identities kept."""
    rng = np.random.default_rng(seed)
    course = 1.0 - np.exp(-np.arange(NUM_UPDATES) / 8.0)
    zeros = np.zeros(NUM_UPDATES)
    score = 1.5 * course + rng.normal(0.0, 0.1, NUM_UPDATES)
    kl = 2.0 * course**2
    return {
        "score": score,
        "score_error": zeros + 0.1,
        "kl": kl,
        "objective": score - 0.07 * kl,
        "reward": score - 0.07 * kl,
        "length": 3.0 + 0.3 * course,
        "kl_weight": zeros + 0.07,
        "loss": -0.05 * (1.0 - course),
        "approx_kl": 0.03 * (1.0 - course) + 1e-4,
        "clip_fraction": 0.3 * (1.0 - course),
        "gradient_norm": zeros + 1.0,
        "first_ratio": zeros + 1.0,
        **dict.fromkeys(("sampler_gap", "padding_gap", "value_gap"), zeros + 1e-6),
        **dict.fromkeys(("score_gap", "length_bonus"), zeros),
        "fingerprint": rng.uniform(size=NUM_UPDATES),
    }


def sick_history(fault):
    """The history of a run with one fault, by its definition."""
    sound = sound_history()
    some, zeros = np.full(NUM_UPDATES, 0.3), np.zeros(NUM_UPDATES)
    constant = zeros - 4.0
    falling = -4.0 * (sound["score"] - 0.07 * sound["kl"])
    changed = {
        "not-finite": {"loss": np.where(np.arange(NUM_UPDATES) == 7, np.nan, 0.0)},
        "reward-at-pad": {"padding_gap": some},
        "two-temperatures": {"first_ratio": 1.0 + some},
        "critic-sees-action": {"value_gap": some},
        "constant-reward": {"score": constant, "score_error": zeros, "score_gap": some},
        "length-bias": {"score_gap": 4 * some, "length_bonus": some},
        "padding-pays": {"score_gap": 4 * some, "length_bonus": -some},
        "other-score": {"score_gap": some},
        "whitened-rewards": {"reward": zeros},
        "kl-sign": {"reward": sound["score"] + 0.07 * sound["kl"]},
        "other-reward": {"reward": sound["score"]},
        "reference-moves": {"kl": zeros, "reward": sound["objective"]},
        "old-log-probs-recomputed": {"approx_kl": zeros, "clip_fraction": zeros},
        "min-max-swapped": {"approx_kl": 2.0 * some},
        "ratio-upside-down": dict.fromkeys(("objective", "reward"), falling),
        "key-used-twice": {"fingerprint": some},
    }[fault]
    return sound | changed


@pytest.mark.parametrize("seed", range(5))
def test_a_sound_history_is_healthy(seed):
    assert diagnose(sound_history(seed), settings()) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.fault)
def test_each_fault_is_named_with_its_numbers(rule):
    finding = diagnose(sick_history(rule.fault), settings())
    assert finding is not None
    assert finding.fault == rule.fault
    assert re.search(r"\d", finding.saw)


def test_a_fault_that_was_asked_for_is_none():
    """Whitened rewards may be a setting, and one step cannot move the old policy."""
    whitened = sick_history("whitened-rewards")
    assert diagnose(whitened, settings(reward_scaling="whiten")) is None
    still = sick_history("old-log-probs-recomputed")
    assert diagnose(still, settings(epochs=1, minibatches=1)) is None


def test_a_single_wild_update_is_no_fault():
    sound = sound_history()
    sound["approx_kl"][[7, 30]] = 0.5
    assert diagnose(sound, settings()) is None
    sound["approx_kl"][20:23] = 0.5
    finding = diagnose(sound, settings())
    assert finding is not None
    assert finding.fault == "min-max-swapped"
    assert "Each of 5 updates" in finding.saw


def test_every_place_that_a_rule_names_exists():
    root = Path(__file__).parents[3]
    for rule in RULES:
        for module, name in re.findall(r"(\w+)\.(\w+)\b(?!\.\w)", rule.look):
            folders = (root / "lm_bandit", root / "policy_gradient")
            files = [folder / f"{module}.py" for folder in folders]
            texts = [file.read_text() for file in files if file.exists()]
            found = any(f"def {name}(" in text for text in texts)
            assert found or (module, name) == ("batch", "log_probs"), rule.look


@pytest.mark.slow
def test_a_trained_run_is_healthy_and_one_with_the_wrong_sign_is_not(
    fixed, monkeypatch
):
    import jax

    def history(config):
        _, found = ppo.train(jax.random.key(1), fixed, 3, config)
        return named_curves(found)

    config = RLHFConfig(num_updates=30, pulls=32, epochs=1, kl_weight=0.4)
    assert diagnose(history(config), vars(config)) is None
    sound = rewards.token_rewards
    monkeypatch.setattr(
        rewards,
        "token_rewards",
        lambda score, log_ratios, mask, kl_weight, at_end: sound(
            score, log_ratios, mask, -kl_weight, at_end
        ),
    )
    config = RLHFConfig(num_updates=31, pulls=32, epochs=1, kl_weight=0.4)
    finding = diagnose(history(config), vars(config))
    assert finding is not None
    assert finding.fault == "kl-sign"
