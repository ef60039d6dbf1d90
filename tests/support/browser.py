"""A real Chromium, without a window, driven by Playwright."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
_ANSWERED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


def missing() -> str | None:
    """Why no browser can be driven here; None if one can."""
    return None if PROGRAM else "no chromium on this machine"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for several visits."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=list(_ARGUMENTS))
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser of their own, who hears everything that its console says.

    Attributes:
        page: What they look at.
        complaints: Errors of the console and of scripts, but for statuses that were expected.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self._context: BrowserContext = browser.new_context(
            base_url=url,
            **{"viewport": {"width": 1280, "height": 860}, "locale": "en-GB"} | options,
        )
        self._context.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self._expected: set[str] = set()
        self.page: Page = self._context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())

    def sign_in(self, secret: str) -> None:
        """Open the page and type the key."""
        self.page.goto("/")
        self.page.get_by_label("Your key").fill(secret)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Make a map").wait_for()

    def expect(self, *statuses: int) -> None:
        """From now on the service may answer so; the browser notes each such answer."""
        self._expected |= {str(status) for status in statuses}

    def close(self) -> None:
        """Leave."""
        self._context.close()

    def throttle(self, bytes_a_second: int) -> None:
        """Sends this fast from now on; 0: as fast as it goes."""
        session = self._context.new_cdp_session(self.page)
        rate = bytes_a_second or -1
        session.send("Network.enable")
        conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
        session.send("Network.emulateNetworkConditions", conditions | {"uploadThroughput": rate})

    def accessibility(self) -> list[str]:
        """What axe-core finds serious or critical on the page as it is, once it has its words."""
        self.page.locator("main :is(h1, h2)").first.wait_for()
        self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
            for each in found["violations"]
            for node in each["nodes"]
            if each["impact"] in ("serious", "critical")
        ]

    def _hear(self, message: ConsoleMessage) -> None:
        answered = _ANSWERED.match(message.text)
        if message.type == "error" and not (answered and answered[1] in self._expected):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")
