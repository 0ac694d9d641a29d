"""How large the numbers may be that users give, on the command line and in a configuration.

Each bound is far above what anyone needs, and low enough that no value takes all memory, or all time before the work
begins.
"""

SEED = 2**32 - 1
TOKENS = 2**20  # of one model turn, or of a training row
PROMPTS = 10**9  # of a set: a limit, or rows looked at
ANSWERS = 1000  # to one prompt
CONCURRENCY = 1024  # requests under way at once
BATCH = 2**16  # prompts, rows or rollouts at once
RANK = 2**14  # of LoRA adapters
STEPS = 10**9
EPOCHS = 10_000
PROCESSES = 10_000
BUDGET = 10**15  # model turns or tokens of a whole data set
LEARNING_RATE = 10.0
WEIGHT = 1e6  # of a part of the reward or of an advantage
TEMPERATURE = 100.0
SECONDS = 86_400.0  # of one request or one verdict
