"""Pages of the screening: the question for the person, rule and people for admins and reviewers."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.core.errors import BadInput, Conflict, NotFound
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.projects.models import Membership
from labeling.prompts.models import Prompt
from labeling.quality import control_items, review_selectors
from labeling.quality import screening_decisions as decisions
from labeling.quality import screening_results as results
from labeling.quality.models import ControlItem
from labeling.quality.screening_forms import AnswerForm, FindPromptForm, GradeForm, RefuseForm, RuleForm
from labeling.quality.screening_models import Qualification, ScreeningItem, ScreeningPiece
from labeling.quality.screening_work import answer_question

page = require_http_methods(["GET", "HEAD", "POST"])
FOUND = 20
PEOPLE = 50


@member(Role.CONTRACTOR)
@page
def screening_question(request: ProjectRequest, slug: str) -> HttpResponse:
    """The project's question to somebody who qualifies."""
    rule = results.rule_of(request.project)
    if not rule.question or request.membership.state != request.membership.State.QUALIFYING:
        return redirect("queue", slug)
    earlier = Qualification.objects.filter(membership=request.membership).first()
    form = AnswerForm(
        request.POST or None, question=rule.question, initial={"answer": earlier.answer if earlier else ""}
    )
    if request.method == "POST" and form.is_valid():
        answer_question(project=request.project, labeler=request.user, answer=form.cleaned_data["answer"])
        messages.success(request, _("Your answer is kept."))
        return redirect("queue", slug)
    return render(request, "quality/screening_question.html", {"form": form}, status=400 if form.is_bound else 200)


@member(Role.REVIEWER)
@page
def screening(request: ProjectRequest, slug: str) -> HttpResponse:
    """Rule, items, and who is being screened; admins change the rule."""
    is_admin = request.membership.role == Role.ADMIN
    form = RuleForm.of(results.rule_of(request.project), is_on=request.project.requires_screening)
    if request.method == "POST" and is_admin:
        form = RuleForm(request.POST)
        if form.is_valid():
            try:
                decisions.save_rule(project=request.project, by=request.user, **form.cleaned_data)
            except BadInput as problem:
                form.add_error(problem.field if problem.field in form.fields else None, problem.detail)
            else:
                messages.success(request, _("Saved."))
                return redirect("screening", slug)
    waiting = paginate(request, results.people(request.project), size=PEOPLE, oldest_first=True)
    context = {
        "form": form,
        "is_admin": is_admin,
        "items": results.items(request.project),
        "page": waiting,
        "people": results.with_results(request.project, waiting.rows),
        "decided": results.decided(request.project)[:FOUND],
    }
    return render(request, "quality/screening.html", context, status=400 if form.errors else 200)


@member(Role.ADMIN)
@require_safe
def screening_items(request: ProjectRequest, slug: str) -> HttpResponse:
    """Choose controls and prompts to screen with."""
    form = FindPromptForm(request.GET or None)
    text = form.cleaned_data["text"] if form.is_bound and form.is_valid() else ""
    prompts = Prompt.objects.filter(project=request.project, state=Prompt.State.ACTIVE, summary__icontains=text)
    asked = results.items(request.project)
    controls = control_items.controls(request.project)
    context = {
        "form": form,
        "items": asked,
        "controls": controls.exclude(screening_item__in=asked)[:FOUND],
        "prompts": prompts.exclude(tasks__screening_item__in=asked).order_by("-pk")[:FOUND],
    }
    return render(request, "quality/screening_items.html", context)


@member(Role.ADMIN)
@require_POST
def screening_add(request: ProjectRequest, slug: str) -> HttpResponse:
    """Ask one control or prompt from now on."""
    if control := request.POST.get("control", ""):
        rows = ControlItem.objects.filter(comparison__task__project=request.project)
        decisions.ask_control(control=get_object_or_404(rows, pk=number(control)), by=request.user)
    else:
        rows_of_prompts = Prompt.objects.filter(project=request.project, state=Prompt.State.ACTIVE)
        prompt = get_object_or_404(rows_of_prompts, pk=number(request.POST.get("prompt", "")))
        decisions.ask_prompt(prompt=prompt, by=request.user)
    messages.success(request, _("It is asked from now on."))
    return redirect("screening-items", slug)


