"""The reward of a sum: a program checks the answer.

    r(x, y)  =  1 if the answer is right, else 0

The reward is the goal itself: no model of it is learned, and none can be exploited. But
a program checks what it was written to check. With a scratchpad this one reads the last
word only, and pays for a right answer after a wrong step.

Source: Lambert et al. (2024), "Tulu 3", section 6; DeepSeek-AI (2025), section 2.2.2.
"""

from lm_bandit.oracle import trie
from lm_bandit.reward_table import RewardTable
from lm_bandit.sums.world import Sums


def verify(prompt: str, completion: str) -> float:
    """Return 1 if the completion is the sum of the numbers in the prompt, else 0.

    Both are texts of words with spaces between them; a number is written digit by
    digit, without zeros in front: `verify("7 + 5 =", "1 2")` is 1, and a completion
    with any other word in it earns 0.
    """
    right = sum(int(word) for word in prompt.split() if word.isdigit())
    return float(completion.split() == list(str(right)))


def verify_last_word(prompt: str, completion: str) -> float:
    """Return 1 if the last word of the completion is the sum, else 0.

    It is for sums of one digit. What stands before it is not checked.
    """
    return verify(prompt, " ".join(completion.split()[-1:]))


def verifier_table(sums: Sums) -> RewardTable:
    """Return the verifier's reward of every completion that ends, of every prompt."""
    check = verify_last_word if sums.scratchpad else verify
    return trie.reward_table(sums.world, check)
