"""The settings of the alternatives to PPO, and of their comparison.

No file that is imported here imports jax: `--help` needs the fields only.
"""

from dataclasses import dataclass, field
from typing import Literal

from lm_bandit.config import RewardConfig, RLHFConfig, RunConfig, TuningConfig
from mdp.interface.configs import require_divisor, require_positive, sweepable


@sweepable
@dataclass(frozen=True)
class GRPOConfig(TuningConfig):
    """Settings of GRPO."""

    infinite = ("clip",)

    # eps: a token's probability gains nothing more after changing by this share.
    clip: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "clip")


@sweepable
@dataclass(frozen=True)
class ExpertConfig(TuningConfig):
    """Settings of expert iteration."""

    # Completions of which the best one is kept; 32 in Dong et al. (2023).
    best_of: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require_divisor("best_of", self.best_of, "pulls", self.pulls)
        kept = self.pulls // self.best_of
        require_divisor("minibatches", self.minibatches, "pulls / best_of", kept)


@sweepable
@dataclass(frozen=True)
class DPOConfig(TuningConfig):
    """Settings of DPO."""

    # Who writes the pairs: SFT, once for all, or the policy as it learns (online DPO).
    writer: Literal["reference", "policy"] = "reference"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_divisor("2", 2, "pulls", self.pulls)
        require_divisor("minibatches", self.minibatches, "pulls / 2", self.pulls // 2)


@dataclass(frozen=True)
class KTOConfig(RewardConfig):
    """Settings of KTO: random batches of labels, by Adam with a falling step size."""

    # beta: the price of a nat of KL, in reward.
    kl_weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "kl_weight")


@dataclass(frozen=True)
class CompareConfig(RunConfig):
    """The shared start, PPO's settings, and how many runs."""

    # Step 3, PPO; num_updates, pulls, kl_weight, penalty and temperature are those of
    # all methods.
    ppo: RLHFConfig = field(default_factory=lambda: RLHFConfig(pulls=16))
    # Runs of each method, which differ by chance; usually 3 to 20.
    seeds: int = 8
    # Seed of the first run; those of the others follow it. The models of steps 0 to 2
    # come from --seed, and all runs share them.
    first_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seeds < 2:
            raise ValueError(f"seeds must be at least 2, got {self.seeds}")
        if self.first_seed < 0:
            raise ValueError(f"first_seed must not be negative, got {self.first_seed}")
        method_configs(self.ppo)  # refuses now what one of them cannot do


def method_configs(config: RLHFConfig) -> dict[str, TuningConfig]:
    """Return the settings of PPO and its alternatives, with PPO's budget and beta.

    REINFORCE (Williams 1992) and RLOO (Ahmadian et al. 2024) are PPO with one gradient
    step for each batch: the ratio is 1, and the clip never acts.
    """
    names = "num_updates pulls kl_weight penalty temperature".split()
    shared = {name: getattr(config, name) for name in names}
    one_step = shared | {"epochs": 1, "minibatches": 1}
    return {
        "PPO": config,
        "RLOO": RLHFConfig(**one_step, baseline="leave_one_out", step_size=1e-2),
        "REINFORCE": RLHFConfig(**one_step, baseline="none", step_size=3e-3),
        "GRPO": GRPOConfig(**shared, step_size=1e-2),
        "expert iteration": ExpertConfig(**shared, step_size=1e-2),
        "DPO": DPOConfig(**shared, writer="reference", step_size=3e-3),
        "online DPO": DPOConfig(**shared, writer="policy", step_size=1e-3),
    }
