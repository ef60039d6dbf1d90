"""The page in a real browser: from a key to a map, and what may come between."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import browser
import httpx
import numpy as np
import openid
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from waiting import until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.session import Database
from mfnet.service.demo.server import serving
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("page")]

DONE = "Downloads"


def choose(page: Page, *files: Path) -> None:
    page.locator("#files").set_input_files(list(files))


def send(page: Page, *files: Path) -> None:
    """Chooses files and waits until each is looked at."""
    choose(page, *files)
    for file in files:
        expect(page.get_by_label(f"What {file.name} is")).to_be_visible()


def test_from_a_key_to_a_map(visitor: Callable[..., Any], secret: str, corner: Path) -> None:
    guest = visitor()
    page: Page = guest.page
    guest.expect(401)
    page.goto("/")
    assert guest.accessibility() == []
    page.get_by_label("Your key").fill("mfn_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This key is not valid.")).to_be_visible()
    guest.sign_in(secret)
    assert guest.accessibility() == []
    expect(page.get_by_role("button", name="Make the map")).to_be_hidden()

    send(page, corner / "ndsm.tif", corner / "ortho.tif")
    expect(page.get_by_label("What ortho.tif is")).to_have_value("ortho")
    expect(page.get_by_label("What ndsm.tif is")).to_have_value("height")
    expect(page.get_by_text("256 × 256 pixels · 3 bands · 12.5 cm a pixel")).to_be_visible()
    expect(page.get_by_text(re.compile(r"1,024 m² · \d+.* MB of memory"))).to_be_visible()
    page.get_by_label("Model", exact=True).select_option("town-small")
    page.get_by_text("More options").click()
    assert guest.accessibility() == []
    page.get_by_role("button", name="Make the map").click()

    expect(page.get_by_role("heading", name=DONE)).to_be_visible()
    expect(page.locator(".map img[alt=Classes]")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Building"))).to_contain_text("%")
    page.locator(".map").click(position={"x": 400, "y": 300})
    expect(page.locator(".here")).to_contain_text("Confidence")
    # Each of orthophoto, hillshade, classes and confidence can be swiped over each other.
    for place, name in (
        *(("Below", "Heights"), ("Above", "Confidence"), ("Below", "Classes")),
        *(("Below", "Orthophoto"), ("Above", "Hillshade"), ("Below", "Hillshade")),
        ("Above", "Classes"),
    ):
        page.get_by_role("group", name=place).get_by_label(name).check()
        pane = "above" if place == "Above" else "overlay"
        expect(page.locator(f".leaflet-{pane}-pane img[alt={name}]")).to_be_visible()
    page.get_by_label("Swipe").fill("50")
    assert "rect(" in (page.locator(".leaflet-above-pane").get_attribute("style") or "")
    assert guest.accessibility() == []

    page.get_by_text("Correct this map").click()
    page.get_by_label("It should be").select_option("building")
    page.get_by_role("button", name="Draw a polygon").click()
    for x, y in ((300, 300), (400, 300), (400, 400)):
        page.locator(".map").click(position={"x": x, "y": y})
    page.get_by_role("button", name="Finish the polygon").click()
    page.get_by_role("button", name="Send the corrections").click()
    expect(page.get_by_text("Corrections since the last training: 1")).to_be_visible()
    assert guest.accessibility() == []

    with page.expect_download() as download:
        page.get_by_role("button", name="classes.tif", exact=True).click()
    with rasterio.open(download.value.path()) as raster:
        assert (raster.width, raster.height) == (256, 256)

    page.get_by_role("link", name="My maps").click()
    expect(page.locator(".job")).to_have_count(1)
    expect(page.locator(".thumbnail img")).to_be_visible()
    assert guest.accessibility() == []
    page.get_by_role("link", name="ortho.tif").click()
    page.get_by_role("button", name="Delete this map").click()
    expect(page.get_by_text("No maps yet")).to_be_visible()

    page.get_by_role("link", name="Files").click()
    page.get_by_role("button", name="Use: ndsm.tif").click()
    expect(page.get_by_label("What ndsm.tif is")).to_have_value("height")
    page.get_by_role("link", name="Files").click()
    guest.expect(409)  # the correction is made of it
    page.get_by_role("button", name="Delete: ortho.tif").click()
    expect(page.get_by_text("delete the tile first")).to_be_visible()
    page.get_by_role("button", name=re.compile("Delete: correction")).click()
    expect(page.locator(".job")).to_have_count(2)


def test_only_what_was_drawn_around_is_mapped(
    visitor: Callable[..., Any], secret: str, corner: Path
) -> None:
    guest = visitor()
    page: Page = guest.page
    guest.sign_in(secret)
    send(page, corner / "ortho.tif", corner / "ndsm.tif")
    page.get_by_label("Model", exact=True).select_option("town-small")
    page.get_by_text("Map only a part").click()
    photo = page.locator(".map img[alt=Orthophoto]")
    expect(photo).to_be_visible()
    page.get_by_role("button", name="Draw a polygon").click()
    page.locator(".map").scroll_into_view_if_needed()
    page.wait_for_timeout(300)  # the map finds its size
    box = photo.bounding_box()
    assert box is not None
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.get_by_role("button", name="Finish the polygon").click()
    expect(page.get_by_text("Area 1")).to_be_visible()
    assert guest.accessibility() == []
    page.get_by_role("button", name="Make the map").click()
    expect(page.get_by_role("heading", name=DONE)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="classes.tif", exact=True).click()
    with rasterio.open(download.value.path()) as raster:
        mapped = raster.read(1) != 255
    rows, columns = mapped.any(1).nonzero()[0], mapped.any(0).nonzero()[0]
    for found in (rows, columns):
        assert abs(found[0] - 64) <= 2
        assert abs(found[-1] - 191) <= 2
    assert mapped[rows[0] : rows[-1], columns[0] : columns[-1]].all()


def test_an_upload_goes_on_after_a_reload(
    visitor: Callable[..., Any], secret: str, town: Path
) -> None:
    ortho = town / "ortho.tif"
    guest = visitor()
    page: Page = guest.page
    guest.sign_in(secret)
    guest.throttle(ortho.stat().st_size // 6)  # so it takes six seconds
    choose(page, ortho)
    expect(page.get_by_text(re.compile(r"^[1-9]\d\d kB of .*/s · .* left"))).to_be_visible()
    page.reload()
    guest.throttle(0)
    told = page.get_by_text(re.compile(r"are there\. Choose the file again"))
    expect(told).to_be_visible()

    def some_is_there() -> bool:
        page.reload()  # the service may not have heard of the first one
        expect(told).to_be_visible()
        return not (told.text_content() or "").startswith("0 kB")

    until(some_is_there)
    guest.expect(409, 503)  # until the service has heard of the reload
    send(page, ortho)
    expect(page.get_by_label("What ortho.tif is")).to_have_value("ortho")
    expect(told).to_have_count(0)


def test_reloads_lose_nothing_and_a_job_can_be_cancelled(page: Page, town: Path) -> None:
    send(page, town / "ortho.tif", town / "ndsm.tif")
    page.reload()
    expect(page.get_by_label("What ortho.tif is")).to_have_value("ortho")
    page.get_by_text("More options").click()
    page.get_by_label("Stride").fill("16")  # slow enough to be watched
    page.get_by_role("button", name="Make the map").click()
    expect(page.get_by_text(re.compile(r"\d+ % · ")).first).to_be_visible()
    page.reload()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".map img[alt='Finished rows']").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ % · about .* left"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("This map was cancelled.")).to_be_visible()


def test_a_pair_that_does_not_fit_is_refused_in_words(
    visitor: Callable[..., Any], secret: str, corner: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.tif"
    shutil.copy(corner / "ndsm.tif", elsewhere)
    with rasterio.open(elsewhere, "r+") as raster:
        raster.transform = rasterio.Affine.translation(9000, 0) @ raster.transform
    guest = visitor()
    guest.sign_in(secret)
    send(guest.page, corner / "ortho.tif", elsewhere)
    expect(guest.page.get_by_text("They do not overlap.")).to_be_visible()
    guest.expect(422)
    guest.page.get_by_role("button", name="Make the map").click()
    told = guest.page.get_by_role("alert")
    expect(told).to_contain_text("pair.no_overlap")
    expect(told).to_contain_text("elsewhere.tif")
    assert guest.accessibility() == []
    guest.page.get_by_text("More options").click()
    guest.page.get_by_label("Coordinate reference system").fill("EPSG:1x")
    guest.page.get_by_role("button", name="Make the map").click()
    expect(told).to_contain_text("“Coordinate reference system” 'EPSG:1x'")


def test_a_surface_alone_becomes_a_map_of_an_area_with_its_parcels(
    visitor: Callable[..., Any], secret: str, corner: Path, tmp_path: Path
) -> None:
    """Heights that count from the sea, no terrain; polygons say where, and what is summed up."""
    surface, district, parcels = (
        tmp_path / name for name in ("dsm.tif", "district.geojson", "parcels.geojson")
    )
    with rasterio.open(corner / "ndsm.tif") as raster:
        west, south, east, north = raster.bounds
        urn = f"urn:ogc:def:crs:EPSG::{raster.crs.to_epsg()}"
        with rasterio.open(surface, "w", **raster.profile) as written:
            written.write(raster.read() + 312)
    middle = (west + east) / 2
    for path, edges in ((district, [(west, middle)]), (parcels, [(west, middle), (middle, east)])):
        boxes = [[[w, south], [e, south], [e, north], [w, north], [w, south]] for w, e in edges]
        features = [
            {
                "type": "Feature",
                "properties": {},
                "geometry": {"type": "Polygon", "coordinates": [box]},
            }
            for box in boxes
        ]
        crs = {"type": "name", "properties": {"name": urn}}
        layer = {"type": "FeatureCollection", "crs": crs, "features": features}
        path.write_text(json.dumps(layer))
    guest = visitor()
    guest.sign_in(secret)
    page: Page = guest.page
    send(page, corner / "ortho.tif", surface, district, parcels)
    expect(page.get_by_label("What district.geojson is")).to_have_value("aoi")
    page.get_by_label("What parcels.geojson is").select_option("zones")
    guest.expect(422)
    page.get_by_role("button", name="Make the map").click()
    expect(page.get_by_role("alert")).to_contain_text("pair.not_above_ground")
    page.get_by_role("button", name="derive the terrain").click()
    expect(page.get_by_role("heading", name=DONE)).to_be_visible()
    for name in ("dtm.tif", "zones.csv"):
        expect(page.get_by_role("button", name=name)).to_be_visible()
    expect(page.get_by_role("row", name="No data")).to_be_visible()
    expect(page.locator(".map img[alt=Classes]")).to_be_visible()


def test_a_file_that_is_none_is_refused_and_can_be_taken_away(
    visitor: Callable[..., Any], secret: str, tmp_path: Path
) -> None:
    text = tmp_path / "letter.tif"
    text.write_text("Dear Sir or Madam")
    guest = visitor()
    guest.expect(422)
    guest.sign_in(secret)
    choose(guest.page, text)
    expect(guest.page.get_by_text("This file cannot be used")).to_be_visible()
    guest.page.get_by_role("button", name="Remove letter.tif").click()
    expect(guest.page.get_by_text("letter.tif")).to_have_count(0)


def test_a_name_full_of_markup_is_text(page: Page, corner: Path, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)><b>&amp;{name}.tif"
    shutil.copy(corner / "ortho.tif", tmp_path / name)
    send(page, tmp_path / name)
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    assert page.locator("main img, main b").count() == 0


def test_a_key_that_is_revoked_meanwhile(
    service: httpx.Client, visitor: Callable[..., Any], corner: Path
) -> None:
    made = service.post("/keys", json={"name": "for a day"}).json()
    guest = visitor()
    guest.sign_in(made["secret"])
    send(guest.page, corner / "ortho.tif")
    service.delete(f"/keys/{made['id']}").raise_for_status()
    guest.expect(401)
    guest.page.get_by_role("link", name="My maps").click()
    expect(guest.page.get_by_text("Your key is no longer valid.")).to_be_visible()
    expect(guest.page.get_by_label("Your key")).to_be_empty()


def test_where_no_key_is_asked_for_nobody_signs_in(
    chromium: browser.Browser, tmp_path: Path
) -> None:
    with serving(tmp_path / "data", "--no-keys", "--no-worker") as client:
        guest = browser.Visitor(chromium, str(client.base_url))
        page: Page = guest.page
        page.goto("/")
        page.get_by_role("button", name="Try it with a sample town").click()
        expect(page.get_by_role("button", name="Make the map")).to_be_enabled()
        expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
        page.get_by_role("link", name="Service").click()
        expect(page.get_by_text(re.compile(r"GB free of .* GB"))).to_be_visible()
        guest.close()
    assert guest.complaints == []


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_who_has_no_key_signs_in_with_their_organisation(
    chromium: browser.Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with openid.running() as issuer:
        monkeypatch.setenv("MFNET_OIDC_ISSUER", issuer.url)
        with serving(tmp_path / "data", "--no-worker") as client:
            guest = browser.Visitor(chromium, str(client.base_url))
            page: Page = guest.page
            page.goto("/#jobs")
            assert guest.accessibility() == []
            page.get_by_role("button", name="Sign in with your organisation").click()
            page.get_by_placeholder("sub").fill("anna@example.org")
            (challenge,) = parse_qs(urlsplit(page.url).query)["code_challenge"]
            with page.expect_request("**/oauth2/token") as asked:
                page.get_by_role("button", name="Authorize").click()
            (verifier,) = parse_qs(asked.value.post_data or "")["code_verifier"]
            assert challenge == base64url(hashlib.sha256(verifier.encode()).digest())
            expect(page.get_by_text("No maps yet")).to_be_visible()
            assert urlsplit(page.url).query == ""
            assert "anna@example.org" in {k["name"] for k in client.get("/keys").json()["keys"]}
            page.reload()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_label("Your key")).to_be_visible()
            page.get_by_role("button", name="Sign in with your organisation").click()
            page.get_by_role("button", name="Deny").click()
            expect(page.get_by_text("did not sign you in")).to_be_visible()
            page.goto("/?code=x&state=made-up")  # whoever sends somebody here is not the issuer
            expect(page.get_by_text("did not sign you in")).to_be_visible()
            guest.close()
    assert guest.complaints == []


def test_an_admin_makes_keys_and_changes_models(
    service: httpx.Client, data_dir: Path, visitor: Callable[..., Any]
) -> None:
    second_version_of("town-small", data_dir)
    guest = visitor()
    page: Page = guest.page
    guest.sign_in(service.headers["Authorization"].removeprefix("Bearer "))
    page.get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Promote: town-small@2").click()  # the reason is left empty
    expect(page.get_by_text("town-small@2 is in use.")).to_be_visible()
    assert service.get("/models/town-small").json()["version"] == 2
    assert guest.accessibility() == []
    page.get_by_role("button", name="Roll back: town-small").click()
    expect(page.get_by_text("town-small@1 is in use.")).to_be_visible()
    assert service.get("/models/town-small").json()["version"] == 1

    page.get_by_role("link", name="Service").click()
    expect(page.get_by_text(re.compile(r"GB free of .* GB"))).to_be_visible()
    page.get_by_label("Whose it is").fill("Anna")
    page.get_by_role("button", name="Make the key").click()
    made = page.locator(".notice pre").text_content() or ""
    with httpx.Client(base_url=service.base_url, headers=bearer(made), trust_env=False) as anna:
        assert anna.get("/keys/mine").json()["name"] == "Anna"
        page.get_by_role("button", name="Revoke: Anna").click()
        expect(page.get_by_role("button", name="Revoke: Anna")).to_have_count(0)
        assert anna.get("/keys/mine").status_code == 401
    assert guest.accessibility() == []


def test_a_retraining_shows_its_curves(
    visitor: Callable[..., Any], service: httpx.Client, data_dir: Path
) -> None:
    job = running_retraining(data_dir, service.get("/keys/mine").json()["id"])
    guest = visitor()
    guest.sign_in(service.headers["Authorization"].removeprefix("Bearer "))
    guest.page.goto(f"/#job={job}")
    expect(guest.page.get_by_text("0.125 at step 40")).to_be_visible()
    expect(guest.page.get_by_text("61.5% at step 40")).to_be_visible()
    expect(guest.page.locator(".curve svg")).to_have_count(2)
    assert guest.accessibility() == []
    service.delete(f"/jobs/{job}").raise_for_status()


def test_a_retraining_shows_what_it_changes(
    visitor: Callable[..., Any], service: httpx.Client, data_dir: Path, corner: Path
) -> None:
    pair = {}
    for role, name in (("ortho", "ortho.tif"), ("height", "ndsm.tif")):
        sent = service.put(f"/uploads/{name}", content=(corner / name).read_bytes())
        pair[role] = sent.raise_for_status().json()["id"]
    inputs = {"inputs": {**pair, "model": "town-small"}}
    done = service.post("/processes/segment/execution", json=inputs).raise_for_status().json()
    until(lambda: service.get(f"/jobs/{done['jobID']}").json()["status"] == "successful")
    job = running_retraining(data_dir, service.get("/keys/mine").json()["id"])
    picture = np.zeros((256, 256, 4), np.uint8)
    picture[64:128, 64:128] = (0, 255, 0, 255)
    finish(data_dir, job, {"gone": {"left_out": "it was removed"}, done["jobID"]: {"share": 0.25}},
           {done["jobID"]: picture})  # fmt: skip
    guest = visitor()
    guest.sign_in(service.headers["Authorization"].removeprefix("Bearer "))
    guest.page.goto(f"/#job={job}")
    expect(guest.page.get_by_text("town-small@2 is a candidate")).to_be_visible()
    expect(guest.page.get_by_text("25% of the pixels get another class")).to_be_visible()
    expect(guest.page.get_by_text("it was removed")).to_be_visible()
    expect(guest.page.get_by_role("button", name="Delete this retraining")).to_be_visible()
    guest.page.get_by_role("button", name="Show").click()
    expect(guest.page.locator(".map img[alt=Classes]")).to_be_visible()
    assert guest.accessibility() == []


def finish(
    data_dir: Path, job_id: str, found: dict[str, Any], pictures: dict[str, NDArray[np.uint8]]
) -> None:
    """Does what the retraining's worker does at its end."""
    database = Database(Settings(data_dir=data_dir).database)
    with database.writing() as session:
        job = JobRepository(session).get(job_id)
        assert job is not None
        folder = Storage(data_dir).begin(job_id, job.epoch)
        (folder / "changes.json").write_text(json.dumps({"jobs": found}))
        for name, shown in pictures.items():
            Image.fromarray(shown, "RGBA").save(folder / f"changes-{name}.png")
        assert JobRepository(session).publish(job, message="town-small@2 is a candidate")
    database.close()


