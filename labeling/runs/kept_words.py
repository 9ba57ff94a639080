"""Words of runs that rows keep: what a run waits for, and how it ended."""

from labeling.core.kept_words import kept
from labeling.runs import kept_settings as kept_settings  # known wherever these are

# what stages, roles of checkpoints and kinds of records are called within a sentence
STAGES = {
    "pretrain": kept("pretraining"),
    "sft": kept("supervised fine-tuning"),
    "sample": kept("sampling"),
    "reward": kept("reward model"),
    "ppo": kept("PPO"),
    "evaluate": kept("evaluation"),
}
ROLES = {
    "policy": kept("policy"),
    "reference": kept("reference"),
    "reward": kept("reward model"),
    "gold": kept("gold reward model"),
}
RECORDS = {
    "demonstrations": kept("demonstrations"),
    "rankings": kept("rankings"),
    "prompts": kept("prompts"),
    "documents": kept("documents"),
}

# what it waits for
FILES_NOT_WRITTEN = kept("Waits until the files of snapshot %(name)s are written.")
NO_SUCH_DEVICE = kept("No device here is a %(wanted)s: this host lends %(devices)s (RUN_DEVICES).")
DEVICES_TAKEN = kept("Waits for %(devices)s")
ATTEMPT = kept("Attempt %(attempt)s of %(most)s: %(why)s")

# how it ended
STOPPED = kept("Stopped on request.")
TOO_SLOW = kept("The stage did not begin in time and was ended.")
INTERRUPTED = kept("It was interrupted, and goes on from its newest checkpoint.")
SIGNALLED = kept("The trainer was ended by %(signal)s.")
SIGNAL = kept("signal %(number)s")
NO_RESULT = kept("The trainer ended well but left no result that fits its manifest.")
STATUS = kept("The trainer ended with status %(code)s.")
SUPERVISOR_LOST = kept("Its supervisor was lost.")
GIVEN_UP = kept("Given up after %(attempts)s attempts. %(why)s")
SNAPSHOT_FAILED = kept("The files of snapshot %(name)s could not be written; freeze it again and start a new run.")
FILE_MISSING = kept("%(file)s of snapshot %(name)s is missing: rebuild its files, then start a new run")
NOT_PREPARED = kept("The run directory could not be prepared: %(problem)s")
NOT_PUBLISHED = kept("The result could not be published: %(problem)s")
