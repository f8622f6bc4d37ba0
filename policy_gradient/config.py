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

    # Batches of episodes, with one gradient step each; usually 100 to 10,000.
    num_updates: int = 200
    # Episodes of a batch; usually 1 to 100.
    num_episodes: int = 16
    # Steps after which an episode is cut off.
    time_limit: int = 100
    # Rule for a step: sgd is alpha times the gradient, adam scales each number itself.
    optimizer: Literal["adam", "sgd"] = "adam"
    # alpha: the size of a step; usually 0.001 to 0.1 with adam.
    step_size: float = 0.05
    # b: what a return is compared with, to make the gradient less noisy.
    baseline: Baseline = "average"
    # The baseline "constant", in units of return.
    constant: float = 0.0
    # Weight of the critic's squared error, for the baseline "value"; usually 0.5.
    value_weight: float = 0.5
    # Weigh step t by gamma^t, as J = E[G_0] asks for; many programs leave it out.
    weigh_by_discount: bool = True

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

    # Batches of steps, with one gradient step each; usually 1,000 to 100,000.
    num_updates: int = 2000
    # Copies of the world that run side by side; usually 8 to 64.
    num_environments: int = 16
    # n: the steps of each copy in a batch; usually 5 to 128.
    num_steps: int = 8
    # Steps after which an episode is cut off.
    time_limit: int = 200
    # alpha: the step size of Adam; usually 0.0003 to 0.05.
    step_size: float = 0.05
    # lambda of GAE, from 0 (trust the critic) to 1 (trust the returns, as A2C does);
    # usually 0.9 to 1.
    trace_decay: float = 0.95
    # Weight of the critic's squared error in the loss; usually 0.5.
    value_weight: float = 0.5
    # Reward for a varied policy, in return per nat of entropy; usually 0 to 0.01.
    entropy_weight: float = 0.01

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

    # Passes over a batch; usually 3 to 10 (Schulman et al. 2017), 4 for language models
    # (Ziegler et al. 2019).
    epochs: int = 4
    # Gradient steps in a pass, each on its part of the batch; usually 1 to 32.
    minibatches: int = 4
    # eps: a probability that has changed by more than this share gains nothing more in
    # the loss; usually 0.1 to 0.3; inf is the loss without a clip (eq. 6).
    clip: float = 0.2
    # Clip the critic's changes by eps, too, as in the authors' code.
    clip_values: bool = False
    # Distance (KL, in nats) from the policy that sampled the batch, beyond which the
    # batch is given up; 0.015 in Spinning Up, by default out of reach.
    kl_limit: float = 1e9
    # c_1: the weight of the critic's squared error in the loss (eq. 9); usually 0.5.
    value_weight: float = 0.5
    # c_2: reward for a varied policy, per nat of entropy (eq. 9); usually 0 to 0.01.
    entropy_weight: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        configs.require_positive(self, "epochs", "minibatches", "clip", "kl_limit")
        configs.require_not_negative(self, "value_weight", "entropy_weight")


@configs.sweepable
@dataclass(frozen=True)
class PPOConfig(ImproveConfig):
    """PPO on a finite MDP (Schulman et al. 2017, algorithm 1)."""

    # Batches of steps, with epochs * minibatches gradient steps each.
    num_updates: int = 200
    # N: the copies of the world that run side by side; usually 8 to 64.
    num_environments: int = 64
    # T: the steps of each copy in a batch; usually 16 to 2,048.
    num_steps: int = 16
    # Steps after which an episode is cut off.
    time_limit: int = 200
    # alpha: the step size of Adam at the start; it falls to 0. Usually 0.0003 for
    # networks, and more for tables.
    step_size: float = 0.2
    # lambda of GAE (Schulman et al. 2016), from 0 (trust the critic) to 1 (trust the
    # returns); usually 0.9 to 0.97.
    trace_decay: float = 0.9
    # Give the advantages of a batch mean 0 and deviation 1, as in the authors' code.
    normalize_advantages: bool = True
    # c_2: reward for a varied policy, in return per nat of entropy, times (share of the
    # updates left)^2, so that it first explores; usually 0 to 0.01.
    entropy_weight: float = 0.7

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

    # Worlds to learn in; file.py:name is a function of your own that makes one.
    worlds: tuple[str, ...] = ("cliff_walking", "frozen_lake")
    # Algorithms to compare; file.py:name is a function of your own that trains.
    algorithms: tuple[str, ...] = (*ALGORITHMS, REFERENCE)
    # Runs of each algorithm in each world, which differ by chance; usually 10 to 100.
    seeds: int = 32
    # Steps in the world that each run may take; usually 10,000 to 1,000,000.
    steps: int = 200_000
    # Steps after which an episode is cut off.
    time_limit: int = TIME_LIMIT
    # Moments of a run, evenly spaced, at which its policy is valued exactly.
    checkpoints: int = NUM_CHECKPOINTS
    # Seed of the first run; those of the others follow it.
    first_seed: int = 0
    # A number to vary, as name=value,value,...: each algorithm must have it, and runs
    # with each value.
    sweep: str | None = None
    # Folder for runs.csv, comparison.json and comparison.png; without it nothing is
    # written. With it, the same command goes on where it was stopped.
    out: Path | None = None
    # Replace the results in that folder.
    overwrite: bool = False
