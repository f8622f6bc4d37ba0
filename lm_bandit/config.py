"""Every setting of a run: the models, their training, and PPO, with usual values.

The defaults of PPO are the plainest method: one completion is one action, the baseline
is leave-one-out, and beta is fixed. Every other value of a field adds something to it.
Methods import jax when they are called: `--help` needs the fields only.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from lm_bandit.world import WORD_RATINGS
from mdp.checks import CheckedConfig, require_range
from mdp.interface.configs import (
    require_divisor,
    require_in_unit_interval,
    require_positive,
    sweepable,
)
from policy_gradient.config import ImproveConfig

if TYPE_CHECKING:
    import jax
    import optax

LARGEST_SIZE = 2**15  # GPT-3 has 96 blocks of width 12,288


@dataclass(frozen=True)
class TransformerConfig(CheckedConfig):
    """Size of a model."""

    # Blocks, one upon the other; 12 in the smallest GPT-2.
    num_layers: int = 2
    # Attention heads of a block; 12 in the smallest GPT-2.
    num_heads: int = 2
    # Width: the numbers for each token, a multiple of num_heads; 768 in the smallest
    # GPT-2.
    d_model: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, 1, LARGEST_SIZE, "num_layers", "num_heads", "d_model")
        require_divisor("num_heads", self.num_heads, "d_model", self.d_model)


@dataclass(frozen=True)
class AdamConfig(CheckedConfig):
    """Training by Adam on random batches, with a step size annealed to 0."""

    # Gradient steps.
    num_updates: int
    # Rows of the data in a gradient step.
    batch_size: int
    # Step size of Adam at the start; it falls to 0.
    step_size: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_updates", "batch_size", "step_size")


@dataclass(frozen=True)
class LanguageConfig(AdamConfig):
    """Next-token training, by Adam with a step size annealed to 0."""

    # Gradient steps; with too few the model writes nonsense.
    num_updates: int = 300
    # Texts in a gradient step; usually 32 to 512.
    batch_size: int = 128
    # Step size of Adam at the start; it falls to 0. 1e-5 to 1e-3 for larger models.
    step_size: float = 5e-3


@dataclass(frozen=True)
class RewardConfig(AdamConfig):
    """Training on comparisons, by Adam with a step size annealed to 0."""

    # Gradient steps.
    num_updates: int = 800
    # Compared pairs in a gradient step; usually 32 to 512.
    batch_size: int = 64
    # Step size of Adam at the start; it falls to 0. 1e-5 for large models.
    step_size: float = 1e-3


@sweepable
@dataclass(frozen=True)
class TuningConfig(CheckedConfig):
    """Settings that PPO and its alternatives share: budget, beta and the optimizer."""

    # Batches of completions that the policy writes and learns from; usually 100 to
    # 10,000.
    num_updates: int = 120
    # Completions of each prompt in a batch; usually 512 for all prompts together.
    pulls: int = 64
    # Passes over a batch; usually 1 to 4 (4 in Ziegler et al. 2019).
    epochs: int = 4
    # Gradient steps in a pass, each on its part of the batch; usually 1 to 8.
    minibatches: int = 2
    # beta: the price, in reward, of moving a nat of KL away from the SFT model; a
    # smaller one lets the policy go further. Usually 0.01 to 0.2 (0.02 in Ouyang et al.
    # 2022).
    kl_weight: float = 0.07
    # Reward of a completion that the length limit cuts off, in place of its score
    # (Ziegler et al. 2019).
    penalty: float = -4.0
    # Temperature of sampling *and* scoring: below 1 the likely words get likelier.
    # Usually 1 (0.7 in Ziegler et al. 2019).
    temperature: float = 1.0
    # Step size of Adam at its peak; 1e-5 and less for large models.
    step_size: float = 4e-3
    # Course of the step size after its peak: it stays, falls in a line, or in a curve.
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    # Share of the gradient steps in which the step size rises; usually 0 to 0.1. With a
    # fast start the policy loses completions that are rare and good.
    warm_up: float = 0.3
    # Gradients that are longer than this are made as short; 0.5 in Huang et al. (2022).
    max_gradient_norm: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        names = "num_updates epochs minibatches step_size max_gradient_norm"
        require_positive(self, *names.split(), "kl_weight", "temperature")
        require_in_unit_interval(self, "warm_up")
        if self.pulls < 2:
            raise ValueError(f"pulls must be at least 2, got {self.pulls}")
        require_divisor("minibatches", self.minibatches, "pulls", self.pulls)

    def optimizer(self) -> "optax.GradientTransformation":
        """Return Adam on cut gradients, with the schedule of the step size.

        Source: Kingma & Ba (2015); Pascanu et al. (2013), algorithm 1, for the cut.
        """
        import optax

        cut = optax.clip_by_global_norm(self.max_gradient_norm)
        return optax.chain(cut, optax.adam(self.step_size_at))

    def step_size_at(self, step: "int | jax.Array") -> "jax.Array":
        """Step size at a gradient step: it rises linearly to the peak, and then falls.

        Source: Loshchilov & Hutter (2017), eq. 5, for the cosine.
        """
        import jax.numpy as jnp

        share = step / (self.num_updates * self.epochs * self.minibatches)
        left = jnp.clip((1.0 - share) / (1.0 - self.warm_up), 0.0, 1.0)
        falling = {
            "constant": jnp.ones(()),
            "linear": left,
            "cosine": 0.5 * (1.0 - jnp.cos(jnp.pi * left)),
        }[self.schedule]
        rising = share / jnp.maximum(self.warm_up, 1e-9)
        return self.step_size * jnp.where(rising < 1.0, rising, falling)


@sweepable
@dataclass(frozen=True)
class RLHFConfig(TuningConfig, ImproveConfig):
    """PPO on the prompts, by Adam."""

    # eps: a probability that has changed by more than this share gains nothing more in
    # the loss. Usually 0.2 for a token, less for a whole completion.
    clip: float = 0.13
    # The action: a whole completion, or each of its tokens (Ziegler et al. 2019).
    view: Literal["completion", "token"] = "completion"
    # Weight of a token in the loss: 1 (sum: the policy gradient), 1 / the length of its
    # completion (sequence_mean), or 1 / the mean length in the batch (token_mean).
    over_tokens: Literal["sum", "sequence_mean", "token_mean"] = "sum"
    # Who pays for the KL: each token its own share (Ouyang et al. 2022), or the last.
    kl_at: Literal["tokens", "end"] = "tokens"
    # KL in nats that is aimed at, by changing beta; by default beta stays. 6 to 10 in
    # Ziegler et al. (2019).
    kl_target: float | None = None
    # K_beta: how fast beta follows, per update; 0.1 in Ziegler et al. (2019).
    kl_gain: float = 0.1
    # Divide the rewards of a batch by their deviation (scale); or remove their mean,
    # too (whiten).
    reward_scaling: Literal["none", "scale", "whiten"] = "none"
    # What a reward is compared with: the mean of the prompt's other completions
    # (leave_one_out, Ahmadian et al. 2024), of the batches so far (average), what a
    # critic expects (value, Ziegler et al. 2019), or a number.
    baseline: Literal["none", "constant", "average", "leave_one_out", "value"] = (
        "leave_one_out"
    )
    # The number of the baseline "constant", in reward.
    baseline_value: float = 0.0
    # lambda of GAE, with a critic only: from 0 (trust it) to 1 (trust the rewards);
    # 0.95 in Ouyang et al. (2022).
    trace_decay: float = 0.95
    # Weight of the critic's squared error in the loss; 0.1 in Ziegler et al. (2019).
    value_weight: float = 0.1
    # Give the advantages of a batch mean 0 and deviation 1; usual with a critic.
    normalize_advantages: bool = False
    # gamma: the weight of the pretraining loss, which keeps the language; by default
    # none. 27.8 in Ouyang et al. (2022).
    pretraining_weight: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()  # that of both
        require_positive(self, "kl_gain")
        require_in_unit_interval(self, "trace_decay")
        for name in ("kl_target", "pretraining_weight"):
            if getattr(self, name) is not None:
                require_positive(self, name)


@dataclass(frozen=True)
class RunConfig(CheckedConfig):
    """One run of RLHF on the pocket world."""

    # Seed of all random numbers: the same seed gives the same report, with the same
    # versions of the packages on the same kind of processor.
    seed: int = 0
    # CSV file: a header, then a word and its ratings from -4 to 4 in each line. Words
    # of your own take the place of the pocket's.
    ratings: Path = WORD_RATINGS
    # Random texts for pretraining; a program makes them.
    num_babble: int = 16384
    # Example answers for SFT; a program makes them, with words that raters like.
    num_demonstrations: int = 4096
    # Pairs of completions that simulated annotators compare, by the ratings of the
    # words; a tenth of the pairs is held out.
    num_comparisons: int = 16384
    # Size of the transformer.
    model: TransformerConfig = field(default_factory=TransformerConfig)
    # Step 0: learn to predict the next word of random texts.
    pretraining: LanguageConfig = field(default_factory=LanguageConfig)
    # Step 1, supervised fine-tuning: learn to write like the example answers.
    sft: LanguageConfig = field(
        default_factory=lambda: LanguageConfig(num_updates=200, step_size=2e-3)
    )
    # Step 2, the reward model: learn which completions annotators prefer.
    reward: RewardConfig = field(default_factory=RewardConfig)
    # Step 3, PPO: write what the reward model scores high, near the SFT model.
    ppo: RLHFConfig = field(default_factory=RLHFConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_babble", "num_demonstrations")
        require_range(self, 10, np.inf, "num_comparisons")  # one of ten is held out
