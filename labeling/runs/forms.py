"""The form of a new run, made of the config dataclass the stage itself reads."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from labeling.checkpoints import selectors as checkpoints
from labeling.checkpoints.models import Checkpoint
from labeling.datasets.models import Snapshot
from labeling.projects.models import Project
from labeling.runs.kept_words import ROLES
from labeling.runs.models import Run
from labeling.runs.services import LARGEST_SEED, MANY_POLICIES, ROLE_KINDS
from training.configs import CONFIGS, describe
from training.contracts import NEEDS, Kind

OFFERED = [kind for kind in Run.Kind if kind != Run.Kind.PRETRAIN]  # no snapshot holds plain text to pretrain on
SHOWN_SNAPSHOTS = 50
ROLE_HELP = {
    ("sft", "policy"): gettext_lazy("What the fine-tuning starts from: usually the base model."),
    ("sample", "policy"): gettext_lazy("One or more: each answers every prompt."),
    ("reward", "policy"): gettext_lazy("The weights the reward model starts from: usually the SFT policy."),
    ("ppo", "policy"): gettext_lazy("The policy that PPO improves, and the reference its KL is measured from."),
    ("ppo", "reward"): gettext_lazy(
        "What PPO maximises; may be left out only when a function of your own does (see settings)."
    ),
    ("ppo", "gold"): gettext_lazy("Watches only: says when the reward rises while this one falls (over-optimisation)."),
    ("sample", "reward"): gettext_lazy("Scores every completion, and picks the best of n."),
    ("sample", "gold"): gettext_lazy(
        "Watches only: how it scores the best of n, by n (over-optimisation). Needs a reward model and best_of 4 or more."
    ),
    ("evaluate", "reference"): gettext_lazy("Answers with the same seeds; the win rate is measured against it."),
}
ACRONYMS = {"kl": "KL", "lora": "LoRA", "gae": "GAE", "warmup": "warm-up"}
GROUPS = {
    "main": gettext_lazy("Settings"),
    "objective": gettext_lazy("Objective"),
    "critic": gettext_lazy("Critic"),
    "pretraining mix": gettext_lazy("Pretraining mix (PPO-ptx)"),
    "adapter": gettext_lazy("What is trained"),
    "ensemble": gettext_lazy("Seeds, ensemble and learning curve"),
    "machine": gettext_lazy("Machine"),
}


class SnapshotChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Snapshots with their size."""

    def label_from_instance(self, obj: Any) -> str:
        """`rankings-1 (96 rows)`."""
        said = ngettext("%(n)d row", "%(n)d rows", obj.rows) % {"n": obj.rows}
        waiting = "" if obj.state == Snapshot.State.READY else f", {obj.get_state_display().lower()}"
        return f"{obj.name} ({said}{waiting})"


def checkpoint_label(checkpoint: Checkpoint) -> str:
    """`sft-1 (policy, promoted)`."""
    promoted = checkpoint.state == Checkpoint.State.PROMOTED
    state = f", {checkpoint.get_state_display().lower()}" if promoted else ""
    return f"{checkpoint.name} ({checkpoint.get_kind_display().lower()}{state})"


