"""What stages refuse about their settings: the sentences of training/config*.py, which stay English for programs.

A round keeps them where the autopilot met one, and a page tells them beside the field. A test compares this list with the
code of `training`: a sentence that is new, changed or gone there fails it.
"""

from labeling.core.kept_words import kept

REFUSED = kept("%(setting)s: %(problem)s.")

SENTENCES = (
    # of every setting
    kept("unknown setting; %(config)s has %(settings)s"),
    kept("must be one of %(choices)s, not %(value)s"),
    kept("must be one of %(kinds)s"),
    kept("must be from %(low)s to any, not %(value)s"),
    kept("must be from %(low)s to %(high)s, not %(value)s"),
    kept("must be %(wanted)s, not %(given)s"),
    kept("there is no '%(name)s'; there are %(names)s"),
    kept("cannot exceed max_new_tokens (%(most)s)"),
    kept("does nothing without %(other)s: leave it at %(default)s"),
    kept("does nothing when %(other)s is %(value)s: leave it at %(default)s"),
    # of what changes weights
    kept("cannot spread a base rounded to %(precision)s: set base_precision to 'as computed'"),
    kept("%(precision)s is for tuning 'lora': only a frozen base can be rounded"),
    kept("does not apply when tuning is 'full': leave it at %(default)s"),
    kept("must divide hidden (%(hidden)s)"),
    # of sampling
    kept("must be 1 at temperature 0: all candidates would be the same"),
    kept("must be 1 at temperature 0: all completions would be the same"),
    kept("needs inputs.reward to tell which candidate is best; name one, or use 1"),
    kept("must be at least %(least)s when inputs.gold is given, for a curve; or leave that out"),
    kept("needs data.demonstrations to take them from; or use 0"),
    kept("must be at least 1 when data.demonstrations is given; or leave that out"),
    # of reward models
    kept("must be above 0 when epochs is 0: otherwise nothing is learned"),
    kept("does not apply when pack is 'never': use auto"),
    kept("does not apply when the head is fitted exactly (head_l2): use 0"),
    kept("saves nothing when epochs is 0: a trunk that only scores is gathered whole; use false"),
    kept("is for one training when tuning is 'full': use 1 for seeds and 0 for curve_points"),
    kept("one point is no curve: use 0, or 2 and more"),
    kept("cannot exceed seeds (%(seeds)s): set seeds to %(members)s or more"),
    kept(
        "a head fitted exactly on a frozen trunk (epochs 0) is the same for every seed: "
        "use 1, or as many as members for heads of resampled rankings"
    ),
    kept("an ensemble is made of adapters or heads on one trunk: it needs tuning 'lora'"),
    kept("needs members above 1: use mean"),
    kept("applies to combine 'variance' only: leave it at %(default)s"),
    kept("applies to a frozen trunk only: set epochs to 0, or leave it empty"),
    kept("must be a plain folder name of letters, digits, '.', '_' and '-'"),
    # of PPO
    kept("cannot exceed rollout_prompts (%(most)s)"),
    kept("an adapter critic needs tuning 'lora'"),
    kept("must be below updates (%(updates)s): the policy would never learn"),
    kept("needs inner_epochs or minibatches above 1: one step cannot end early"),
    kept("multiplies kl_coef, and 0 stays 0: start from a kl_coef above 0"),
    kept("has no effect with whiten_scores, which sets the scale anew: use one"),
    kept("needs rollout_prompts of at least %(least)s"),
    kept("must be at least clip (%(clip)s), or 0 for the same"),
    kept("must exceed 1 + clip, or it would undo it; 3 is usual"),
    kept("does not apply with shard, whose weights come and go: leave it off"),
    kept("does not apply when base_precision is '%(precision)s': leave it off"),
    kept("replaces inputs.reward: give one of the two"),
    kept("a ppo run needs a checkpoint as reward, or the setting 'reward'"),
    kept("an adapter starts from inputs.reward: use head with a function"),
    kept("needs data.documents or data.demonstrations to learn from; or use 0"),
    kept("must be above 0 when %(mixed)s is given (27.8 in InstructGPT)"),
)
