"""What browser tests share: keys, sizes, and what must hold on every screen."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

SIZES = ((1440, 900), (390, 844))
# What can be pressed and is smaller than 24 px either way (WCAG 2.5.8). Links inside text are exempt; a hidden radio counts as its label.
SMALL = """() => [...document.querySelectorAll("a[href], button, select, input:not([type=hidden]), textarea, summary")]
  .filter((el) => el.checkVisibility({visibilityProperty: true, opacityProperty: false}))
  .filter((el) => !el.closest("p, dd, td:not(:has(.actions)), .prose, .facts, .crumbs, .vh, .skip, [inert]"))
  .map((el) => ["radio", "checkbox"].includes(el.type) ? el.closest("label") ?? el : el)
  .map((el) => [el, el.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < 24 || box.height < 24))
  .map(([el, box]) => `${el.outerHTML.slice(0, 90)}: ${Math.round(box.width)} x ${Math.round(box.height)}`)"""

# Colours that fade from one theme to the other would be judged half-way.
SETTLE = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  document.getAnimations().forEach((fade) => { try { fade.finish(); } catch { fade.cancel(); } });
  requestAnimationFrame(done);
})))"""


def press(page: Any, *keys: str) -> None:
    """Several keys, one after another."""
    for key in keys:
        page.keyboard.press(key)


def check_looks(page: Any, *schemes: str) -> None:
    """No axe violation, no sideways scrolling and no small target, wide and narrow, light and dark; no scrolling at 320 px."""
    for width, height in SIZES:
        resize(page, width, height)
        for scheme in schemes or ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(SETTLE)
            check_axe(page)
        check_fits(page)
        check_targets(page)
    resize(page, 320, 640)
    check_fits(page)


def resize(page: Any, width: int, height: int = 900) -> None:
    """The window has this size, in CSS pixels, and the page knows it: a busy browser answers before it has laid out anew."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function("width => innerWidth === width", arg=width)


def check_axe(page: Any) -> None:
    """No violation that axe finds, in the theme and at the size the page has."""
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, f"{page.url} {page.viewport_size}: {found.generate_report()}"


def check_fits(page: Any) -> None:
    """The page does not scroll sideways."""
    wide, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room, f"{page.url} is {wide} px wide and has {room} px"


def check_targets(page: Any) -> None:
    """Everything that can be pressed is at least 24 px wide and high."""
    small = page.evaluate(SMALL)
    assert not small, f"{page.url} {page.viewport_size}: targets smaller than 24 px: {small}"
