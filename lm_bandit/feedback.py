"""Human feedback as data. Here: comparisons, the kind that RLHF began with.

Source: Christiano et al. (2017); Stiennon et al. (2020), section 3.3.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int


class Comparisons(NamedTuple):
    """For each prompt, the completion that an annotator preferred and the other one."""

    prompts: Int[np.ndarray, "n P"]
    chosen: Int[np.ndarray, "n C"]
    rejected: Int[np.ndarray, "n C"]
