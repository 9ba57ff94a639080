"""The languages that people work in: BCP 47 codes, with their names in the reader's language, both by CLDR."""

from __future__ import annotations

import re
from collections.abc import Iterable

from babel import Locale
from django.db import transaction
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from labeling.core import audit
from labeling.core.errors import BadInput
from labeling.people.models import User
from labeling.projects.models import Membership, Project

MOST = 20
NO_LANGUAGE = {"mis", "mul", "root", "und", "zxx"}  # codes for several languages, an unknown one or none
SHAPE = re.compile(r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|[0-9]{3}))?", re.IGNORECASE)


def as_code(text: str) -> str:
    """The code as BCP 47 writes it (`zh-Hans`, `pt-BR`), whatever the case; BadInput where there is no such language."""
    match = SHAPE.fullmatch(text.strip().replace("_", "-"))
    parts = (match[1].lower(), (match[2] or "").title(), (match[3] or "").upper()) if match else ("", "", "")
    if not is_known(*parts):
        raise BadInput(
            _("There is no language %(code)s: write codes such as en, pt-BR or zh-Hans.") % {"code": text.strip()},
            field="languages",
        )
    return "-".join(part for part in parts if part)


def is_known(language: str, script: str, territory: str) -> bool:
    """Whether there is such a language, and such a script and territory where they are given."""
    names = Locale("en")
    if language not in names.languages or language in NO_LANGUAGE:
        return False
    return (not script or script in names.scripts) and (not territory or territory in names.territories)


def checked(codes: Iterable[str]) -> list[str]:
    """Each language once, in the order given; BadInput for a wrong code, or for more than anybody works in."""
    found = list(dict.fromkeys(as_code(code) for code in codes))
    if len(found) > MOST:
        raise BadInput(
            _("These are more than %(most)d languages: name the main ones.") % {"most": MOST}, field="languages"
        )
    return found


def split(text: str) -> list[str]:
    """The parts of what somebody typed, with commas or spaces between them."""
    return [part for part in re.split(r"[\s,;，、；]+", text) if part]


def name_of(code: str) -> str:
    """The language in words, in the reader's language: "Simplified Chinese", "French (Senegal)"."""
    names = Locale.parse(get_language() or "en", sep="-")
    if known := names.languages.get(code.replace("-", "_")):
        return str(known)
    language, *rest = code.split("-")
    where = [names.scripts.get(part) or names.territories.get(part) or part for part in rest]
    said = names.languages.get(language, language)
    return f"{said} ({', '.join(where)})" if where else str(said)


def spoken(project: Project) -> list[tuple[str, str]]:
    """(code, name) of every language that somebody in the project works in, by name."""
    lists = Membership.objects.filter(project=project).exclude(languages=[]).values_list("languages", flat=True)
    codes = {code for codes in lists for code in codes}
    return sorted(((code, name_of(code)) for code in codes), key=lambda pair: pair[1].casefold())


@transaction.atomic
def set_languages(*, membership: Membership, languages: Iterable[str], by: User) -> Membership:
    """Write down what a member works in, over what was there; an empty list says that nobody knows."""
    codes = checked(languages)
    place = Membership.objects.select_for_update(of=("self",)).select_related("user").get(pk=membership.pk)
    if place.languages != codes:
        before, place.languages = place.languages, codes
        place.save(update_fields=["languages"])
        audit.record("changed languages", place, by=by, before={"languages": before}, after={"languages": codes})
    return place
