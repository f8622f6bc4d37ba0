"""TRL's PPOTrainer on our model, our reward model and our prompts.

Its critic starts from the reward model, as ours does.
"""

import tempfile

import jax
import numpy as np
from jaxtyping import Int

from benchmarks.lm_peers import be_quiet, hugging_face, torch_device
from lm_bandit import reward_model
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer


def trainer(
    params: Transformer,
    scores: RewardModel,
    prompts: Int[np.ndarray, "n P"],
    length: int,
    dials: dict,
    callbacks: tuple = (),
):
    """Return TRL's trainer, ready to train.

    Its padding must differ from its end of text, so that it gets one more token, with
    probability 0. TRL subtracts the penalty of a text that does not end from the score;
    ours replaces the score by the penalty.
    """
    be_quiet()
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import (
        GPT2ForSequenceClassification,
        PreTrainedTokenizerFast,
        PrinterCallback,
    )
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    policy = hugging_face(params, room=1)
    pad = policy.config.vocab_size - 1
    words = {str(token): token for token in range(pad + 1)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words)),
        eos_token="0",
        pad_token=str(pad),
    )

    def scorer():
        trunk = hugging_face(scores.trunk, room=1)
        model = GPT2ForSequenceClassification(trunk.config)
        model.transformer.load_state_dict(trunk.transformer.state_dict())
        model.score = torch.nn.Linear(scores.head.shape[0], 1)
        weights = [np.array(scores.head)[None], np.array(scores.bias)[None]]
        for name, weight in zip(("weight", "bias"), weights, strict=True):
            getattr(model.score, name).data = torch.from_numpy(weight)
        return model

    data = Dataset.from_dict({"input_ids": np.asarray(prompts).tolist()})
    config = PPOConfig(
        output_dir=tempfile.mkdtemp(),
        response_length=length,
        local_rollout_forward_batch_size=dials["per_device_train_batch_size"],
        # More than 1 would delay its optimiser's steps, not only split the batch.
        gradient_accumulation_steps=1,
        temperature=1.0,
        stop_token_id=0,
        num_sample_generations=0,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        bf16=False,
        use_cpu=torch_device() == "cpu",
        gradient_checkpointing=False,
        whiten_rewards=False,
        gamma=1.0,
        lam=0.95,
        **dials,
    )
    ready = PPOTrainer(
        args=config,
        processing_class=tokenizer,
        model=policy,
        ref_model=hugging_face(params, room=1),
        reward_model=scorer(),
        value_model=scorer(),
        train_dataset=data,
        eval_dataset=data,
        data_collator=lambda rows: {
            "input_ids": torch.tensor([row["input_ids"] for row in rows])
        },
        callbacks=[*callbacks],
    )
    ready.remove_callback(PrinterCallback)
    return ready


def random_reward_model(params: Transformer) -> RewardModel:
    """Return a reward model whose random head scores every completion differently."""
    model = reward_model.init(params)
    head = jax.random.normal(jax.random.key(3), model.head.shape)
    return model._replace(head=0.1 * head)
