"""What browser tests of the work screens share."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

SIZES = ((1440, 900), (390, 844))
# What can be pressed and is smaller than 24 px either way (WCAG 2.5.8). Links inside a sentence are exempt; a hidden radio counts as its label.
SMALL = """() => [...document.querySelectorAll("main button, main a[href], main input, main summary, main textarea, header button, header a[href]")]
  .filter((el) => el.checkVisibility({visibilityProperty: true, opacityProperty: false}) && el.type !== "hidden" && !el.closest(".prose, .vh, .skip, [inert]"))
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
        page.set_viewport_size({"width": width, "height": height})
        for scheme in schemes or ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(SETTLE)
            found = Axe().run(page, options={"resultTypes": ["violations"]})
            assert found.violations_count == 0, f"{page.url} {width} {scheme}: {found.generate_report()}"
        check_width(page, width)
        small = page.evaluate(SMALL)
        assert not small, f"{page.url} {width} px: targets smaller than 24 px: {small}"
    page.set_viewport_size({"width": 320, "height": 640})
    check_width(page, 320)


def check_width(page: Any, width: int) -> None:
    """The page does not scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth") == width, f"{page.url} scrolls sideways at {width} px"
