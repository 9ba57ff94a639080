"""What people read for each kind of thing that hygiene finds; rows and redacted texts keep the short English word."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

REPORTED = "reported"  # not by hygiene: by somebody who was given the prompt
NAMES = {
    "key": _("secret key"),
    "e-mail": _("e-mail address"),
    "card": _("payment card"),
    "iban": _("bank account (IBAN)"),
    "phone": _("phone number"),
    "address": _("IP address"),
    REPORTED: _("reported by a labeler"),
}


def name_of(kind: str) -> str:
    """The name of one of `hygiene.KINDS`, or of REPORTED, in the reader's language; an unknown one stays as it is."""
    return str(NAMES.get(kind, kind))
