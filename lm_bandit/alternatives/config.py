"""The settings of the alternatives to PPO, and of their comparison.

No file that is imported here imports jax: `--help` needs the fields only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lm_bandit.config import RewardConfig, RLHFConfig, RunConfig, TuningConfig
from mdp.checks import unknown_name
from mdp.interface.configs import require_divisor, require_positive, sweepable

METHODS = "PPO,RLOO,REINFORCE,GRPO,expert iteration,DPO,online DPO".split(",")


@sweepable
@dataclass(frozen=True)
class GRPOConfig(TuningConfig):
    """Settings of GRPO, and by its dials those of Dr. GRPO and DAPO.

    Source: Shao et al. (2024); Liu et al. (2025) for Dr. GRPO; Yu et al. (2025) for
    DAPO.
    """

    infinite = ("clip", "clip_higher")

    # eps: a token's probability gains nothing more after changing by this share.
    clip: float = 0.2
    # Another eps for probabilities that rise (DAPO's clip-higher); by default that of
    # those that fall. 0.28 in Yu et al. (2025).
    clip_higher: float | None = None
    # Divide a group's advantages by the deviation of its scores; Dr. GRPO does not.
    divide_by_deviation: bool = True
    # Compare a completion with the mean of the others of its group only, as RLOO does.
    leave_out_own: bool = False
    # Weight of a token in the loss: 1 / the length of its completion (sequence_mean,
    # GRPO), 1 / the mean length in the batch (token_mean, DAPO), or 1 / the length
    # limit (constant, Dr. GRPO).
    over_tokens: Literal["sequence_mean", "token_mean", "constant"] = "sequence_mean"
    # Leave out groups whose scores are all equal, and let the others count for more, so
    # that the batch counts in full (DAPO's dynamic sampling).
    dynamic_sampling: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "clip")
        if self.clip_higher is not None:
            require_positive(self, "clip_higher")


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
    # Methods to compare, by name or as file.py:name (your own) [all of the book].
    methods: tuple[str, ...] = ()
    # Runs of each method, which differ by chance; usually 3 to 20.
    seeds: int = 8
    # Seed of the first run; those of the others follow it.
    first_seed: int = 0
    # Make the models of steps 0 to 2 once, from --seed, for all runs. By default each
    # run has its own, from the sum of --seed and its seed.
    shared_start: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seeds < 2:
            raise ValueError(f"seeds must be at least 2, got {self.seeds}")
        if self.first_seed < 0:
            raise ValueError(f"first_seed must not be negative, got {self.first_seed}")
        known = [known_method(one) for one in self.methods if ":" not in one]
        # This refuses now what one of them cannot do.
        method_configs(self.ppo, known if self.methods else METHODS)


def known_method(given: str) -> str:
    """Return the name of the method that is meant; raise ValueError where none is.

    Upper and lower case are equal, and so are spaces, hyphens and underscores.
    """

    def plain(name: str) -> str:
        return name.lower().replace("_", " ").replace("-", " ")

    for name in METHODS:
        if plain(name) == plain(given):
            return name
    raise unknown_name("method", given, METHODS)


def own_config(config: RLHFConfig) -> TuningConfig:
    """Return the settings of a method of one's own: the budget, beta and penalty."""
    return TuningConfig(**_shared(config))


def _shared(config: RLHFConfig) -> dict[str, Any]:
    """Return the settings that all methods have in common, by name."""
    names = "num_updates pulls kl_weight penalty temperature".split()
    return {name: getattr(config, name) for name in names}


def method_configs(
    config: RLHFConfig, names: Sequence[str] = METHODS
) -> dict[str, TuningConfig]:
    """Return the settings of PPO and its alternatives, with PPO's budget and beta.

    REINFORCE (Williams 1992) and RLOO (Ahmadian et al. 2024) are PPO with one gradient
    step for each batch: the ratio is 1, and the clip never acts.
    """
    shared = _shared(config)
    one_step = shared | {"epochs": 1, "minibatches": 1, "baseline": "none"}
    rloo = one_step | {"baseline": "leave_one_out", "step_size": 1e-2}
    kinds: dict[str, tuple[type[TuningConfig], dict[str, Any]]] = {
        "RLOO": (RLHFConfig, rloo),
        "REINFORCE": (RLHFConfig, one_step | {"step_size": 3e-3}),
        "GRPO": (GRPOConfig, shared | {"step_size": 1e-2}),
        "expert iteration": (ExpertConfig, shared | {"step_size": 1e-2}),
        "DPO": (DPOConfig, shared | {"writer": "reference", "step_size": 3e-3}),
        "online DPO": (DPOConfig, shared | {"writer": "policy", "step_size": 1e-3}),
    }
    return {
        name: config if name == "PPO" else kinds[name][0](**kinds[name][1])
        for name in names
    }