@member(Role.ADMIN)
@require_POST
def screening_remove(request: ProjectRequest, slug: str, item: int) -> HttpResponse:
    """Ask one item no more."""
    found = get_object_or_404(ScreeningItem.objects.select_related("project"), project=request.project, pk=item)
    decisions.ask_no_more(item=found, by=request.user)
    messages.success(request, _("It is no longer asked."))
    return redirect("screening-items", slug)


def number(text: str) -> int:
    """A key from a form; NotFound for anything else."""
    if not text.isdecimal() or len(text) > 18:
        raise NotFound(_("There is no such thing here."))
    return int(text)


@member(Role.REVIEWER)
@require_safe
def screening_person(request: ProjectRequest, slug: str, membership: int) -> HttpResponse:
    """What one person did, to be graded and decided."""
    place = results.one_person(request.project, membership)
    return person_page(request, place)


def person_page(request: ProjectRequest, place: Any, *, refuse: RefuseForm | None = None) -> HttpResponse:
    """The page with the form as it stands."""
    qualification = Qualification.objects.filter(membership=place).first()
    context = {
        "place": place,
        "result": results.result_of(place),
        "qualification": qualification,
        "pieces": pieces_of(qualification, place) if qualification else [],
        "is_open": place.state == place.State.QUALIFYING and place.user_id != request.user.pk,
        "is_admin": request.membership.role == Role.ADMIN,
        "refuse": refuse or RefuseForm(),
    }
    status = 400 if refuse is not None else 200
    return render(request, "quality/screening_person.html", context, status=status)


def pieces_of(qualification: Qualification, place: Membership) -> list[dict[str, Any]]:
    """Each submitted piece with its prompt and what was said."""
    rows = qualification.pieces.select_related("slot__task__prompt", "item__control", "graded_by")
    done = [piece for piece in rows if results.is_done(piece, place.user)]
    said = results.said_in(done)
    found = []
    for piece in done:
        ranking = piece.slot.rankings.filter(superseded_by=None, late=False).first()
        right, pairs = results.agreement_of([piece], said)
        flags, flaggable = results.flagging_of([piece], said, place.project)
        found.append(
            {
                "piece": piece,
                "prompt": piece.slot.task.prompt,
                "percent": 100 * right / pairs if pairs else None,
                "pairs": pairs,
                "flags": flags,
                "flaggable": flaggable,
                "harmful": piece.item.control.harmful or [] if piece.item.control else [],
                "known": piece.item.control.known if piece.item.control else {},
                "responses": review_selectors.said_of(ranking) if ranking else [],
                "written": results.written(piece),
                "form": GradeForm(initial={"grade": piece.grade}, auto_id=f"id_{piece.pk}_%s"),
            }
        )
    return found


@member(Role.REVIEWER)
@require_POST
def screening_grade(request: ProjectRequest, slug: str, piece: int) -> HttpResponse:
    """Grade one demonstration."""
    rows = ScreeningPiece.objects.select_related("qualification__membership", "item", "slot")
    found = get_object_or_404(rows, item__project=request.project, pk=piece)
    form = GradeForm(request.POST)
    if not form.is_valid():
        raise BadInput(_("A grade is a whole number from 1 to 7."), field="grade")
    decisions.grade(piece=found, grade=form.cleaned_data["grade"], by=request.user)
    messages.success(request, _("Graded."))
    return redirect("screening-person", slug, found.qualification.membership_id)


@member(Role.ADMIN)
@require_POST
def screening_decide(request: ProjectRequest, slug: str, membership: int) -> HttpResponse:
    """Let the person work, or not."""
    place = results.one_person(request.project, membership)
    passed = request.POST.get("decision") == "pass"
    form = RefuseForm(request.POST)
    if not passed and not form.is_valid():
        return person_page(request, place, refuse=form)
    try:
        note = "" if passed else form.cleaned_data["note"]
        decisions.decide(membership=place, passed=passed, by=request.user, note=note)
    except Conflict as problem:
        messages.warning(request, problem.detail)
        return redirect("screening-person", slug, membership)
    said = _("%(person)s passed and can work.") if passed else _("%(person)s did not pass and reads your note.")
    messages.success(request, said % {"person": place.user})
    return redirect("screening", slug)
