"""Forms of a project."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from labeling.core.filters import Choices, FilterForm
from labeling.people.models import Role
from labeling.projects.flags import Flag, PromptFlag
from labeling.projects.models import Membership, Project
from labeling.projects.terms_forms import LanguagesField, rate_field

# What the settings page shows, group by group.
GROUPS = (
    (gettext_noop("The project"), ["name", "description", "contact", "next_work"]),
    (
        gettext_noop("Work"),
        [
            "completions_per_comparison",
            "overlap",
            "lease_minutes",
            "daily_goal",
            "daily_hours",
            "break_minutes",
            "asks_strength",
        ],
    ),
    (
        gettext_noop("Control and review"),
        [
            "control_percent",
            "review_percent",
            "review_first",
            "review_controls",
            "review_flagged",
            "requires_review",
            "leak_names",
        ],
    ),
    (gettext_noop("Pay"), ["currency", "living_wage"]),
    (gettext_noop("What is asked of completions and prompts"), ["flags", "prompt_flags", "warned_categories"]),
    (gettext_noop("Prompts and their split"), ["valid_percent", "test_percent", "prompts_per_owner"]),
    (
        gettext_noop("Rounds"),
        [
            "autopilot",
            "demonstrations_target",
            "comparisons_target",
            "evaluation_target",
            "min_reward_accuracy",
            "max_kl",
        ],
    ),
)


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    """Every setting, in groups; services write them."""

    flags = forms.MultipleChoiceField(
        choices=Flag.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Flags of a completion"),
        help_text=_("Labelers tick those that hold. Flags already given stay when you stop asking."),
    )
    prompt_flags = forms.MultipleChoiceField(
        choices=PromptFlag.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Flags of a prompt"),
    )

    class Meta:
        model = Project
        fields = [name for _title, names in GROUPS for name in names]
        labels = {
            "name": _("Name"),
            "description": _("Description"),
            "contact": _("How people get help"),
            "next_work": _("When more work comes"),
            "completions_per_comparison": _("Completions to rank at once (K)"),
            "overlap": _("People per task"),
            "lease_minutes": _("Minutes a task stays reserved"),
            "daily_goal": _("Tasks a day"),
            "daily_hours": _("Hours a day at most"),
            "break_minutes": _("Break reminder after (minutes)"),
            "asks_strength": _("Ask how much better when K is 2"),
            "control_percent": _("Hidden controls, percent of comparisons"),
            "review_percent": _("Random work to review, percent"),
            "review_first": _("First work of each labeler to review"),
            "review_controls": _("Review controls that were failed"),
            "review_flagged": _("Review what labelers flagged as harmful or sensitive"),
            "requires_review": _("Only accepted work enters a snapshot"),
            "currency": _("Currency"),
            "living_wage": _("Living wage per hour"),
            "warned_categories": _("Categories with a warning"),
            "leak_names": _("More names that give a model away"),
            "valid_percent": _("Validation, percent of owners"),
            "test_percent": _("Test, percent of owners"),
            "prompts_per_owner": _("Prompts of one owner at most"),
            "autopilot": _("Rounds go on by themselves"),
            "demonstrations_target": _("Demonstrations a round"),
            "comparisons_target": _("Rankings a round"),
            "evaluation_target": _("Rankings that only evaluate"),
            "min_reward_accuracy": _("Reward model must reach (accuracy)"),
            "max_kl": _("Policy may move by (KL)"),
        }
        help_texts = {
            "contact": _("An address or a person; labelers read it on their start page."),
            "next_work": _("Such as “Mondays at 9:00 UTC”; labelers read it when nothing is left to do."),
            "completions_per_comparison": _("Two to nine."),
            "overlap": _("How many different people judge the same task."),
            "lease_minutes": _("Renewed with every saved draft."),
            "daily_goal": _("Shown to labelers as a quiet count."),
            "daily_hours": _(
                "Active hours after which a person is given no new work until the next day (UTC). Empty: no limit."
            ),
            "break_minutes": _("Of active time without a break. A quiet notice, nothing more; 0 turns it off."),
            "asks_strength": _(
                "Significantly, better, slightly or negligibly; it becomes the margin of the reward model."
            ),
            "control_percent": _("Comparisons whose ranking is known, mixed into the others."),
            "review_percent": _("Drawn from all that is submitted."),
            "review_first": _("Of each kind of work."),
            "review_controls": _("When less than three quarters of the known pairs are in order."),
            "review_flagged": _("Sexual or violent content, harm, denigration, sensitive prompts."),
            "requires_review": _("Everything submitted then waits for a reviewer."),
            "currency": _("An ISO 4217 code such as EUR; pay rates need one. Fixed once a rate is set."),
            "living_wage": _("Pay rates under it are pointed out. Empty: nothing is compared."),
            "warned_categories": _(
                "Prompt categories, with commas between them. Their tasks begin blurred, behind a warning."
            ),
            "leak_names": _(
                "One a line, besides the common ones and the names of the project's checkpoints. Completions with one are held back and listed."
            ),
            "valid_percent": _("Fixed once prompts are imported."),
            "test_percent": _("Never trained on. Fixed once prompts are imported."),
            "prompts_per_owner": _("More are left out at import and counted."),
            "autopilot": _("When each threshold below is met."),
            "min_reward_accuracy": _("On held-out rankings; 0.5 is a coin."),
            "max_kl": _("Nats per answer."),
        }

    def groups(self) -> list[tuple[str, list[Any]]]:
        """(legend, fields) for the template."""
        return [(gettext(legend), [self[name] for name in names]) for legend, names in GROUPS]


class InviteForm(forms.Form):
    """One invitation."""

    email = forms.EmailField(label=_("E-mail"), max_length=254)
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.CONTRACTOR)
    languages = LanguagesField()
    pay_rate = rate_field(_("In the project's currency, from the day they join. Empty: no rate."))


class AcceptInvitationForm(forms.Form):
    """What an invited person adds; the service checks the password."""

    name = forms.CharField(max_length=120, label=_("Your name"), widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=_("At least 12 characters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class MembersFilter(FilterForm):
    """Filters of the list of people; they live in the address."""

    text = forms.CharField(
        required=False, max_length=100, label=_("Name or e-mail"), widget=forms.TextInput(attrs={"type": "search"})
    )
    role = forms.ChoiceField(label=_("Role"), required=False, choices=[("", _("Every role")), *Role.choices])
    state = forms.ChoiceField(
        label=_("State"), required=False, choices=[("", _("Every state")), *Membership.State.choices]
    )
    language = forms.ChoiceField(label=_("Language"), required=False)

    def __init__(self, *args: Any, languages: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["language"].choices = [("", _("Every language")), *languages]  # type: ignore[attr-defined]


class RoleForm(forms.Form):
    """Another role."""

    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)


class PauseForm(forms.Form):
    """Why somebody is paused."""

    reason = forms.CharField(
        label=_("Reason"), max_length=300, widget=forms.Textarea(attrs={"rows": 3}), help_text=_("The person reads it.")
    )


class GuidelineForm(forms.Form):
    """The draft, in Markdown."""

    body = forms.CharField(
        strip=False,
        label=_("Text"),
        help_text=_("Markdown. Say what a good answer is, in which order the criteria count, and give examples."),
        widget=forms.Textarea(attrs={"class": "long", "rows": 24, "spellcheck": "true"}),
    )
    evaluation = forms.CharField(
        required=False,
        label=_("In final evaluations"),
        help_text=_(
            "What counts there instead; usually truthfulness and harmlessness come before helpfulness. It stands above every comparison that evaluates policies."
        ),
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "true"}),
    )