def running_retraining(data_dir: Path, owner: str) -> str:
    """The id of a retraining that another machine's worker has taken and logged some steps of."""
    settings = Settings(data_dir=data_dir)
    database = Database(settings.database)
    with database.writing() as session:
        jobs = JobRepository(session)
        job, _ = jobs.submit(owner, "retrain", {"model": "town-small@1", "tiles": []})
        taken = jobs.claim(job.id, "another machine", 600, 3)
        assert taken is not None
        run = Storage(data_dir).run(job.id, taken.epoch)
    database.close()
    run.mkdir(parents=True)
    lines = [{"step": n, "loss": 1 / n**0.5 - (0.033 if n == 40 else 0)} for n in range(1, 41)]
    lines += [{"step": n, "miou": 0.4 + 0.215 * n / 40} for n in (10, 20, 30, 40)]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return job.id


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def second_version_of(name: str, data_dir: Path) -> None:
    """Does what a retraining does at its end; the candidate is the same file again."""
    database = Database(Settings(data_dir=data_dir).database)
    with database.writing() as session:
        first = ModelRepository(session).all(name)[0]
        told = (first.sha256, first.bytes, first.config)
        ModelRepository(session).add(name, *told, who="a test", why="for the admin")
    database.close()


def test_small_dark_and_german(visitor: Callable[..., Any], secret: str) -> None:
    small = {"viewport": {"width": 360, "height": 740}, "locale": "de-DE", "color_scheme": "dark"}
    guest = visitor(**small)
    guest.page.goto("/")
    guest.page.get_by_label("Ihr Schlüssel").fill(secret)
    guest.page.get_by_role("button", name="Anmelden").click()
    guest.page.get_by_role("button", name="Mit einer Beispielstadt probieren").click()
    expect(guest.page.get_by_role("button", name="Karte erstellen")).to_be_enabled()
    assert guest.page.locator("html").get_attribute("lang") == "de"
    assert guest.page.evaluate("document.documentElement.scrollWidth") == 360
    assert guest.accessibility() == []
    guest.page.get_by_label("Modell", exact=True).select_option("town-small")
    guest.page.get_by_role("button", name="Karte erstellen").click()
    expect(guest.page.get_by_role("heading", name="Dateien")).to_be_visible()
    for view in ("Karte", "Meine Karten", "Dateien", "Modelle"):
        if view != "Karte":
            guest.page.get_by_role("link", name=view).click()
        assert guest.accessibility() == []
        assert guest.page.evaluate("document.documentElement.scrollWidth") == 360, view


