"""Clients of OGC API - Processes, as they are, against everything real: OWSLib, and the client that
is generated of the standard's own schemas."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import rasterio
from ogc_api_processes_client import Configuration
from ogc_api_processes_client.api_client_wrapper import ApiClientWrapper
from owslib.ogcapi.processes import Processes
from owslib.util import Authentication

from mfnet.service.demo.server import serving

# One service for both clients.
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("ogc_clients"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the clients' own
]

PATIENCE_S = 120


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    command = [sys.executable, "-m", "mfnet.model.cli.main", "town", str(folder)]
    subprocess.run([*command, "--size", "256", "--seed", "900002"], check=True)
    return folder


@pytest.fixture(scope="module")
def service(town: Path) -> Iterator[httpx.Client]:
    """A running service with two uploads."""
    with serving() as client:
        for name in ("ortho.tif", "ndsm.tif"):
            client.put(f"/uploads/{name}", content=(town / name).read_bytes()).raise_for_status()
        yield client


def key_of(service: httpx.Client) -> str:
    return str(service.headers["authorization"]).removeprefix("Bearer ")


def test_owslib_lists_describes_executes_polls_and_fetches(
    service: httpx.Client, town: Path, tmp_path: Path
) -> None:
    # Its own way to give credentials: a name and a password.
    login = Authentication(username="anybody", password=key_of(service))
    client = Processes(str(service.base_url), auth=login)
    assert client.conformance()["conformsTo"]
    assert client.api()["openapi"] == "3.0.3"
    assert {each["id"] for each in client.processes()} >= {"segment", "echo"}
    assert "ortho" in client.process("segment")["inputs"]
    assert client.execute("echo", {"message": "hello"}) == {"message": "hello"}

    upload = service.get("/uploads").json()["uploads"][0]["id"]
    inputs = {
        "ortho": {"value": "ortho.tif"},
        "height": {"href": f"{str(service.base_url).rstrip('/')}/uploads/{upload}"},
        "model": "town-small",
    }
    with pytest.raises(RuntimeError, match="bad_output"):
        client.execute("segment", inputs, outputs={"nope": {}}, async_=True)
    outputs = {"classes.tif": {"transmissionMode": "reference"}}
    job = client.execute("segment", inputs, outputs=outputs, async_=True)["jobID"]
    deadline = time.monotonic() + PATIENCE_S
    while (status := client._request(path=f"jobs/{job}"))["status"] in ("accepted", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert status["status"] == "successful", status
    results = client._request(path=f"jobs/{job}/results")
    assert list(results) == ["classes.tif"]
    path = tmp_path / "classes.tif"
    path.write_bytes(service.get(results["classes.tif"]["href"]).content)
    with rasterio.open(path) as mapped, rasterio.open(town / "ortho.tif") as photo:
        assert (mapped.shape, mapped.transform) == (photo.shape, photo.transform)


def test_the_client_of_the_standards_schemas_reads_every_answer(service: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {key_of(service)}"}
    client = ApiClientWrapper(Configuration(host=str(service.base_url).rstrip("/")))
    assert client.get_landing_page(_headers=headers).links
    assert client.get_conformance_classes(_headers=headers).conforms_to
    for process in client.get_processes(_headers=headers).processes:
        told = client.get_process_description(process.id, _headers=headers)
        assert told.inputs
        assert told.outputs
    asked = {"inputs": {"message": "hello", "pause": 30}}
    sent = headers | {"Prefer": "respond-async", "Content-Type": "application/json"}
    job = client.execute_simple("echo", asked, _headers=sent).job_id
    assert client.get_status(job, _headers=headers).status.value == "running"
    assert job in [each.job_id for each in client.get_jobs(_headers=headers).jobs]
    assert client.dismiss(job, _headers=headers).status.value == "dismissed"
    assert client.get_status(job, _headers=headers).status.value == "dismissed"


def test_gdal_reads_a_result_with_head_and_its_own_credentials(
    service: httpx.Client, town: Path
) -> None:
    body = {"inputs": {"ortho": "ortho.tif", "height": "ndsm.tif", "model": "town-small"}}
    job = service.post("/processes/segment/execution", json=body).headers["location"]
    deadline = time.monotonic() + PATIENCE_S
    while service.get(job).json()["status"] in ("accepted", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    code = (
        "import json, sys, rasterio\n"
        "with rasterio.open('/vsicurl/' + sys.argv[1]) as raster:\n"
        "    print(json.dumps([raster.shape, raster.read(1).max().item()]))\n"
    )
    login = f"GDAL_HTTP_USERPWD=x:{key_of(service)}"
    done = subprocess.run(
        [sys.executable, "-c", code, f"{job}/results/classes.tif"],
        env={"GDAL_HTTP_AUTH": "BASIC", "CPL_CURL_VERBOSE": "YES", **dict([login.split("=", 1)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0] == [256, 256]
    assert "HEAD /jobs" in done.stderr
    assert " 405 " not in done.stderr
