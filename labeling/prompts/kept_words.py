"""Words of prompts that rows keep."""

from labeling.core.kept_words import kept

# What hygiene finds, and what redaction writes in place of it: a line for each of `hygiene.KINDS`.
FOUND = (kept("key"), kept("e-mail"), kept("card"), kept("iban"), kept("phone"), kept("address"))
# The summary of a brief that says nothing, by kind of prompt.
ANY = {
    "plain": kept("Any plain prompt"),
    "few_shot": kept("Any few-shot prompt"),
    "user_based": kept("Any user-based prompt"),
}
