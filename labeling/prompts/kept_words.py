"""Words of prompts that rows keep."""

from labeling.core.kept_words import kept

# The summary of a brief that says nothing, by kind of prompt.
ANY = {
    "plain": kept("Any plain prompt"),
    "few_shot": kept("Any few-shot prompt"),
    "user_based": kept("Any user-based prompt"),
}
