"""The settings of the world of sums, and of the methods that are tuned on it.

No file that is imported here imports jax: `--help` needs the fields only.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from lm_bandit.alternatives.config import GRPOConfig
from lm_bandit.config import (
    LanguageConfig,
    RLHFConfig,
    TransformerConfig,
    TuningConfig,
)
from mdp.checks import CheckedConfig, require_range
from mdp.interface.configs import require_positive


@dataclass(frozen=True)
class SumsConfig(CheckedConfig):
    """A run on the world of sums: the texts, the model, and six methods."""

    # Three numbers from 0 to 3, with the sum of the first two written before the
    # answer; by default two numbers from 0 to 9, and the answer alone.
    scratchpad: bool = False
    # Share of the sums in the texts that are wrong; large sums are wrong more often.
    noise: float = 0.3
    # beta: the price, in reward, of a nat of KL away from the SFT model; usually 0.001
    # to 0.1 with a verifier.
    kl_weight: float = 0.1
    # Batches of completions that each method writes and learns from.
    num_updates: int = 80
    # Completions of each prompt in a batch; usually 4 to 64. With few of them, answers
    # to hard prompts get lost.
    pulls: int = 4
    # Runs of each method, which differ by chance; usually 3 to 20.
    seeds: int = 3
    # Seed of the texts and of the models that all runs begin with.
    seed: int = 0
    # Size of the transformer.
    model: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(num_layers=1)
    )
    # Step 0: texts of every kind.
    pretraining: LanguageConfig = field(
        default_factory=lambda: LanguageConfig(num_updates=1200)
    )
    # Step 1: the format of an answer.
    sft: LanguageConfig = field(
        default_factory=lambda: LanguageConfig(num_updates=100, step_size=2e-3)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, 0.0, 0.3, "noise")
        require_positive(self, "kl_weight", "num_updates", "seeds")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        self.methods()  # this refuses a number of pulls that cannot be

    def methods(self) -> dict[str, TuningConfig]:
        """Return the settings of each method, with one budget and one beta for all.

        Dr. GRPO is GRPO without the deviation, and with a constant in place of each
        length. `outcome` and `process` are PPO on tokens, with exact advantages: of
        the whole text, or of each token. The step sizes of PPO, RLOO and GRPO had the
        best end of .001, .002 and .004, on one seed; the others have those of PPO and
        GRPO.
        Source: Liu et al. (2025), section 3.2, for Dr. GRPO.
        """
        shared: dict[str, Any] = {
            **{"num_updates": self.num_updates, "pulls": self.pulls},
            **{"kl_weight": self.kl_weight, "penalty": 0.0, "warm_up": 0.1},
        }
        ppo = RLHFConfig(**shared, step_size=2e-3)
        grpo = GRPOConfig(**shared, step_size=2e-3)
        tokens = replace(ppo, view="token")
        return {
            "PPO": ppo,
            "RLOO": replace(ppo, epochs=1, minibatches=1, step_size=4e-3),
            "GRPO": grpo,
            "Dr. GRPO": replace(
                grpo, divide_by_deviation=False, over_tokens="constant"
            ),
            "outcome": tokens,
            "process": tokens,
        }
