"""Settings of the algorithms, one frozen dataclass each.

To jax a config is a tree whose leaves are its floats, so that a sweep over them is one
`vmap`. Methods import optax when they are called: `--help` needs the fields only.

Source: Sutton & Barto (2018), pp. 330 and 332; Schulman et al. (2017), table 3.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mdp.checks import CheckedConfig
from mdp.configs import ControlConfig
from mdp.interface import configs

if TYPE_CHECKING:
    import jax
    import optax

Baseline = Literal["none", "constant", "average", "leave_one_out", "value"]


@configs.sweepable
@dataclass(frozen=True)
class ReinforceConfig(CheckedConfig):
    """REINFORCE on a finite MDP (Sutton & Barto 2018, p. 330)."""

    num_updates: int = 200  # batches, with one gradient step each
    num_episodes: int = 16  # of a batch
    time_limit: int = 100  # steps after which an episode is cut off
    optimizer: Literal["adam", "sgd"] = "adam"  # S&B's is sgd: theta + alpha grad
    step_size: float = 0.05  # of the optimiser
    baseline: Baseline = "average"
    constant: float = 0.0  # the baseline "constant", in units of return
    value_weight: float = 0.5  # of the squared error, for the baseline "value"
    weigh_by_discount: bool = True  # gamma^t at step t, as J = E[G_0] has it

    def __post_init__(self) -> None:
        super().__post_init__()
        fields = "num_updates num_episodes time_limit step_size"
        configs.require_positive(self, *fields.split())
        if self.baseline == "leave_one_out" and self.num_episodes < 2:
            raise ValueError(
                "num_episodes must be at least 2 for the baseline leave_one_out, "
                f"got {self.num_episodes}"
            )

    @property
    def num_environments(self) -> None:
        """No environment runs on from batch to batch: each starts new episodes."""

    def make_optimizer(self) -> "optax.GradientTransformation":
        """Return the optimiser of that name, with a constant step size."""
        import optax

        optimizers = {"adam": optax.adam, "sgd": optax.sgd}
        return optimizers[self.optimizer](self.step_size)


@configs.sweepable
@dataclass(frozen=True)
class ActorCriticConfig(CheckedConfig):
    """Actor-critic on a finite MDP (Sutton & Barto 2018, p. 332)."""

    num_updates: int = 2000  # batches, with one gradient step each
    num_environments: int = 16  # side by side
    num_steps: int = 8  # n, of each environment in a batch
    time_limit: int = 200  # steps after which an episode is cut off
    step_size: float = 0.05  # of Adam
    trace_decay: float = 0.95  # lambda of GAE; 1 is A2C's n-step return
    value_weight: float = 0.5  # of the critic's squared error
    entropy_weight: float = 0.01  # of the entropy bonus, in return per nat

    def __post_init__(self) -> None:
        super().__post_init__()
        fields = "num_updates num_environments num_steps time_limit step_size"
        configs.require_positive(self, *fields.split())
        configs.require_in_unit_interval(self, "trace_decay")
        configs.require_not_negative(self, "value_weight", "entropy_weight")

    def make_optimizer(self) -> "optax.GradientTransformation":
        """Return Adam, with a constant step size."""
        import optax

        return optax.adam(self.step_size)


@configs.sweepable
@dataclass(frozen=True)
class ImproveConfig(CheckedConfig):
    """PPO's use of one batch (Schulman et al. 2017, section 5 and table 3)."""

    infinite = ("clip", "kl_limit")

    epochs: int = 4  # passes over the batch
    minibatches: int = 4  # gradient steps per pass
    clip: float = 0.2  # eps: the ratio's range; inf is eq. 6, without a clip
    clip_values: bool = False  # the critic too, as in the authors' code, by eps
    kl_limit: float = 1e9  # no step beyond it, in nats (Spinning Up has 0.015)
    value_weight: float = 0.5  # c_1 of eq. 9, of the critic's squared error
    entropy_weight: float = 0.0  # c_2 of eq. 9, of the entropy, in reward per nat

    def __post_init__(self) -> None:
        super().__post_init__()
        configs.require_positive(self, "epochs", "minibatches", "clip", "kl_limit")
        configs.require_not_negative(self, "value_weight", "entropy_weight")


@configs.sweepable
@dataclass(frozen=True)
class PPOConfig(ImproveConfig):
    """PPO on a finite MDP (Schulman et al. 2017, algorithm 1)."""

    num_updates: int = 200  # batches, with epochs * minibatches gradient steps each
    num_environments: int = 64  # side by side
    num_steps: int = 16  # of each environment in a batch
    time_limit: int = 200  # steps after which an episode is cut off
    step_size: float = 0.2  # of Adam, annealed to 0 linearly
    trace_decay: float = 0.9  # lambda of GAE (Schulman et al. 2016)
    normalize_advantages: bool = True  # over the batch, as in the authors' code
    entropy_weight: float = 0.7  # times (share of the updates left)^2: first explore

    def __post_init__(self) -> None:
        super().__post_init__()
        fields = "num_updates num_environments num_steps time_limit step_size"
        configs.require_positive(self, *fields.split())
        configs.require_in_unit_interval(self, "trace_decay")
        size = self.num_environments * self.num_steps
        configs.require_divisor("minibatches", self.minibatches, "the batch", size)

    def entropy_weight_at(self, steps: "jax.Array") -> "jax.Array":
        """Return the weight of the entropy bonus after that many environment steps."""
        steps_in_all = self.num_updates * self.num_environments * self.num_steps
        return self.entropy_weight * (1.0 - steps / steps_in_all) ** 2

    def make_optimizer(self) -> "optax.GradientTransformation":
        """Return Adam, with a step size that falls to 0 linearly."""
        import optax

        num_steps = self.num_updates * self.epochs * self.minibatches
        return optax.adam(optax.linear_schedule(self.step_size, 0.0, num_steps))


# A comparison: the algorithms that it knows by name with their settings, the one that
# takes no steps because it knows the model, and usual numbers.
ALGORITHMS: dict[str, Any] = {
    "q_learning": ControlConfig(),
    "sarsa": ControlConfig(),
    "reinforce": ReinforceConfig(baseline="none"),
    "reinforce_baseline": ReinforceConfig(baseline="value"),
    "actor_critic": ActorCriticConfig(),
    "ppo": PPOConfig(),
}
REFERENCE = "value_iteration"
TIME_LIMIT = 200  # steps after which an episode is cut off
NUM_CHECKPOINTS = 20  # at which policies are judged


@dataclass(frozen=True)
class ComparisonConfig(CheckedConfig):
    """A comparison of algorithms in worlds, and where its results go."""

    worlds: tuple[str, ...] = ("cliff_walking", "frozen_lake")  # or file.py:name
    algorithms: tuple[str, ...] = (*ALGORITHMS, REFERENCE)  # or file.py:name
    seeds: int = 32  # runs of each algorithm in each world
    steps: int = 200_000  # environment steps of each run
    time_limit: int = TIME_LIMIT  # steps after which an episode is cut off
    checkpoints: int = NUM_CHECKPOINTS  # at which policies are judged
    first_seed: int = 0  # the others follow it
    sweep: str | None = None  # field=value,value,...: one field of all configs
    # A folder for runs.csv, comparison.json and comparison.png; with it, the same
    # command goes on where it was stopped.
    out: Path | None = None
    overwrite: bool = False  # replace the results in that folder
