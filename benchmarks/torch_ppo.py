"""PPO with a critic as one would write it by hand in torch, for the model of the races.

It does the work of one iteration of ours and no more: sample with a cache, score, ask
the reference and the critic, GAE, and clipped gradient steps on minibatches. The blocks
are those of Hugging Face's GPT-2, with torch's fused attention and fused Adam.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from benchmarks.lm_peers import hugging_face, take_fastest
from lm_bandit.ppo import RLHFConfig
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import END

TINY = 1e-8  # added to a deviation before dividing by it


def training(
    params: Transformer,
    scores: RewardModel,
    prompts: Int[np.ndarray, "n P"],
    length: int,
    config: RLHFConfig,
) -> Callable[[], int]:
    """Return a function that trains from the reference, and counts its iterations.

    These settings are fixed: a token is an action, the loss is a mean over tokens, each
    token pays its share of the KL, and advantages have mean 0 and deviation 1.
    """
    import torch

    reference = hugging_face(params).eval()
    device = reference.device
    rows = torch.tensor(np.asarray(prompts)).long().to(device)
    scorer = valued(scores).to(device)

    def run(num_updates: int = config.num_updates) -> int:
        policy, critic = hugging_face(params), valued(scores).to(device)
        both = [*policy.parameters(), *critic.parameters()]
        optimizer = torch.optim.Adam(both, lr=config.step_size, fused=True)
        for _ in range(num_updates):
            batch = collect(policy, reference, critic, scorer, rows, length, config)
            improve(policy, critic, optimizer, batch, config)
        return num_updates

    take_fastest(lambda: run(1))
    return run


def collect(policy, reference, critic, scorer, prompts, length, config) -> dict:
    """Sample a completion of every prompt, and return what the gradient steps need."""
    import torch

    with torch.inference_mode():
        texts = sample(policy, prompts, length)
        new = texts[:, -length:]
        ended = (new == END).cumsum(1)
        mask = (ended - (new == END).long() == 0).float()  # 1 up to the end of text
        log_probs = completion_log_probs(policy, texts, length) * mask
        references = completion_log_probs(reference, texts, length) * mask
        values = critic(texts, length) * mask
        last = mask.sum(1).long() - 1
        earned = -config.kl_weight * (log_probs - references)
        at_end = scorer(texts, length, after=True).gather(1, last[:, None])
        at_end = torch.where(ended[:, -1:] > 0, at_end, config.penalty)
        earned.scatter_add_(1, last[:, None], at_end)
        advantages = estimate_advantages(earned, values, mask, config.trace_decay)
        targets = advantages + values
        mean = (advantages * mask).sum() / mask.sum()
        spread = (((advantages - mean) ** 2 * mask).sum() / mask.sum()).sqrt()
        advantages = (advantages - mean) / (spread + TINY) * mask
    made = {"texts": texts, "mask": mask, "log_probs": log_probs}
    return {**made, "advantages": advantages, "targets": targets, "values": values}


def improve(policy, critic, optimizer, batch, config) -> None:
    """Take the gradient steps of one iteration: every epoch shuffles the rows anew."""
    import torch

    batch = {name: value.clone() for name, value in batch.items()}
    for _ in range(config.epochs):
        order = torch.randperm(len(batch["texts"]))
        for some in order.chunk(config.minibatches):
            rows = {name: value[some] for name, value in batch.items()}
            optimizer.zero_grad(set_to_none=True)
            loss(policy, critic, rows, config).backward()
            torch.nn.utils.clip_grad_norm_(
                [*policy.parameters(), *critic.parameters()], config.max_gradient_norm
            )
            optimizer.step()


def loss(policy, critic, rows, config):
    """Return the clipped surrogate's loss plus the critic's, as means over tokens."""
    import torch

    mask, advantages = rows["mask"], rows["advantages"]
    length = mask.shape[1]
    now = completion_log_probs(policy, rows["texts"], length)
    ratio = torch.exp((now - rows["log_probs"]) * mask)
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    gain = torch.minimum(ratio * advantages, clipped * advantages)
    errors = (critic(rows["texts"], length) - rows["targets"]) ** 2 / 2
    each = -gain + config.value_weight * errors
    return (each * mask).sum() / mask.sum()


def sample(policy, prompts, length):
    """Return prompts and completions; each step reads one token through the cache."""
    import torch

    texts, cache, unread = prompts, None, prompts
    for _ in range(length):
        out = policy(input_ids=unread, past_key_values=cache, logits_to_keep=1)
        cache = out.past_key_values
        unread = torch.multinomial(out.logits[:, -1].softmax(-1), 1)
        texts = torch.cat([texts, unread], 1)
    return texts


def completion_log_probs(policy, texts, length):
    """Return the log-probability of each of the last `length` tokens."""
    logits = policy(input_ids=texts[:, :-1], use_cache=False, logits_to_keep=length)
    every = logits.logits.log_softmax(-1)
    return every.gather(2, texts[:, -length:, None])[..., 0]


def estimate_advantages(rewards, values, mask, trace_decay):
    """Return GAE's advantages of each token; gamma is 1.

    Source: Schulman et al. (2016), eq. 16.
    """
    import torch

    following = torch.nn.functional.pad(values[:, 1:], (0, 1))
    errors = (rewards + following - values) * mask
    advantages, trace = torch.empty_like(errors), 0.0
    for step in reversed(range(errors.shape[1])):
        trace = errors[:, step] + trace_decay * trace
        advantages[:, step] = trace
    return advantages * mask


def valued(scores: RewardModel):
    """Return a reward model in torch: a number at each of the last tokens of a text."""
    import torch

    class Valued(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = hugging_face(scores.trunk).transformer
            self.head = torch.nn.Linear(scores.head.shape[0], 1)
            self.head.weight.data = torch.tensor(np.array(scores.head))[None]
            self.head.bias.data = torch.tensor(np.array(scores.bias)).reshape(1)

        def forward(self, texts, length, after=False):
            """Return values before each token, or scores after it."""
            read = texts if after else texts[:, :-1]
            states = self.trunk(input_ids=read, use_cache=False).last_hidden_state
            return self.head(states[:, -length:])[..., 0]

    return Valued()
