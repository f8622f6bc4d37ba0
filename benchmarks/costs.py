"""One iteration on paper: operations, and bytes between memory and processor.

    m tokens of a text are read, with room for c   L (24 m d^2 + 4 m c d)
    logits of one token                            2 d V
    a gradient                                     3 times its forward

Only products of matrices count; a product [m, k] x [k, n] has 2 m k n operations.
A block has 12 d^2 weights, hence 24 d^2 for a token; its attention multiplies the
token's query with c keys, and the weights with c values, 2 d c each. Future positions
are computed and masked, as in `transformer.causal_attention`. A gradient multiplies
twice as often as its forward: by the weights, and by the inputs.

Bytes are those of float32 arrays, each read or written once by every operation that
needs it. A program moves fewer only if it keeps arrays in a cache, or recomputes them.

Source: Kaplan et al. (2020), table 1; Narayanan et al. (2021), appendix; Patarasuk &
Yuan (2009), section 3, for the ring.  `docs/scaling.md` compares with measurements.
Symbols: d width, L blocks, H heads, V tokens of the vocabulary.
"""

from dataclasses import dataclass
from typing import NamedTuple

from lm_bandit.config import RLHFConfig, TransformerConfig

FLOAT = 4  # bytes

# Passes over an array of activations: it is written and read in the forward, and read
# in the backward, where its gradient is written and read.
PASSES_OF_TRAINING, PASSES_OF_READING = 5, 2

# Passes over the weights in a gradient step: the forward and the backward read them,
# and the backward writes a gradient; Adam reads it with weights and two moments, and
# writes these three.
PASSES_OF_ADAM = 10


@dataclass(frozen=True)
class Cost:
    """Operations and bytes of a piece of work."""

    flops: float
    bytes: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def times(self, count: float) -> "Cost":
        """Return the cost of doing the work `count` times."""
        return Cost(count * self.flops, count * self.bytes)


class Model(NamedTuple):
    """The numbers of a transformer that its costs depend on."""

    size: TransformerConfig
    vocabulary: int
    context: int

    @property
    def num_parameters(self) -> int:
        """N = L (12 d^2 + 13 d) + (V + context + 2) d."""
        d, L = self.size.d_model, self.size.num_layers
        return L * (12 * d**2 + 13 * d) + (self.vocabulary + self.context + 2) * d

    def forward(self, texts: int, new: int, room: int, logits: int = 0) -> Cost:
        """Return the cost of reading `new` tokens of texts with `room` in their cache.

        `logits` is the number of tokens of each text whose successors are predicted.
        """
        d, L, H = self.size.d_model, self.size.num_layers, self.size.num_heads
        blocks = L * (24 * new * d**2 + 4 * new * room * d)
        outputs = 2 * logits * d * self.vocabulary
        # Twice x, its norms, the attention's result: 6 d. Queries, keys and values:
        # 3 d, and the mix of values: d. Before and after GELU: 8 d. Scores, weights.
        activations = new * L * (18 * d + 2 * H * room) + logits * 2 * self.vocabulary
        cached = 2 * L * room * d  # keys and values
        moved = PASSES_OF_READING * activations + cached
        weights = FLOAT * self.num_parameters
        return Cost(texts * (blocks + outputs), FLOAT * texts * moved + weights)

    def gradient_step(self, *forwards: Cost) -> Cost:
        """Return the cost of a step of Adam on a loss that needs these forwards."""
        flops = 3 * sum(forward.flops for forward in forwards)
        weights = FLOAT * self.num_parameters
        # Without the weights, which `PASSES_OF_ADAM` has.
        activations = sum(forward.bytes - weights for forward in forwards)
        share = PASSES_OF_TRAINING / PASSES_OF_READING
        return Cost(flops, share * activations + PASSES_OF_ADAM * weights)


def fine_tuning(model: Model, texts: int, length: int) -> Cost:
    """Return the cost of an update of SFT: all tokens but the last predict the next."""
    read = length - 1
    return model.gradient_step(model.forward(texts, read, read, logits=read))


def generation(model: Model, prompts: int, pulls: int, prompt: int, new: int) -> Cost:
    """Return the cost of generation: a prompt is read once, its pulls are written."""
    rows, room = prompts * pulls, prompt + new
    step = model.forward(rows, 1, room, logits=1)
    first = Cost(rows * 2 * model.size.d_model * model.vocabulary, 0.0)
    return model.forward(prompts, prompt, room) + first + step.times(new - 1)


def scoring(model: Model, prompts: int, pulls: int, prompt: int, new: int) -> Cost:
    """Return the cost of reading completions: reference, reward model and critic."""
    rows, room = prompts * pulls, prompt + new
    read = model.forward(prompts, prompt, room).times(3)
    reference = model.forward(rows, new - 1, room, logits=new)
    critic = model.forward(rows, new - 1, room)
    scorer = model.forward(rows, new, room)
    # In the last block the scorer computes only keys and values of the prompts, and the
    # hidden layer of only one token of each completion.
    d = model.size.d_model
    prompts_left_out = prompts * prompt * (20 * d**2 + 4 * room * d)
    left_out = Cost(-prompts_left_out - rows * 16 * (new - 1) * d**2, 0.0)
    return read + reference + critic + scorer + left_out


def minibatch(model: Model, prompts: int, rows: int, prompt: int, new: int) -> Cost:
    """Return the cost of a gradient step of PPO on some rows: policy and critic."""
    room = prompt + new
    read = model.forward(prompts, prompt, room)
    policy = model.forward(rows, new - 1, room, logits=new)
    critic = model.forward(rows, new - 1, room)
    return model.gradient_step(read, policy) + model.gradient_step(read, critic)


def ppo(model: Model, prompts: int, prompt: int, new: int, config: RLHFConfig) -> Cost:
    """Return the cost of a PPO iteration: generation, scoring, gradient steps.

    The checks of the invariants are left out: they read two texts for each prompt.
    """
    steps = config.epochs * config.minibatches
    rows = prompts * config.pulls // config.minibatches
    return (
        generation(model, prompts, config.pulls, prompt, new)
        + scoring(model, prompts, config.pulls, prompt, new)
        + minibatch(model, prompts, rows, prompt, new).times(steps)
    )


def all_reduce_bytes(num_parameters: int, devices: int) -> float:
    """Return the bytes that a device sends in a ring: 2 (n - 1) / n of the gradient.

    They go in 2 (n - 1) messages.
    """
    return 2 * (devices - 1) / devices * FLOAT * num_parameters
