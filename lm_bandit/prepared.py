"""Steps 1 and 2 of RLHF, done once on this machine and then read.

    ready = prepared(world, SMALL)     # half a minute; the next time, half a second

Several notebooks begin with the same models. They are kept in a file of the user's
cache, whose name is a digest of all that they depend on: the world, the settings, the
versions of the packages, the sources of this project, and the flags of the compiler.
"""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lm_bandit import pipeline, ppo, reward_model, sft, transformer
from lm_bandit.config import LanguageConfig, RewardConfig, RunConfig, TransformerConfig
from lm_bandit.pipeline import Prepared
from lm_bandit.transformer import Transformer
from lm_bandit.world import World
from mdp.interface import jobs
from mdp.interface.compilation import cache_folder
from mdp.interface.files import versions_and_sources
from mdp.interface.keeping import pack
from mdp.interface.progress import Progress
from mdp.interface.runs import Run, in_turn, settings_of

# A smaller model and shorter training than by default: what the notebooks begin with.
SMALL = RunConfig(
    num_babble=4096,
    num_demonstrations=2048,
    num_comparisons=8192,
    model=TransformerConfig(num_layers=1),
    pretraining=LanguageConfig(num_updates=150),
    sft=LanguageConfig(num_updates=100, step_size=2e-3),
    reward=RewardConfig(num_updates=300, step_size=2e-3),
)


def prepared(world: World, config: RunConfig) -> Prepared:
    """Return what `pipeline.prepare` returns, from the cache if it is there.

    Programs that ask at the same time wait for the first of them. Where nothing can be
    written, nothing is kept, and what cannot be read is made anew.
    """

    def make() -> dict[str, Any]:
        # Step 3 is not compiled ahead: each notebook has its own.
        ready = pipeline.prepare(world, config, Progress(), compile_next=lambda _: None)
        return ready._asdict() | {
            "base": jax.tree.leaves(ready.base),
            "fixed": jax.tree.leaves(ready.fixed),
            "key": jax.random.key_data(ready.key),
        }

    try:
        folder = cache_folder() / "prepared"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError):
        return pipeline.prepare(world, config, Progress())
    with in_turn(folder):
        run = Run(folder / _digest(world, config))
        try:
            kept = run.found("models", ())
        except ValueError:  # the file is damaged
            kept = None
        found = kept[0] if kept else make()
        if not kept:
            run.store("models", found, 0.0)
        _remove_old(folder)
    arrays = {name: map(jnp.asarray, found[name]) for name in ("base", "fixed")}
    base, fixed = jax.eval_shape(partial(_models, world, config))
    return Prepared(**found)._replace(
        base=jax.tree.unflatten(jax.tree.structure(base), arrays["base"]),
        fixed=jax.tree.unflatten(jax.tree.structure(fixed), arrays["fixed"]),
        key=jax.random.wrap_key_data(jnp.asarray(found["key"])),
    )


def _models(world: World, config: RunConfig) -> tuple[Transformer, ppo.Fixed]:
    """Return models of the right structure, with other numbers."""
    key, size = jax.random.key(0), len(world.vocabulary)
    start = transformer.init(key, size, world.context, config.model)
    texts = sft.as_texts(np.zeros((1, world.context), int))
    scorer = reward_model.init(start)
    return start, ppo.Fixed(jnp.asarray(world.prompts), start, scorer, texts)


def _digest(world: World, config: RunConfig) -> str:
    """Return a digest of all that the models depend on, after that of the sources."""
    settings = [pack(world), settings_of(config), jobs.settings()]
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    return f"{versions_and_sources()['sources']}-{digest[:16]}"


def _remove_old(folder: Path) -> None:
    """Remove what other sources of this project have kept."""
    current = versions_and_sources()["sources"]
    for path in folder.iterdir():
        if not path.name.startswith(f"{current}-"):
            shutil.rmtree(path, ignore_errors=True)
