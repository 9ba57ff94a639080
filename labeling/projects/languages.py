"""The languages that people work in: BCP 47 codes, checked against ISO 639, with their names in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.conf.locale import LANG_INFO
from django.db import transaction
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from labeling.core import audit
from labeling.core.errors import BadInput
from labeling.people.models import User
from labeling.projects.models import Membership, Project

MOST = 20
ISO_639_1 = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo "
    "es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg "
    "ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn "
    "no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta "
    "te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
LONGER = frozenset({"ceb", "fil", "ilo", "yue"})  # ISO 639-3, where there is no shorter code
PRIMARY = LONGER | set(ISO_639_1.split())
SHAPE = re.compile(r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|[0-9]{3}))?", re.IGNORECASE)


def as_code(text: str) -> str:
    """The code as BCP 47 writes it (`zh-Hans`, `pt-BR`), whatever the case; BadInput where there is no such language."""
    match = SHAPE.fullmatch(text.strip().replace("_", "-"))
    if match is None or match[1].lower() not in PRIMARY:
        raise BadInput(
            _("There is no language %(code)s: write codes such as en, pt-BR or zh-Hans.") % {"code": text.strip()},
            field="languages",
        )
    parts = (match[1].lower(), (match[2] or "").title(), (match[3] or "").upper())
    return "-".join(part for part in parts if part)


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
    """The language in words, in the reader's language; the code itself where Django knows no name for it."""
    known = code.lower()
    return str(get_language_info(known)["name_translated"]) if "name" in LANG_INFO.get(known, {}) else code


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
