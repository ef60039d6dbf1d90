"""The page's files and what it asks for beside the jobs: pictures, a pixel, a sample."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest
from databases import copy_migrated

import mfnet.service.web
from mfnet.service.api.documents.page_files import PageFiles
from mfnet.service.app import create_app

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
WEB = Path(mfnet.service.web.__file__).parent


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: nothing here depends on the database."""
    copy_migrated(tmp_path / "test.sqlite3")
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


def addresses(html: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"#]+)"', html)


# ---- the page -------------------------------------------------------------------------------


def test_a_browser_gets_the_page_and_a_program_the_links(api):
    page = api.nobody.get("/", headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    assert "Accept" in page.headers["vary"]
    for accept in ("*/*", "application/json"):
        landing = api.nobody.get("/", headers={"Accept": accept})
        assert landing.json()["title"] == "MFNet"
        assert "Accept" in landing.headers["vary"]


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(api):
    page = api.nobody.get("/", headers=BROWSER)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in page.text
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text)
    loaded = [each for each in addresses(page.text) if each != "/docs"]
    assert len(loaded) == 5
    for address in loaded:
        assert address.startswith("/page/"), address
        reply = api.nobody.get(address)
        assert reply.status_code == 200, address
        assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_what_the_modules_import_is_there(api):
    version = PageFiles().version
    for module in (WEB / "app").glob("*.js"):
        for name in re.findall(r'from "\./([\w.]+)"', module.read_text()):
            assert api.nobody.get(f"/page/{version}/app/{name}").status_code == 200, name


def test_a_first_load_is_small():
    names = [str(path.relative_to(WEB)) for path in WEB.rglob("*") if path.suffix != ".py"]
    assets = [asset for name in names if (asset := PageFiles().asset(name)) is not None]
    assert len(assets) > 15
    assert sum(len(asset.gzipped) for asset in assets) < 500_000


def test_who_has_a_file_already_gets_304_and_another_version_is_not_kept_for_ever(api):
    version = PageFiles().version
    first = api.nobody.get(f"/page/{version}/style.css")
    assert first.headers["content-encoding"] == "gzip"
    known = {"If-None-Match": first.headers["etag"]}
    again = api.nobody.get(f"/page/{version}/style.css", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    older = api.nobody.get("/page/0000/style.css")
    assert (older.status_code, older.headers["cache-control"]) == (200, "private, no-cache")
    plain = api.nobody.get(f"/page/{version}/style.css", headers={"Accept-Encoding": "identity"})
    assert plain.text == first.text == (WEB / "style.css").read_text()


@pytest.mark.parametrize("name", ["../page_files.py", "%2e%2e/app.py", "index.html", "no.js", ""])
def test_nothing_else_is_a_file_of_the_page(api, name):
    reply = api.nobody.get(f"/page/{PageFiles().version}/{name}")
    assert reply.status_code == 404


def test_the_page_knows_the_prefix_of_a_proxy():
    html = PageFiles().html('/maps/"a"', keys=True)
    assert 'data-root="/maps/&quot;a&quot;"' in html
    assert all(a.startswith("/maps/&quot;a&quot;/") for a in addresses(html))


def test_behind_a_proxy_that_adds_a_prefix(settings, tmp_path):
    app = create_app(settings.model_copy(update={"root_path": "/maps"}))
    transport = httpx.ASGITransport(app)

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            page = await client.get("/maps/", headers=BROWSER)
            found = [each for each in addresses(page.text) if "/page/" in each]
            assert len(found) == 5
            return [(await client.get(each)).status_code for each in found]

    assert asyncio.run(ask()) == [200] * 5


# ---- words ----------------------------------------------------------------------------------


def words(language: str) -> dict[str, str]:
    return json.loads((WEB / "text" / f"{language}.json").read_text())


LANGUAGES = [path.stem for path in (WEB / "text").glob("*.json")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_words_with_the_same_blanks(language):
    ours, theirs = words("en"), words(language)
    assert set(ours) - set(theirs) == set()
    for name, text in theirs.items():
        if name in ours:
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", ours[name])), name


def test_every_word_that_the_page_asks_for_is_there():
    for module in (WEB / "app").glob("*.js"):
        for name in re.findall(r'\bt\("([\w.]+)"', module.read_text()):
            assert name in words("en"), f"{module.name}: {name}"


# ---- pictures -------------------------------------------------------------------------------


@pytest.fixture
def mapped(api) -> str:
    """The path of a finished job."""
    job = api.submit()
    api.finish(job["id"], {"classes.tif": b"map", "statistics.json": b"{}"})
    return f"/jobs/{job['id']}"


def test_pictures_are_drawn_once_and_are_their_owners_alone(api, mapped):
    for client in (api.user, api.admin, api.user):
        told = client.get(f"{mapped}/pictures").raise_for_status().json()
        assert (told["rows"], told["columns"], told["step"]) == (2, 3, 4)
        assert set(told["pictures"]) == {"ortho", "classes"}
        reply = client.get(told["pictures"]["ortho"])
        assert (reply.headers["content-type"], reply.content) == ("image/jpeg", b"\xff\xd8")
    assert len(api.inspections.drawn) == 1
    for path in ("/pictures", "/pictures/ortho.jpg", "/pixel?row=0&column=0"):
        assert api.other.get(mapped + path).json()["code"] == "job.unknown"
        assert api.nobody.get(mapped + path).status_code == 401


@pytest.mark.parametrize("name", ["values.bin", "pictures.json", "nope.png"])
def test_only_pictures_are_pictures(api, mapped, name):
    api.user.get(f"{mapped}/pictures").raise_for_status()
    assert api.user.get(f"{mapped}/pictures/{name}").json()["code"] == "result.unknown"


def test_a_pixel_says_what_is_known_of_it(api, mapped):
    def at(row: int, column: int) -> httpx.Response:
        return api.user.get(f"{mapped}/pixel", params={"row": row, "column": column})

    assert at(0, 0).json() == {"value": 1, "confidence": 90, "height_m": 2.5}
    assert at(1, 2).json() == {"value": None, "confidence": None, "height_m": None}
    for beyond in (at(2, 0), at(0, 3), at(10**6, 10**6)):
        assert beyond.json()["code"] == "result.unknown"
    assert at(-1, 0).status_code == 400


def test_a_job_that_runs_has_its_rasters_drawn_and_then_its_map(api):
    job = api.submit()
    path = f"/jobs/{job['id']}"
    first = api.user.get(f"{path}/pictures").json()
    assert set(first["pictures"]) == {"ortho"}
    assert api.user.get(f"{path}/pixel?row=0&column=0").json()["code"] == "result.unknown"
    api.finish(job["id"], {"classes.tif": b"map", "statistics.json": b"{}"})
    assert api.user.get(first["pictures"]["ortho"]).status_code == 200
    assert "classes" in api.user.get(f"{path}/pictures").json()["pictures"]


def test_pictures_go_with_their_job(api, mapped):
    api.user.get(f"{mapped}/pictures").raise_for_status()
    folder = api.services.storage.pictures(mapped.rpartition("/")[2])
    assert folder.is_dir()
    api.user.delete(mapped).raise_for_status()
    assert not folder.exists()


def test_finished_rows_are_shown_while_the_job_runs(api):
    job = api.submit()
    path = f"/jobs/{job['id']}/preview"
    assert api.user.get(path).json() == {"strips": []}
    folder = api.services.storage.preview(job["id"])
    folder.mkdir(parents=True)
    for name in ("16-3.png", "0-16.png", "19-2.4711.part"):
        (folder / name).write_bytes(name.encode())
    strips = api.user.get(path).raise_for_status().json()["strips"]
    assert [(each["first_row"], each["rows"]) for each in strips] == [(0, 16), (16, 3)]
    assert api.user.get(strips[1]["href"]).content == b"16-3.png"
    assert api.user.get(f"{path}/nope.png").json()["code"] == "result.unknown"
    assert api.other.get(path).json()["code"] == "job.unknown"
    api.finish(job["id"], {"classes.tif": b"map"})
    assert api.user.get(path).json() == {"strips": []}
    assert api.user.get(strips[1]["href"]).content == b"16-3.png"
    api.user.delete(f"/jobs/{job['id']}").raise_for_status()
    assert not folder.exists()


def test_an_orthophoto_is_drawn_before_there_is_a_job(api):
    path = f"/uploads/{api.upload('ortho.tif')['id']}"
    for _ in range(2):
        told = api.user.get(f"{path}/pictures").raise_for_status().json()
    assert set(told["pictures"]) == {"ortho"}
    reply = api.user.get(told["pictures"]["ortho"])
    assert (reply.headers["content-type"], reply.content) == ("image/jpeg", b"\xff\xd8")
    assert api.inspections.drawn_of == [["ortho"]]
    for hidden in ("/pictures", "/pictures/ortho.jpg"):
        assert api.other.get(path + hidden).json()["code"] == "upload.unknown"
    folder = api.services.storage.pictures(path.rpartition("/")[2])
    assert folder.is_dir()
    api.user.delete(path).raise_for_status()
    assert not folder.exists()


def test_what_is_no_orthophoto_has_no_picture(api):
    path = f"/uploads/{api.upload('height.tif')['id']}"
    assert api.user.get(f"{path}/pictures").json()["code"] == "result.unknown"
    assert api.user.get(f"{path}/pictures/ortho.jpg").json()["code"] == "result.unknown"


def test_with_a_derived_terrain_the_pictures_come_with_the_map(api):
    job = api.submit(dtm="auto")
    path = f"/jobs/{job['id']}"
    reply = api.user.get(f"{path}/pictures").json()
    assert reply["code"] == "result.unknown"
    assert "still to be derived" in reply["detail"]
    files = {"classes.tif": b"map", "statistics.json": b"{}", "dtm.tif": b"terrain"}
    api.finish(job["id"], files)
    assert "classes" in api.user.get(f"{path}/pictures").json()["pictures"]
    assert api.inspections.drawn_of == [["dtm", "height", "ortho"]]


def test_without_its_rasters_the_map_is_drawn(api, mapped):
    ortho = api.user.get(mapped).json()["inputs"]["ortho"]
    api.user.delete(f"/uploads/{ortho}").raise_for_status()
    assert "classes" in api.user.get(f"{mapped}/pictures").json()["pictures"]
    assert api.inspections.drawn_of == [[]]


def test_without_its_rasters_a_job_that_failed_is_not_drawn(api):
    job = api.submit()
    api.user.delete(f"/jobs/{job['id']}").raise_for_status()
    api.user.delete(f"/uploads/{job['inputs']['ortho']}").raise_for_status()
    reply = api.user.get(f"/jobs/{job['id']}/pictures")
    assert (reply.status_code, reply.json()["code"]) == (409, "upload.gone")


def test_a_sample_is_drawn_once_for_each_who_asks(api):
    first = api.user.post("/samples")
    assert first.status_code == 201
    pair = first.json()
    assert [pair[role]["name"] for role in ("ortho", "height")] == [
        "sample_ortho.tif",
        "sample_ndsm.tif",
    ]
    assert api.user.post("/samples").json() == pair
    assert api.other.post("/samples").json()["ortho"]["id"] != pair["ortho"]["id"]
    assert api.nobody.post("/samples").status_code == 401
    assert not list(api.services.storage.root.glob("sample-*"))
