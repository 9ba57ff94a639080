"""What a password must have beyond Django's own rules."""

from __future__ import annotations

from django.contrib.auth.password_validation import MinimumLengthValidator
from django.utils.translation import gettext as _


class MinimumLength(MinimumLengthValidator):
    """The length rule in words that our catalogue has: Django's own sentence is not translated into every language of the pages."""

    def get_error_message(self) -> str:
        """What is shown when the password is too short."""
        return _("The password is too short: use at least %(least)d characters.") % {"least": self.min_length}

    def get_help_text(self) -> str:
        """The rule."""
        return _("At least %(least)d characters.") % {"least": self.min_length}
