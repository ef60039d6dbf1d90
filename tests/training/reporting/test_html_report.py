"""The report of a run: whole in one file, and what it shows is what was found."""

import base64
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from small_runs import TOML, held_out_pool, started, training_pool, use_tiny

from mfnet.model.classes import ISPRS
from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.training.config.recipe import parse_recipe
from mfnet.training.evaluation.calibration import calibrate
from mfnet.training.evaluation.evaluate import evaluate
from mfnet.training.reporting.html_report import write_report
from mfnet.training.reporting.html_tables import paper
from mfnet.training.tracking.run_log import read_log
from mfnet.training.trainer import loop


class Page(HTMLParser):
    """What a browser would load, and whether each element ends."""

    VOID = ("meta", "img")

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny(monkeypatch)
        yield written(tmp_path_factory.mktemp("run"))


def written(folder: Path) -> str:
    """The report of a run in a folder."""
    run = started(parse_recipe(TOML, ["optimizer.steps=5"]))
    loop.train(run, training_pool(), held_out_pool(), folder)
    net = run.average.net.eval()
    fitted = calibrate(net, held_out_pool().areas)
    measured = evaluate(net, held_out_pool().areas, ISPRS, gsd_m=0.125).summary() | {"oa": 0.123}
    remark = "tiles <b>1</b> & 2 & <script>alert(1)</script>"
    path = write_report(
        folder, run.recipe, net, held_out_pool(), read_log(folder),
        measured=measured, fitted=fitted, remarks=[remark],
    )  # fmt: skip
    return path.read_text()


def test_it_loads_nothing_and_every_element_ends(page: str) -> None:
    parsed = Page()
    parsed.feed(page)
    assert parsed.open == []
    # reliability; curves; one window: orthophoto, heights, map, truth
    assert len(parsed.sources) == 3 + 5 + 4
    for source in parsed.sources:
        kind, content = source.split(";base64,")
        start = {"data:image/png": b"\x89PNG", "data:image/svg+xml": b"<?xml"}[kind]
        assert base64.b64decode(content, validate=True).startswith(start)
    assert "url(" not in page
    assert "@import" not in page


def test_text_is_escaped(page: str) -> None:
    parsed = Page()
    parsed.feed(page)
    assert "script" not in parsed.tags
    assert "b" not in parsed.tags
    assert "tiles &lt;b&gt;1&lt;/b&gt; &amp; 2" in page


def test_it_shows_the_figures_and_the_recipe(page: str) -> None:
    assert "<td>12.3</td>" in page
    assert "<td>–</td>" in page
    assert "steps = 5" in page
    pixels = [int(count.replace(",", "")) for count in re.findall(r"<td>([\d,]+)</td></tr>", page)]
    assert sum(pixels) == 2 * 160 * 160  # class by class, and the rows of the confusion


def test_the_papers_table_stands_beside_its_own_data_alone(page: str) -> None:
    assert "Beside the paper" not in page
    classes = {c.name: {"accuracy": 0.5} for c in ISPRS.classes}
    found = {"oa": 0.9, "mf1": None, "miou": 0.8, "classes": classes}
    told = "".join(paper(found, ModelConfig(encoder=ENCODERS["vit_b"]), "vaihingen"))
    assert "<td>ViT-H</td><td>98.38</td>" in told
    assert "<th>ours (mmadapter)</th><td>ViT-B</td>" + "<td>50.00</td>" * 5 in told
    assert "<td>90.00</td><td>–</td><td>80.00</td>" in told
