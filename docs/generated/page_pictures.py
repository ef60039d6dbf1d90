"""Pictures of the page for the documents: every state in both themes, taken in a real Chromium.

    python docs/generated/page_pictures.py            into docs/images/page-*.png

Draws a town, runs a service of its own on it, and looks at each state, with axe-core, too: what
it finds serious is printed, and the exit status is then 1.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import browser  # noqa: E402

from mfnet.service.demo.server import serving  # noqa: E402

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1160, "height": 760}
SLOW_BYTES = 400_000  # a second
FLAT, MIXED = 64, 112
"""Colours of a picture: the most frequent ones as they are, and some for photos."""

Shot = Callable[[str], None]


def main() -> int:
    """Take all of them; 1 where axe-core finds something serious."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving() as client,
        browser.chromium() as chromium,
    ):
        town = Path(folder) / "town"
        command = [sys.executable, "-m", "mfnet.model.cli.main", "town", str(town)]
        subprocess.run([*command, "--size", "1024", "--seed", "900003"], check=True)
        secret = client.headers["Authorization"].removeprefix("Bearer ")
        found = [
            *visit(chromium, str(client.base_url), secret, town, "light"),
            *visit(chromium, str(client.base_url), secret, town, "dark"),
        ]
    sys.stderr.writelines(f"{each}\n" for each in found)
    return int(bool(found))


def visit(chromium: Any, url: str, secret: str, town: Path, theme: str) -> list[str]:
    """Walk through the page in a theme; returns what axe-core finds."""
    guest = browser.Visitor(chromium, url, color_scheme=theme, viewport=SIZE)
    found: list[str] = []

    def shot(name: str) -> None:
        guest.page.wait_for_timeout(500)  # for what fades or moves
        path = IMAGES / f"page-{name}-{theme}.png"
        guest.page.screenshot(path=path)
        reduced(Image.open(path).convert("RGB")).save(path, optimize=True)
        found.extend(f"{name}, {theme}: {each}" for each in guest.accessibility())

    arrive(guest, secret, shot)
    order(guest, town, shot)
    look(guest, shot)
    guest.close()
    return found


def reduced(picture: Image.Image) -> Image.Image:
    """A picture of few colours, in which the page's own are what they were."""
    counted = sorted(picture.getcolors(picture.width * picture.height) or [], reverse=True)
    palette = [value for _, colour in counted[:FLAT] for value in colour]
    palette += (picture.quantize(MIXED).getpalette() or [])[: 3 * MIXED]
    of_palette = Image.new("P", (1, 1))
    of_palette.putpalette(palette)
    return picture.quantize(palette=of_palette, dither=Image.Dither.NONE)


def arrive(guest: browser.Visitor, secret: str, shot: Shot) -> None:
    """From the address to the empty page."""
    guest.page.goto("/")
    guest.page.locator("#key").wait_for()
    shot("signin")
    guest.sign_in(secret)
    shot("new")


def order(guest: browser.Visitor, town: Path, shot: Shot) -> None:
    """Files are sent, refused and mapped."""
    page = guest.page
    guest.throttle(SLOW_BYTES)
    page.locator("#files").set_input_files([town / "ortho.tif", town / "ndsm.tif"])
    page.wait_for_timeout(3000)
    shot("sending")
    guest.throttle(0)
    page.locator(".file select:visible").nth(1).wait_for()
    page.locator("#model").select_option("town-small")
    shot("ready")
    page.get_by_text("More options").click()
    page.locator("#option-crs").fill("EPSG:25832x")
    page.get_by_role("button", name="Make the map").click()
    page.get_by_role("alert").wait_for()
    shot("refused")
    page.locator("#option-crs").fill("")
    page.locator("#option-stride").fill("64")
    page.get_by_role("button", name="Make the map").click()
    page.get_by_text(" left").wait_for()
    page.locator(".preview img").first.wait_for()
    shot("running")


def look(guest: browser.Visitor, shot: Shot) -> None:
    """The map, the list, models and keys."""
    page = guest.page
    page.locator(".map img[alt=Classes]").wait_for()
    page.locator(".map").click(position={"x": 380, "y": 200})
    page.locator(".here dd").first.wait_for()
    page.locator("#swipe").fill("38")
    shot("map")
    page.locator("#swipe").fill("0")
    page.get_by_text("Correct this map").click()
    page.get_by_label("It should be").select_option("tree")
    page.get_by_role("button", name="Draw a polygon").click()
    for x, y in ((300, 200), (380, 180), (400, 260), (320, 280)):
        page.locator(".map").click(position={"x": x, "y": y})
    page.get_by_role("button", name="Finish the polygon").click()
    page.get_by_text("Correct this map").scroll_into_view_if_needed()
    shot("correct")
    page.get_by_role("link", name="My maps").click()
    page.locator(".thumbnail img").first.wait_for()
    shot("jobs")
    page.get_by_role("link", name="Models").click()
    page.locator("section.card").nth(3).wait_for()
    shot("models")
    page.get_by_role("link", name="Service").click()
    page.locator("li.job").first.wait_for()
    shot("service")


if __name__ == "__main__":
    sys.exit(main())
