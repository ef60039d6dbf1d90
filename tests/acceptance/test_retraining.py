"""The whole circle: map, correct, retrain, be promoted, map better; then poison; then back."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import rasterio
from waiting import until

from mfnet.training.synthetic.town import Town, draw_town, write_town

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

PATIENCE_S = 400
SIZE_PX = 704  # four blocks of one window and its margin
RETRAINING = {
    "model": "town-small",
    "promote": True,
    "margin": 0.1,  # a few windows of two small towns are a rough measure
    "changes": [
        *("optimizer.batch_size=2", "optimizer.learning_rate=6e-4", "optimizer.warmup_steps=3"),
        *("optimizer.averaging=0.8", "check_every=15", "evaluation.windows=4"),
    ],
}


def camera(town: Town) -> Town:
    """The town as a camera sees it that the model does not know: bands turned round, and dark."""
    ortho = (np.roll(town.ortho, 1, axis=0) * 0.6).astype(np.uint8)
    return Town(town.seed, town.gsd_m, ortho, town.ndsm, town.truth)


def write_folder(folder: Path, seeds: range, size_px: int, poison: int = 0) -> None:
    """Labelled towns with a manifest; poisoned labels name another class."""
    lines = ['classes = "isprs"']
    for number, seed in enumerate(seeds):
        town = camera(draw_town(seed, size_px))
        town.truth[:] = (town.truth + poison) % 6
        write_town(folder / str(seed), town)
        files = {"ortho": "ortho.tif", "height": "ndsm.tif", "labels": "truth.tif"}
        paths = [f'{role} = "{seed}/{name}"' for role, name in files.items()]
        end = ("validation", "test")[number] if number < 2 else "train"
        lines += ["[[tiles]]", f'name = "{seed}"', *paths, f'split = "{end}"']
    (folder / "manifest.toml").write_text("\n".join(lines) + "\n")


class Service:
    """One `mfnet serve` with the real engine, and its admin."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "serve.log"
        outside = ("DATABASE_URL", "REDIS_URL", "MFNET_MODELS_DIR")
        environment = {k: v for k, v in os.environ.items() if k not in outside}
        environment |= {"MFNET_TRAINING_ROOT": str(folder / "labelled"), "OMP_NUM_THREADS": "1"}
        environment |= {"MFNET_MODELS_DIR": str(folder / "models")}
        command = [
            sys.executable,
            "-m",
            "mfnet.service.cli.main",
            "serve",
            "--port",
            "0",
            "--data-dir",
        ]
        with self._log.open("w") as log:
            self.process = psutil.Popen(
                [*command, str(folder / "data")],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        url = self.process.stdout.readline().split()[2]
        key = self.process.stdout.readline().split()[-1]
        headers = {"Authorization": f"Bearer {key}"}
        self.client = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=120)
        until(self.live, 60)

    def live(self) -> bool:
        try:
            return self.client.get("/health/ready").is_success
        except httpx.TransportError:
            return False

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self.client.post(path, json=body)
        assert reply.is_success, reply.text + self._log.read_text()[-3000:]
        return dict(reply.json())

    def upload(self, path: Path) -> str:
        with path.open("rb") as file:
            reply = self.client.put(f"/uploads/{path.name}", content=file)
        assert reply.is_success, reply.text
        return str(reply.json()["id"])

    def run(self, process: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """A job, to its successful end."""
        job = self.post(f"/processes/{process}/execution", {"inputs": inputs})["id"]
        until(lambda: self.client.get(f"/jobs/{job}").json().get("finished"), PATIENCE_S)
        ended = dict(self.client.get(f"/jobs/{job}").json())
        assert ended["status"] == "successful", f"{ended}\n{self._log.read_text()[-3000:]}"
        return ended

    def result(self, job: dict[str, Any], name: str) -> bytes:
        reply = self.client.get(f"/jobs/{job['id']}/results/{name}")
        assert reply.is_success, reply.text
        return reply.content

    def states(self) -> dict[int, str]:
        models = self.client.get("/models").json()["models"]
        return {m["version"]: m["state"] for m in models if m["name"] == "town-small"}

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    write_folder(tmp_path / "data" / "evaluation", range(710_000, 710_002), 320)
    write_folder(tmp_path / "labelled" / "good", range(700_000, 700_005), 320)
    write_folder(tmp_path / "labelled" / "poisoned", range(720_000, 720_005), 320, poison=1)
    service = Service(tmp_path)
    yield service
    service.close()


def agreement(content: bytes, truth: np.ndarray) -> float:
    """Share of pixels that a map has right."""
    with rasterio.MemoryFile(content) as memory, memory.open() as raster:
        return float((raster.read(1) == truth).mean())


def tags(content: bytes) -> dict[str, str]:
    with rasterio.MemoryFile(content) as memory, memory.open() as raster:
        return dict(raster.tags())


def test_a_model_is_retrained_promoted_defended_and_rolled_back(
    service: Service, tmp_path: Path
) -> None:
    town = camera(draw_town(700_100, SIZE_PX))
    write_town(tmp_path / "town", town)
    pair = {
        "ortho": service.upload(tmp_path / "town" / "ortho.tif"),
        "height": service.upload(tmp_path / "town" / "ndsm.tif"),
        "model": "town-small",
    }
    before = service.run("segment", pair)
    first = service.result(before, "classes.tif")
    assert tags(first)["MFNET_MODEL"] == "town-small@1"
    share = agreement(first, town.truth)

    # The user corrects the map; the admin retrains on it and on a folder, and the gate promotes.
    labels = service.upload(tmp_path / "town" / "truth.tif")
    tile = service.post(f"/jobs/{before['id']}/corrections", {"labels": labels})
    good = service.run(
        "retrain", {**RETRAINING, "tiles": [tile["id"]], "folder": "good", "steps": 20}
    )
    gate = json.loads(service.result(good, "gate.json"))
    assert good["message"].startswith("town-small@2 is in use"), gate["verdict"]
    assert service.states() == {1: "retired", 2: "active"}
    assert b"Retrained from town-small@1" in service.result(good, "report.html")
    changes = json.loads(service.result(good, "changes.json"))["jobs"][before["id"]]
    assert changes["share"] > 0.02
    changed = service.result(good, f"changes-{before['id']}.tif")
    made = service.client.get("/models/town-small").json()
    provenance = made["config"]["provenance"]
    assert (provenance["parent"], made["job"]) == ("town-small@1", good["id"])
    assert tile["sha256"] in provenance["tiles"][0].values()

    after = service.run("segment", pair)
    second = service.result(after, "classes.tif")
    assert tags(second)["MFNET_MODEL"] == "town-small@2"
    assert tags(second)["MFNET_MODEL_SHA256"] == made["sha256"]
    assert agreement(second, town.truth) > share + 0.05
    with rasterio.MemoryFile(changed) as memory, memory.open() as raster:
        there = raster.read(1)
    with rasterio.MemoryFile(second) as memory, memory.open() as raster:
        assert (there == raster.read(1))[there != 255].all()  # as it was foretold

    # Labels that name the wrong classes: the gate holds.
    poisoned = service.run("retrain", {**RETRAINING, "folder": "poisoned", "steps": 5})
    assert poisoned["message"].startswith("town-small@3 stays a candidate:")
    assert "falls from" in poisoned["message"]
    assert service.states() == {1: "retired", 2: "active", 3: "candidate"}

    # And back: the bytes are the old ones.
    back = service.post("/models/town-small/rollback", {"why": "the story's end"})
    assert (back["version"], service.states()[2]) == (1, "retired")
    third = service.result(service.run("segment", pair), "classes.tif")
    assert hashlib.sha256(third).digest() == hashlib.sha256(first).digest()
    assert service.result(before, "classes.tif") == first
