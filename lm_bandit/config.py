"""Every dial of PPO for RLHF, with where it comes from and what is usual.

A dial that is at its default takes nothing away from the plain page: `ppo.py` with one
completion as one action, a leave-one-out baseline and a fixed beta.
"""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from mdp.interface.configs import (
    require_divisor,
    require_in_unit_interval,
    require_positive,
    sweepable,
)
from policy_gradient.config import ImproveConfig


@sweepable
@dataclass(frozen=True)
class TuningConfig:
    """Settings that PPO and its alternatives share: budget, beta and the optimizer."""

    num_updates: int = 120  # batches
    pulls: int = 64  # completions of each prompt in a batch (512 in all are usual)
    epochs: int = 4  # Ziegler et al. (2019) too; 3 to 10 in Schulman et al. (2017)
    minibatches: int = 2  # of each epoch; usually 1 to 8
    kl_weight: float = 0.07  # beta; 0.01 to 0.2 are usual (0.02: Ouyang et al. 2022)
    penalty: float = -4.0  # instead of the score where nothing ends (2019, section 2.3)
    temperature: float = 1.0  # of sampling *and* scoring; 0.7 in Ziegler et al. (2019)
    step_size: float = 4e-3  # peak; 1e-5 and less for large models
    schedule: Literal["constant", "linear", "cosine"] = "cosine"  # linear in 2017
    warm_up: float = 0.3  # share of the steps in which the step size rises: with a fast
    # start the policy forgets completions that are rare and good; usually less
    max_gradient_norm: float = 0.5  # longer ones are cut to it (Huang et al. 2022: 0.5)

    def __post_init__(self) -> None:
        names = "num_updates epochs minibatches step_size max_gradient_norm"
        require_positive(self, *names.split(), "kl_weight", "temperature")
        require_in_unit_interval(self, "warm_up")
        if self.pulls < 2:
            raise ValueError(f"pulls must be at least 2, got {self.pulls}")
        require_divisor("minibatches", self.minibatches, "pulls", self.pulls)

    def optimizer(self) -> optax.GradientTransformation:
        """Adam on gradients that are cut, with the schedule of the step size."""
        cut = optax.clip_by_global_norm(self.max_gradient_norm)
        return optax.chain(cut, optax.adam(self.step_size_at))

    def step_size_at(self, step: int | Int[Array, ""]) -> Float[Array, ""]:
        """From 0 up to the peak, and from there on as the schedule says."""
        share = step / (self.num_updates * self.epochs * self.minibatches)
        left = jnp.clip((1.0 - share) / (1.0 - self.warm_up), 0.0, 1.0)
        falling = {
            "constant": 1.0,
            "linear": left,
            "cosine": 0.5 * (1.0 - jnp.cos(jnp.pi * left)),
        }[self.schedule]
        rising = share / jnp.maximum(self.warm_up, 1e-9)
        return self.step_size * jnp.where(rising < 1.0, rising, falling)


@sweepable
@dataclass(frozen=True)
class RLHFConfig(TuningConfig, ImproveConfig):
    """PPO on the prompts, by Adam."""

    clip: float = 0.13  # of a whole completion's ratio; 0.2 is usual for a token's

    # The action, and what it earns.
    view: Literal["completion", "token"] = "completion"  # tokens: Ziegler et al. (2019)
    over_tokens: Literal["sum", "sequence_mean", "token_mean"] = "sum"  # see views.py
    kl_at: Literal["tokens", "end"] = (
        "tokens"  # where it is charged: Ouyang's are tokens
    )
    kl_target: float | None = None  # nats; adapts beta (Ziegler et al. 2019: 6 to 10)
    kl_gain: float = 0.1  # of that controller (Ziegler et al. 2019, section 2.2)
    reward_scaling: Literal["none", "scale", "whiten"] = (
        "none"  # keep, or remove, the mean
    )

    # What it is compared with.
    baseline: Literal["none", "constant", "average", "leave_one_out", "value"] = (
        "leave_one_out"  # Ahmadian et al. (2024); a critic: Ziegler et al. (2019)
    )
    baseline_value: float = 0.0  # of the constant one
    trace_decay: float = 0.95  # lambda of GAE with a critic (Ouyang et al. 2022)
    value_weight: float = 0.1  # of a critic's error (Ziegler et al. 2019)
    normalize_advantages: bool = False  # "whitening": usual with a critic (2019, code)
    pretraining_weight: float | None = None  # gamma of obj(phi); 27.8 in Ouyang et al.

    def __post_init__(self) -> None:
        TuningConfig.__post_init__(self)
        ImproveConfig.__post_init__(self)
        require_positive(self, "kl_gain")
        require_in_unit_interval(self, "trace_decay")
        for name in ("kl_target", "pretraining_weight"):
            if getattr(self, name) is not None:
                require_positive(self, name)