class RunForm(forms.Form):
    """Fields are named like the errors of `queue_run`: name, seed, inputs.policy, data.prompts, config.learning_rate."""

    def __init__(self, data: QueryDict | None = None, *, project: Project, kind: str, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.project, self.stage = project, Kind(kind)
        self.fields["name"] = forms.CharField(
            label=_("Name"), max_length=80, help_text=_("Also the name of the checkpoint it makes.")
        )
        self.fields["seed"] = forms.IntegerField(label=_("Seed"), min_value=0, max_value=LARGEST_SEED, initial=0)
        self.settings = describe(CONFIGS[self.stage])
        for role in NEEDS[self.stage].inputs:
            self.fields[f"inputs.{role.rstrip('?')}"] = self.input_field(role)
        for need in NEEDS[self.stage].data:
            self.fields[f"data.{need.rstrip('?')}"] = self.data_field(need)
        for setting in self.settings:
            self.fields[f"config.{setting['name']}"] = setting_field(setting)

    def input_field(self, role: str) -> forms.Field:
        """A checkpoint, or several where the stage reads several."""
        name = role.rstrip("?")
        rows = checkpoints.usable(project=self.project, kinds=ROLE_KINDS[name])
        many = name == "policy" and self.stage in MANY_POLICIES
        common: dict[str, Any] = {
            "queryset": rows,
            "to_field_name": "public_id",
            "required": not role.endswith("?"),
            "label": capfirst(_(ROLES[name])),
            "help_text": ROLE_HELP.get((self.stage.value, name), ""),
        }
        field: forms.ModelChoiceField[Checkpoint]
        if many:
            field = forms.ModelMultipleChoiceField(widget=forms.CheckboxSelectMultiple, **common)
        else:
            field = forms.ModelChoiceField(empty_label=_("None") if role.endswith("?") else _("Choose one"), **common)
        field.label_from_instance = checkpoint_label  # type: ignore[method-assign,assignment]
        return field

    def data_field(self, need: str) -> forms.Field:
        """Snapshots of one kind, the newest first."""
        kind = need.rstrip("?")
        rows = Snapshot.objects.filter(project=self.project, kind=kind).exclude(state=Snapshot.State.FAILED)
        newest = rows.order_by("-id").values("pk")[:SHOWN_SNAPSHOTS]
        label = dict(Snapshot.Kind.choices).get(kind) or _("documents")
        return SnapshotChoice(
            queryset=Snapshot.objects.filter(pk__in=newest).order_by("-id"),
            to_field_name="public_id",
            required=not need.endswith("?"),
            widget=forms.CheckboxSelectMultiple,
            label=_("Snapshots of %(kind)s") % {"kind": label.lower()},
        )

    # ---- for the page

    @property
    def head(self) -> list[forms.BoundField]:
        """Name, inputs, data, seed."""
        return [self[name] for name in self.fields if not name.startswith("config.")]

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The settings in the parts of the form; parts beyond the first two start closed unless something in them is wrong."""
        found: dict[str, list[forms.BoundField]] = {}
        for setting in self.settings:
            found.setdefault(setting["group"], []).append(self[f"config.{setting['name']}"])
        order = [name for name in GROUPS if name in found]
        return [
            {
                "label": GROUPS[name],
                "fields": found[name],
                "open": name in ("main", "objective") or any(field.errors for field in found[name]),
            }
            for name in order
        ]

    # ---- for queue_run

    def config(self) -> dict[str, Any]:
        """Every setting; one left empty takes its default."""
        said = {setting["name"]: self.cleaned_data[f"config.{setting['name']}"] for setting in self.settings}
        defaults = {setting["name"]: setting["default"] for setting in self.settings}
        return {name: defaults[name] if value in (None, "") else value for name, value in said.items()}

    def inputs(self) -> dict[str, list[Checkpoint]]:
        """Checkpoints by role."""
        found: dict[str, list[Checkpoint]] = {}
        for name, value in self.cleaned_data.items():
            if name.startswith("inputs.") and value:
                found[name.removeprefix("inputs.")] = [value] if isinstance(value, Checkpoint) else list(value)
        return found

    def snapshots(self) -> list[Snapshot]:
        """All snapshots chosen."""
        return [row for name, value in self.cleaned_data.items() if name.startswith("data.") for row in value or []]


def setting_field(setting: dict[str, Any]) -> forms.Field:
    """The form field of one config field, with its help, unit and bounds."""
    said = setting["help"]
    text = _("%(sentence)s.") % {"sentence": capital(_(said))}
    common: dict[str, Any] = {"label": label_of(setting), "help_text": text, "required": False}
    common["initial"] = setting["default"]
    if setting["choices"]:
        return forms.ChoiceField(choices=[(value, value) for value in setting["choices"]], **common)
    if setting["type"] == "bool":
        return forms.BooleanField(**common)
    bounds = {"min_value": setting["low"], "max_value": setting["high"]}
    if setting["type"] == "int":
        return forms.IntegerField(**common, **bounds)
    if setting["type"] == "float":
        return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **common, **bounds)
    return forms.CharField(**common)


def label_of(setting: dict[str, Any]) -> str:
    """`KL target (nats)` of kl_target: the setting's own name, as configs and the API have it, in every language."""
    words = [ACRONYMS.get(word, word) for word in setting["name"].split("_")]
    unit = setting["unit"]
    tail = f" ({unit})" if unit and unit.rstrip("s") not in setting["name"] else ""
    return capital(" ".join(words)) + tail


def capital(text: str) -> str:
    """The text with a capital letter in front; Greek ones stay symbols."""
    return (text[:1].upper() if text[:1].isascii() else text[:1]) + text[1:]


def prefilled(project: Project, kind: str, params: QueryDict, like: Run | None = None) -> dict[str, Any]:
    """Initial values: an earlier run's, or what the project has promoted; then what the address names."""
    initial = copied(like) if like else suggested(project, kind)
    for role in ROLE_KINDS:
        if role in params:
            initial[f"inputs.{role}"] = params.getlist(role)
    if name := params.get("name"):
        initial["name"] = name
    if named := params.getlist("snapshot"):
        kinds = {str(pk): own for pk, own in project.snapshots.values_list("public_id", "kind")}
        for need in NEEDS[Kind(kind)].data:
            initial[f"data.{need.rstrip('?')}"] = [pk for pk in named if kinds.get(pk) == need.rstrip("?")]
    many = kind in MANY_POLICIES
    return {
        name: value[0] if isinstance(value, list) and name.startswith("inputs.") and not many and value else value
        for name, value in initial.items()
    }


def copied(like: Run) -> dict[str, Any]:
    """Everything an earlier run was started with."""
    initial: dict[str, Any] = {f"config.{name}": value for name, value in like.config.items()}
    initial |= {"seed": like.seed, "name": like.name}
    for item in like.inputs.select_related("checkpoint"):
        initial.setdefault(f"inputs.{item.role}", []).append(str(item.checkpoint.public_id))
    for data in like.data.select_related("snapshot"):
        initial.setdefault(f"data.{data.snapshot.kind}", []).append(str(data.snapshot.public_id))
    return initial


def suggested(project: Project, kind: str) -> dict[str, Any]:
    """A name that is free, and the checkpoints one would take: SFT starts from the base, the rest from what is promoted."""
    count = Run.objects.filter(project=project, kind=kind).count()
    initial: dict[str, Any] = {"name": f"{kind}-{count + 1}"}
    base = checkpoints.base_of(project=project)
    policy = base if kind == Kind.SFT else checkpoints.promoted(project=project, kind=Checkpoint.Kind.POLICY) or base
    reward = checkpoints.promoted(project=project, kind=Checkpoint.Kind.REWARD)
    for role, found in (("policy", policy), ("reward", reward)):
        if found is not None and (kind, role) != (Kind.SAMPLE, "reward"):  # few want every completion scored
            initial[f"inputs.{role}"] = [str(found.public_id)]
    return initial
