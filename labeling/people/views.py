"""The account page: name, sessions, tokens."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.people import selectors, services
from labeling.people.browsers import browser_name
from labeling.people.forms import NameForm, TokenForm
from labeling.people.requests import SignedInRequest


def account_page(request: SignedInRequest, name_form: NameForm, status: int = 200) -> HttpResponse:
    """The page with what belongs to this person."""
    context: dict[str, Any] = {
        "name_form": name_form,
        "sessions": [(entry, browser_name(entry.user_agent)) for entry in selectors.sessions_of(request)],
        "tokens": selectors.tokens_of(request.user),
        "may_have_tokens": selectors.may_have_tokens(request.user),
        "has_second_factor": is_mfa_enabled(request.user),
    }
    return render(request, "people/account.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: SignedInRequest) -> HttpResponse:
    """Own account; POST changes the name."""
    if request.method != "POST":
        return account_page(request, NameForm(initial={"name": request.user.name}))
    form = NameForm(request.POST)
    if not form.is_valid():
        return account_page(request, form, status=400)
    services.rename(user=request.user, name=form.cleaned_data["name"])
    messages.success(request, "Your name is saved.")
    return redirect("account")


@login_required
@require_POST
def session_end(request: SignedInRequest, session_id: int) -> HttpResponse:
    """Sign another browser out."""
    services.end_session(user=request.user, session_id=session_id)
    messages.success(request, "That browser is signed out.")
    return redirect("account")


@login_required
@reauthentication_required  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "HEAD", "POST"])
def token_new(request: SignedInRequest) -> HttpResponse:
    """Make a token; its secret is on the answer to this POST and nowhere else."""
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        token, secret = services.create_token(user=request.user, **form.cleaned_data)
        return render(request, "people/token_created.html", {"token": token, "secret": secret})
    return render(request, "people/token_new.html", {"form": form}, status=400 if form.is_bound else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def token_revoke(request: SignedInRequest, token_id: int) -> HttpResponse:
    """Ask, then end one token."""
    token = get_object_or_404(selectors.tokens_of(request.user), pk=token_id)
    if request.method != "POST":
        used = f"Last used {token.last_used_at:%Y-%m-%d %H:%M} UTC." if token.last_used_at else "It was never used."
        facts = [
            "Programs that use it stop working at once.",
            used,
            "This cannot be taken back; you can make a new one.",
        ]
        page = {
            "title": f"Revoke “{token.name}”?",
            "facts": facts,
            "action": "Revoke it",
            "back": "/account/",
            "danger": True,
        }
        return render(request, "components/confirm.html", page)
    services.revoke_token(user=request.user, token_id=token_id)
    messages.success(request, f"“{token.name}” is revoked.")
    return redirect("account")


@require_safe
def closed(request: HttpRequest, **parts: str) -> HttpResponse:
    """Pages of allauth that this product does not have."""
    raise Http404
