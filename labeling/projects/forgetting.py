"""What a project forgets of a person who is erased."""

from __future__ import annotations

from django.db.models import F, Q, Value
from django.db.models.functions import Concat

from labeling.people.models import User
from labeling.projects.models import Invitation, Membership, SavedView


def forget(user: User) -> None:
    """Their appeals, languages, views and the addresses they were invited at; roles, pay and the random key stay."""
    Membership.objects.filter(user=user).update(appeal="", languages=[])
    SavedView.objects.filter(user=user).delete()
    unknown = Concat(
        Value("erased-"), F("pk"), Value("@erased.invalid"), output_field=Invitation._meta.get_field("email")
    )
    Invitation.objects.filter(Q(accepted_by=user) | Q(email__iexact=user.email)).update(email=unknown)
