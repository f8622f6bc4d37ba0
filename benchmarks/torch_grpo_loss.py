"""TRL's loss of GRPO, examined: the library's own lines, called with our groups.

    python -m lm_bandit examine benchmarks/torch_grpo_loss.py:loss

The loss is a method of TRL's trainer, which reads a few attributes of the trainer and
nothing else. So it can be called with those alone. Advantages come from elsewhere in
TRL, where their deviation divides by G - 1. Here it divides by G, as ours does.

Source: Shao et al. (2024), "DeepSeekMath", eq. 3, as TRL 1.11 computes it.
"""

from collections import defaultdict
from types import SimpleNamespace

# The trainer's settings: TRL's usual ones, but for beta and the kind of mean.
SETTINGS = {
    "beta": 0.1,
    "epsilon_low": 0.2,
    "epsilon_high": 0.2,
    "loss_type": "grpo",  # a mean over the tokens of each completion
    "importance_sampling_level": "token",
    "top_entropy_quantile": 1.0,
    "off_policy_mask_threshold": None,
    "use_vllm": False,
    "aux_loss_enabled": False,
    "_entropy_bonus_enabled": False,
    "args": SimpleNamespace(delta=None, use_bias_correction_kl=False),
    "model": SimpleNamespace(training=False),
}


def loss(log_probs, old_log_probs, reference_log_probs, mask, rewards):
    """Return the loss that TRL's GRPOTrainer gives to a group of completions."""
    import torch
    from trl import GRPOTrainer

    trainer = SimpleNamespace(
        **SETTINGS, _metrics=defaultdict(lambda: defaultdict(list))
    )
    trainer.accelerator = SimpleNamespace(  # for what TRL logs
        reduce=lambda *_, **__: torch.zeros(2), gather=lambda _: torch.zeros(1)
    )
    trainer._get_per_token_logps_and_entropies = lambda *_, **__: (log_probs, mask, 0)
    names = "prompt_ids", "prompt_mask", "completion_ids", "completion_mask"
    inputs = {**dict.fromkeys(names, mask), "old_per_token_logps": old_log_probs}
    inputs["ref_per_token_logps"] = reference_log_probs
    deviation = rewards.std(correction=0) + 1e-4
    inputs["advantages"] = (rewards - rewards.mean()) / deviation
    return GRPOTrainer._compute_loss(trainer, None, inputs)
