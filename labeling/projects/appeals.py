"""What a paused person sees: the reason, and a place to answer it."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from labeling.projects import services
from labeling.projects.access import ProjectRequest, member
from labeling.projects.models import Membership


class AppealForm(forms.Form):
    """The person's answer."""

    text = forms.CharField(
        max_length=services.MAX_APPEAL,
        label=gettext_lazy("Your appeal"),
        help_text=gettext_lazy("The admins of the project read it. You can change it until they have decided."),
        widget=forms.Textarea(attrs={"rows": 6}),
    )


@member(paused=True)
@require_http_methods(["GET", "HEAD", "POST"])
def appeal(request: ProjectRequest, slug: str) -> HttpResponse:
    """Read why one is paused; answer."""
    place = request.membership
    if place.state != Membership.State.PAUSED:
        messages.info(request, _("You are not paused in this project."))
        return redirect("projects")
    form = AppealForm(request.POST or None, initial={"text": place.appeal})
    if request.method == "POST" and form.is_valid():
        services.appeal(membership=place, text=form.cleaned_data["text"], by=request.user)
        messages.success(request, _("Your appeal is sent. An admin decides."))
        return redirect("appeal", slug)
    return render(request, "projects/appeal.html", {"form": form}, status=400 if form.is_bound else 200)
