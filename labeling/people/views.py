"""The account page: name, language, sessions, tokens."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.core.errors import BadInput
from labeling.people import selectors, services
from labeling.people.browsers import browser_name
from labeling.people.forms import LanguageForm, NameForm, TokenForm
from labeling.people.requests import SignedInRequest


def account_page(request: SignedInRequest, name_form: NameForm, status: int = 200) -> HttpResponse:
    """The page with what belongs to this person."""
    context: dict[str, Any] = {
        "name_form": name_form,
        "language_form": LanguageForm(initial={"language": request.user.language}),
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
    messages.success(request, _("Your name is saved."))
    return redirect("account")


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Change the language: of this browser by a cookie, and of the person who is signed in."""
    form = LanguageForm(request.POST)
    if not form.is_valid():
        raise BadInput(_("There are no pages in that language."), field="language")
    chosen = form.cleaned_data["language"]
    if request.user.is_authenticated:
        services.choose_language(user=request.user, language=chosen)
        with override(chosen or None):
            messages.success(request, _("The language is saved."))
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    response = redirect(back if safe else "home")
    if chosen:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            chosen,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
            samesite="Lax",
        )
    else:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")
    return response


@login_required
@require_POST
def session_end(request: SignedInRequest, session_id: int) -> HttpResponse:
    """Sign another browser out."""
    services.end_session(user=request.user, session_id=session_id)
    messages.success(request, _("That browser is signed out."))
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
        at = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else ""
        facts = [
            _("Programs that use it stop working at once."),
            _("Last used %(time)s UTC.") % {"time": at} if at else _("It was never used."),
            _("This cannot be taken back; you can make a new one."),
        ]
        page = {
            "title": _("Revoke “%(token)s”?") % {"token": token.name},
            "facts": facts,
            "action": _("Revoke it"),
            "back": "/account/",
            "danger": True,
        }
        return render(request, "components/confirm.html", page)
    services.revoke_token(user=request.user, token_id=token_id)
    messages.success(request, _("“%(token)s” is revoked.") % {"token": token.name})
    return redirect("account")


@require_safe
def closed(request: HttpRequest, **parts: str) -> HttpResponse:
    """Pages of allauth that this product does not have."""
    raise Http404