def test_an_orthophoto_alone_becomes_a_map(
    visitor: Callable[..., Any], secret: str, corner: Path
) -> None:
    guest = visitor()
    page: Page = guest.page
    guest.expect(401)
    guest.sign_in(secret)
    send(page, corner / "ortho.tif")
    expect(page.get_by_text("made from colours alone")).to_be_visible()
    page.get_by_label("Model", exact=True).select_option("town-small")
    page.get_by_role("button", name="Make the map").click()
    expect(page.get_by_role("heading", name=DONE)).to_be_visible()
    expect(page.locator(".map img[alt=Classes]")).to_be_visible()
    expect(page.get_by_text("Correct this map")).to_have_count(0)


def test_many_maps_by_one_request_have_a_page(
    visitor: Callable[..., Any], service: httpx.Client, secret: str, corner: Path
) -> None:
    pair = {"height": "batch_ndsm.tif", "model": "rule"}
    for name in ("ortho.tif", "ndsm.tif"):
        content = (corner / name).read_bytes()
        service.put(f"/uploads/batch_{name}", content=content, headers=bearer(secret))
    pairs = [pair | {"ortho": "batch_ortho.tif"}, pair | {"ortho": "not_sent.tif"}]
    body = {"inputs": {"pairs": pairs}}
    told = service.post("/processes/batch/execution", json=body, headers=bearer(secret))
    guest = visitor()
    page: Page = guest.page
    guest.expect(401)
    guest.sign_in(secret)
    page.goto(f"{page.url.partition('#')[0]}#job={told.raise_for_status().json()['jobID']}")
    expect(page.get_by_role("heading", name="Many maps")).to_be_visible()
    expect(page.get_by_role("link", name="1: done")).to_be_visible()
    page.get_by_role("link", name="2: inputs.ortho: no upload").click()
    expect(page.get_by_role("heading", name="not_sent.tif")).to_be_visible()
    expect(page.get_by_text("This map could not be made")).to_be_visible()
