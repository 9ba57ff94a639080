"""Words of rounds that rows keep: why a round cannot go on."""

from labeling.core.kept_words import kept

RUN_ENDED = kept("Run %(name)s %(state)s: %(why)s Look at its log, then retry.")
WAS_STOPPED = kept("it was stopped")
BELOW_THRESHOLD = kept("%(short)s. Retry the stage, collect more work, or go on all the same.")

# a gate that is not passed, in words
SHORTFALL = kept("%(name)s: %(value)s, needed: %(target)s")
DEMONSTRATIONS = kept("Demonstrations")
RANKINGS = kept("Rankings")
EVALUATION_RANKINGS = kept("Rankings that judge the policy")
RUN = kept("Run")
NAMED_RUN = kept("Run %(name)s")
NOT_STARTED = kept("not started")
SUCCEEDED = kept("succeeded")
RUN_STATES = {
    "queued": kept("queued"),
    "starting": kept("starting"),
    "running": kept("running"),
    "cancelling": kept("stopping"),
    "succeeded": SUCCEEDED,
    "failed": kept("failed"),
    "cancelled": kept("cancelled"),
}
ACCURACY = kept("Accuracy on held-out rankings")
AT_LEAST = kept("at least %(number)s")
KL = kept("KL from the starting policy")
NATS = kept("%(number)s nats an answer")
AT_MOST = kept("at most %(number)s")
NOT_MEASURED = kept("not measured")

# what services refuse when the autopilot asks them; they say it through gettext themselves
REFUSALS = (
    kept("This project has no base model: register one on the page of checkpoints, then go on."),
    kept("Run %(name)s left no prompt with %(k)s completions to compare: look at its page, then retry it."),
    kept("Run %(name)s succeeded without a checkpoint: start the stage again with Retry."),
    kept("The files of snapshot %(name)s could not be written: %(error)s"),
    kept("Snapshot “%(free)s”: %(detail)s"),
    kept("These rules leave no row: loosen them, or wait until there is accepted work. Left out: %(excluded)s."),
    kept("Every group has completions that name their model: nothing is left to compare."),
    kept("This %(stage)s run needs a snapshot of %(needed)s: choose one."),
    kept("This %(stage)s run needs a snapshot of %(kind)s: freeze one, or choose one."),
    kept("%(name)s has no rows."),
    kept("%(name)s is retired: bring it back, or choose another."),
)
