"""The page as a reader meets it, in headless Chromium: it takes a Chromium on the system.

It is looked for as `chromium`, `chromium-browser` or `google-chrome`, or where the variable CHROMIUM says.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PHONE, TABLET, WIDE = 390, 768, 1440


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not there: pip install -e '.[dev]'")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium was found: install one, or name it in the variable CHROMIUM")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=list(FLAGS))
        yield opened
        opened.close()


class Opened:
    """A page in a window, and what went wrong or outside while it was looked at."""

    def __init__(self, browser, path: Path, *, width: int = WIDE, scheme: str = "light", script: bool = True) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script,
            reduced_motion="reduce", has_touch=width == PHONE,
        )  # fmt: skip
        context.set_default_timeout(10_000)
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message) or dialog.dismiss())
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.path = path

    def open(self):
        self.page.goto(self.path.as_uri())
        return self.page

    def check(self) -> None:
        assert self.wrong == []
        assert [url for url in self.asked if not url.startswith("data:")] == [self.path.as_uri()]


@pytest.fixture
def show(browser, written) -> Iterator:
    """Opens the page, and holds it in the end to have said nothing on the console and asked for nothing else."""
    shown: list[Opened] = []

    def opened(path: Path = written, init: str = "", **how):
        shown.append(Opened(browser, path, **how))
        if init:
            shown[-1].page.add_init_script(init)
        return shown[-1].open()

    yield opened
    for one in shown:
        one.check()
        one.page.context.close()


@pytest.fixture(scope="module")
def records(written) -> list[dict]:
    """The lines of the table of best arms, as numbers."""
    return json.loads((written.parent / "report.json").read_text())["runs"][0]["tables"]["best_arms"]["records"]


def card(page, title: str):
    """The card of a table."""
    return page.locator("div.card", has=page.get_by_role("heading", name=title, exact=True))


def table(page, title: str):
    return card(page, title).locator("table")


def column(shown, number: int) -> list[str]:
    return shown.locator(f"tbody td:nth-child({number})").all_inner_texts()


def test_a_click_on_a_heading_sorts_by_the_numbers_themselves(show, records):
    best = table(show(), "Best arms")
    names, head = column(best, 1), best.locator("th", has_text="Seeds ±")
    assert head.get_attribute("aria-sort") is None
    place = best.locator("th").all_inner_texts().index("Seeds ±") + 1
    by_spread = [r["name"] for r in sorted(records, key=lambda r: r["dev_uar_seed_std"], reverse=True)]
    texts = column(best, place)
    assert len(set(texts)) < len(texts), "some are equal in print, so that only the numbers tell them apart"
    for order, expected in (("descending", by_spread), ("ascending", by_spread[::-1]), (None, names)):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == order
        assert [name.removesuffix(" (chosen)") for name in column(best, 1)] == [
            name.removesuffix(" (chosen)") for name in expected
        ]


def test_missing_numbers_stay_last_and_only_one_heading_is_marked(show):
    best = table(show(), "Best arms")
    for _ in range(2):
        best.locator("th", has_text="Test UAR").get_by_role("button").click()
        assert column(best, 3)[-1] == "—"
        assert column(best, 3)[0] != "—"
    best.locator("th", has_text="Arm").get_by_role("button").click()
    assert best.locator("th[aria-sort]").all_inner_texts() == ["Arm"]


def test_the_keyboard_sorts_and_names_sort_as_people_count(show):
    page = show()
    best = table(page, "Best arms")
    best.locator("th", has_text="Arm").get_by_role("button").focus()
    page.keyboard.press("Enter")
    found = [int(name.split()[1]) for name in column(best, 1) if name.startswith("search ")]
    assert found == sorted(found)
    assert max(found) >= 10


def test_figures_load_and_enlarge(show):
    page = show()
    page.wait_for_load_state("load")
    for box in page.locator("figure svg").all():
        size = box.bounding_box()
        assert size["width"] > 200
        assert size["height"] > 40
    assert page.evaluate(
        """async () => {
          const pictures = [...document.querySelectorAll("svg image")].map((one) => one.href.baseVal);
          await Promise.all(pictures.map((source) => Object.assign(new Image(), {src: source}).decode()));
          return pictures.length;
        }"""
    )
    figure = page.locator("figure").first
    before = figure.locator("svg").bounding_box()["width"]
    figure.get_by_role("button", name="Enlarge").focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open] svg").bounding_box()["width"] > before
    assert page.get_by_role("dialog", name="Best arms on dev").is_visible()
    page.keyboard.press("Escape")
    assert figure.locator("svg").bounding_box()["width"] == before
    figure.locator("svg").click()
    page.get_by_role("button", name="Close").click()
    assert page.locator("dialog[open]").count() == 0
    assert figure.locator("svg").count() == 1


def test_points_say_what_they_are(show):
    titles = show().locator("figure svg title").all_text_contents()
    assert any("Without the useful part" in title for title in titles)


@pytest.mark.parametrize("width", [PHONE, TABLET, WIDE, 1920])
def test_nothing_overflows(show, width):
    """Neither the page nor anything in it that does not scroll by itself."""
    page = show(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
          .filter((one) => !one.closest(".scroll, nav, dialog, .skip"))
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    if width == PHONE:
        page.locator("figure").first.get_by_role("button", name="Enlarge").tap()
        assert page.locator("dialog").evaluate("one => one.scrollWidth > innerWidth"), "large enough to be moved about"


#: WCAG contrast of every piece of text against what is behind it, the lowest first.
CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const part = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => [r, g, b].map((v) => part(v / 255))
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  const words = document.querySelectorAll("p, li, td, td span, th, a, button, h1, h2, h3, dt, dd, figcaption");
  const shown = [...words].filter((one) => one.textContent.trim() && one.getClientRects().length);
  const drawn = [...document.querySelectorAll("svg g[id*=text_]")].filter((one) => one.querySelector("use"));
  return [...shown, ...drawn].map((one) => {
    const style = getComputedStyle(one.querySelector("use") ?? one);
    const [a, b] = [parse(shown.includes(one) ? style.color : style.fill), behind(one)].map(luminance);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.textContent.trim().slice(0, 30), one.id];
  }).sort((a, b) => a[0] - b[0]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(show, scheme):
    page = show(scheme=scheme)
    # Cells of the confusion matrix stand on a shade of their own, which test_confusion holds.
    worst = [one for one in page.evaluate(CONTRASTS) if "-confusion-" not in one[2]]
    assert len(worst) > 200
    assert worst[0][0] >= 4.5, worst[:5]


def test_the_page_is_dark_where_dark_is_asked_for(show):
    colours = [
        show(scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor") for scheme in ("light", "dark")
    ]
    light, dark = (sum(map(int, colour.strip("rgb()").split(","))) for colour in colours)
    assert dark < 100 < 600 < light


RECORD = "navigator.clipboard.writeText = async (text) => { window.copied = text; };"
PLAIN = """Object.defineProperty(window, "isSecureContext", { value: false });
document.addEventListener("copy", () => { window.copied = document.activeElement.value; });"""


@pytest.mark.parametrize("init", [RECORD, PLAIN], ids=["clipboard", "selection"])
def test_tables_copy_as_their_files(show, written, init):
    page = show(init=init)
    ablation = card(page, "Ablation")
    buttons = ablation.locator(".tools button")
    assert buttons.all_inner_texts() == ["Copy LaTeX", "Copy CSV"]
    for place, kind in enumerate(("tex", "csv")):
        buttons.nth(place).click()
        page.wait_for_function("one => one.textContent === 'Copied'", arg=buttons.nth(place).element_handle())
        assert page.evaluate("window.copied") == (written.parent / f"tables/ablation.{kind}").read_text()


def test_contents_follow_the_reader(show):
    page = show()
    page.get_by_role("navigation", name="Contents").get_by_role("link", name="Sensitivity").click()
    page.wait_for_function("document.querySelector('nav [aria-current]')?.textContent === 'Sensitivity'")
    heading = page.get_by_role("heading", name="Sensitivity", level=2)
    assert 0 <= heading.bounding_box()["y"] < 300


def test_contents_of_several_runs_open_where_the_reader_is(show, beside):
    page = show(beside)
    contents = page.get_by_role("navigation", name="Contents")
    entries = contents.get_by_role("link", name="Best arms")
    assert entries.count() == 0
    contents.get_by_role("link", name="Other one!").click()
    page.wait_for_function("document.querySelector('nav [aria-current]')?.hash.startsWith('#other-one')")
    assert entries.count() == 1
    entries.click()
    page.wait_for_function("document.querySelector('nav [aria-current]')?.hash === '#other-one-best'")


def test_everything_is_there_without_a_script(show):
    page = show(script=False)
    assert page.get_by_role("button").count() == 0
    assert "Without the useful part" in column(table(page, "Ablation"), 1)
    assert page.locator("figure svg").first.is_visible()
    assert page.get_by_role("link", name=".csv").first.is_visible()


def test_hostile_names_do_nothing(show, hostile):
    page = show(hostile)
    page.locator("th button").first.click()
    page.get_by_role("button", name="Enlarge").first.click()
    page.keyboard.press("Escape")
    assert page.locator("script").count() == 1
