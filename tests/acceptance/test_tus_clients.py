"""tuspy and tus-js-client, as they are, send files while they, or the service, are killed: what was
sent arrives."""

import base64
import hashlib
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import browser
import httpx
import numpy as np
import pytest
import rasterio
from cut_relay import CutRelay
from rasterio.transform import from_origin
from waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

SIDE = 1100
"""Pixels of a raster of noise: about 3.6 MB."""
PATIENCE_S = 120

SEND = """
import sys
from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage
url, path, remembered = sys.argv[1:]
sending = TusClient(url).uploader(
    path, chunk_size=1_000_000, metadata={"filename": "noise.tif"}, retries=600, retry_delay=0.2,
    store_url=True, url_storage=FileStorage(remembered))
sending.upload()
print(sending.url.rpartition("/")[2])
"""
"""What a user of tuspy writes."""


TUS_JS = Path(__file__).parents[1] / "support" / "vendor" / "tus-js-client-4.3.1" / "tus.min.js"
SEND_JS = """
([content, again]) => {
  const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  const file = new File([bytes], "noise.tif", { lastModified: 1 });
  window.sent = new Promise((resolve, reject) => {
    const sending = new tus.Upload(file, {
      endpoint: "/uploads/incoming",
      chunkSize: 1000000,
      retryDelays: again ? Array(600).fill(200) : null,
      metadata: { filename: file.name },
      onError: (error) => reject(error),
      onSuccess: () => resolve(sending.url),
    });
    sending.findPreviousUploads().then(([before]) => {
      if (before) sending.resumeFromPreviousUpload(before);
      sending.start();
    });
  });
  window.sent.catch(() => {});
}
"""
"""What a page that has tus-js-client does."""


class Service:
    """`mfnet serve` on one port, however often it is killed."""

    def __init__(self, data_dir: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._data_dir = data_dir
        self.start()
        until(self.is_live)

    def is_live(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/health/live"
            return httpx.get(url, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def start(self) -> None:
        command = [sys.executable, "-m", "mfnet.service.cli.main", "serve", "--no-worker"]
        command += ["--no-keys", "--port", str(self.port), "--data-dir", str(self._data_dir)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill_and_start(self) -> None:
        self.process.kill()
        self.process.wait()
        self.start()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service") / "data")
    yield service
    service.process.terminate()
    service.process.wait(PATIENCE_S)


@pytest.fixture
def relay(service: Service) -> Iterator[CutRelay]:
    relay = CutRelay(service.port)
    yield relay
    relay.close()


def client(relay: CutRelay, raster: Path) -> "subprocess.Popen[str]":
    url = f"http://127.0.0.1:{relay.port}/uploads/incoming"
    remembered = raster.with_suffix(".json")
    command = [sys.executable, "-c", SEND, url, str(raster), str(remembered)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def noise(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(1, 255, (3, SIDE, SIDE), np.uint8)
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "photometric": "RGB"}
    place = {"crs": "EPSG:25832", "transform": from_origin(5e5, 5.4e6, 0.5, 0.5)}
    with rasterio.open(path, "w", width=SIDE, height=SIDE, **profile, **place) as file:
        file.write(pixels)
    return path


def arrives(service: Service, relay: CutRelay, raster: Path, who: str, share: float) -> None:
    """Sends a raster, kills who is said when this share of it has gone, and looks at what came."""
    killed: list[str] = []
    sender = client(relay, raster)

    def kill() -> None:
        killed.append(who)
        service.kill_and_start() if who == "service" else sender.kill()

    relay.cut_after(int(share * raster.stat().st_size), kill)
    said, _ = sender.communicate(timeout=PATIENCE_S)
    if who == "client":
        assert said == ""
        sender = client(relay, raster)
        said, _ = sender.communicate(timeout=PATIENCE_S)
    assert (sender.returncode, killed) == (0, [who])
    check_and_remove(service, said.strip(), raster)


def check_and_remove(service: Service, upload_id: str, raster: Path) -> None:
    address = f"http://127.0.0.1:{service.port}/uploads/{upload_id}"
    upload = httpx.get(address, trust_env=False).raise_for_status().json()
    assert upload["sha256"] == hashlib.sha256(raster.read_bytes()).hexdigest()
    httpx.delete(address, trust_env=False).raise_for_status()


@pytest.fixture(scope="module")
def chromium() -> Iterator[browser.Browser]:
    if (reason := browser.missing()) is not None:
        pytest.skip(reason)
    with browser.chromium() as running:
        yield running


def arrives_by_page(
    service: Service, relay: CutRelay, chromium: browser.Browser, raster: Path, who: str
) -> None:
    """The same by a page, which is loaded anew where the client is to be killed."""
    guest = browser.Visitor(chromium, f"http://127.0.0.1:{relay.port}", bypass_csp=True)
    page, content = guest.page, base64.b64encode(raster.read_bytes()).decode()

    def begin(*, again: bool) -> None:
        page.goto("/docs")
        page.add_script_tag(path=TUS_JS)
        page.evaluate(SEND_JS, [content, again])

    cut = threading.Event()

    def kill() -> None:
        if who == "service":
            service.kill_and_start()
        cut.set()

    relay.cut_after(raster.stat().st_size // 2, kill)
    begin(again=who == "service")
    assert cut.wait(PATIENCE_S)
    if who == "client":
        begin(again=True)
    url = page.evaluate("window.sent")
    guest.close()
    check_and_remove(service, url.rpartition("/")[2], raster)


@pytest.mark.parametrize("who", ["client", "service"])
def test_what_a_page_sent_arrives(
    service: Service, relay: CutRelay, chromium: browser.Browser, tmp_path: Path, who: str
) -> None:
    arrives_by_page(service, relay, chromium, noise(tmp_path / "noise.tif", 7), who)


@pytest.mark.parametrize(("who", "share"), [("client", 0.1), ("service", 0.6), ("client", 0.95)])
def test_what_was_sent_arrives(
    service: Service, relay: CutRelay, tmp_path: Path, who: str, share: float
) -> None:
    arrives(service, relay, noise(tmp_path / "noise.tif", round(100 * share)), who, share)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("who", ["client", "service"])
def test_what_was_sent_arrives_from_forty_places(
    service: Service, relay: CutRelay, tmp_path: Path, who: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to have the same places again
    for number, share in enumerate(random.Random(seed).uniform(0.01, 1) for _ in range(40)):
        arrives(service, relay, noise(tmp_path / f"{number}.tif", number), who, share)
