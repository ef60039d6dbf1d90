"""The plugin in QGIS's window, without a screen: sessions/window.py plays a user."""

from pathlib import Path

import httpx
import pytest
import qgis_host

from mfnet.model.classes import ISPRS

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("qgis")]

SESSION = Path(__file__).with_name("sessions") / "window.py"


def test_a_user_sets_the_service_cancels_a_job_and_loads_a_map(
    service: httpx.Client, town: Path, tmp_path: Path
) -> None:
    key = service.headers["Authorization"].removeprefix("Bearer ")
    store = tmp_path / "store"
    store.mkdir()
    env = qgis_host.environment(
        tmp_path, PYTHONPATH=str(qgis_host.PLUGINS), QGIS_AUTH_DB_DIR_PATH=str(store)
    )
    url = str(service.base_url).rstrip("/")
    pair = (town / "ortho.tif", town / "ndsm.tif")
    seen = qgis_host.run_pyqgis(SESSION.read_text(), url, key, *pair, tmp_path, env=env)

    assert "does not accept the key" in seen["wrong key"]
    assert "town-small" in seen["right key"]
    assert {"town", "town@1", "town-small"} <= set(seen["models offered"])
    # The key is in the authentication store, which is encrypted, and nowhere in the settings.
    assert seen["settings"][0] == url
    assert seen["settings"][1]
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and key.encode() in f.read_bytes()]

    results, log = seen["cancelled"]
    assert results == {}
    job = log.partition("Job ")[2].split()[0]
    assert service.get(f"/jobs/{job}").json()["status"] == "dismissed"

    assert seen["made"]
    assert seen["turns"] > 20, "the window did not live while the map was made"
    assert seen["rows"] == ["successful", "dismissed"]
    assert seen["offered for a cancelled one"] == [False, False]
    assert seen["offered for a good one"] == [True, False]
    assert seen["loaded"] == [item.title for item in ISPRS.classes]

    # What was drawn and not saved is sent all the same.
    report = service.get(f"/tiles/{seen['tile']}").json()["report"]
    assert report["labelled"] == 128 * 128
    report = service.get(f"/tiles/{seen['tile of the whole map']}").json()["report"]
    assert report["labelled"] == 100 * 256
