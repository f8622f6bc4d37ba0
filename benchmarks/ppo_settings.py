"""Settings of PPO with networks, the same for every contestant of a race.

Source: Huang et al. (2022), table 1, except for the step size.
"""

NUM_STEPS = 200_704  # of the environments: 196 batches
NUM_ENVIRONMENTS = 8
BATCH_STEPS = 128  # of each environment
EPOCHS = 4
MINIBATCHES = 4
STEP_SIZE = 2.5e-3  # of Adam, annealed to 0; rejax can only keep it constant: half
DISCOUNT = 0.99
TRACE_DECAY = 0.95
CLIP = 0.2
VALUE_WEIGHT = 0.5
ENTROPY_WEIGHT = 0.01
HIDDEN = (64, 64)  # tanh layers, of the policy and of the critic
TIME_LIMIT = 100
