"""Words of snapshots that rows keep: why rows were left out, and why files were not written."""

from labeling.core.kept_words import kept

REPLACED = kept("replaced by a later revision")
LATE = kept("late")
WITHDRAWN = kept("withdrawn")
QUARANTINED = kept("with a prompt in quarantine")
RETURNED = kept("returned by a reviewer")
TO_QUALIFY = kept("made to qualify")
NOT_ACCEPTED = kept("not accepted by a reviewer")
HIDDEN = kept("hidden controls")
OTHER_PURPOSE = kept("for another purpose")
OTHER_SPLIT = kept("in another split")
OTHER_ROUND = kept("from another round")
OTHER_GUIDELINE = kept("under another guideline")
OTHER_CATEGORY = kept("in another category")
NOT_ACTIVE = kept("quarantined or withdrawn")
LEFT_OUT = kept("by people who are left out")
OVER_LIMIT = kept("over the limit")

NOT_WRITTEN = kept("%(problem)s. Free some space or mend the folder, then write it again.")
