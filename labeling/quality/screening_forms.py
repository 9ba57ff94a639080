"""Forms of the screening."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.quality.screening_models import ScreeningRule
from labeling.quality.screening_work import MAX_ANSWER


class RuleForm(forms.Form):
    """When somebody passes, and whether anybody is screened."""

    is_on = forms.BooleanField(
        required=False,
        label=_("New contractors qualify first"),
        help_text=_("Those who join from now on get only the work below until they pass."),
    )
    min_agreement = forms.IntegerField(
        min_value=0,
        max_value=100,
        label=_("Rankings agree with the known order, percent at least"),
        help_text=_("Over all known pairs of all controls; a tie counts half."),
    )
    min_flags = forms.IntegerField(
        min_value=0,
        max_value=100,
        label=_("Harm is flagged rightly, percent at least"),
        help_text=_("Over all completions whose harm is known: flagged where it is there, and nowhere else."),
    )
    min_grade = forms.FloatField(
        min_value=1,
        max_value=7,
        label=_("Mean grade of demonstrations, at least"),
        help_text=_("A reviewer grades 1 to 7."),
    )
    question = forms.CharField(
        required=False,
        max_length=1000,
        label=_("Question"),
        help_text=_("Such as which groups or topics the person can judge. Empty: none is asked."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    decides_alone = forms.BooleanField(
        required=False,
        label=_("Who meets the rule passes without a click"),
        help_text=_("Nobody is turned away without a person."),
    )

    @classmethod
    def of(cls, rule: ScreeningRule, *, is_on: bool) -> RuleForm:
        """The form showing what holds now."""
        names = ("min_agreement", "min_flags", "min_grade", "question", "decides_alone")
        return cls(initial={"is_on": is_on, **{name: getattr(rule, name) for name in names}})


class AnswerForm(forms.Form):
    """The answer to the project's question, which is its label."""

    answer = forms.CharField(max_length=MAX_ANSWER, widget=forms.Textarea(attrs={"rows": 8}))

    def __init__(self, *args: Any, question: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["answer"].label = question


class GradeForm(forms.Form):
    """The grade of one demonstration."""

    grade = forms.TypedChoiceField(
        coerce=int, label=_("Grade"), choices=[(n, str(n)) for n in range(1, 8)], widget=forms.RadioSelect
    )


class RefuseForm(forms.Form):
    """Why somebody does not pass."""

    note = forms.CharField(
        max_length=300,
        label=_("Why not"),
        help_text=_("The person reads it."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class FindPromptForm(forms.Form):
    """Words of a prompt."""

    text = forms.CharField(
        required=False, max_length=100, label=_("Words of a prompt"), widget=forms.TextInput(attrs={"type": "search"})
    )
