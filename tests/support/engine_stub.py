"""An engine for tests, run as a program: it speaks our engine's protocol.

The `model` of a request says how it behaves: `slow` (20 steps of 0.1 s), `brisk` (of 0.03 s),
`quick`, `crash`, `refuse`, `fault`, `silent` or `babble`. What it writes depends on the
orthophoto's bytes alone: a part holds a byte of it for every hundred rows, and leaves a line in
`<ortho>.computed`. Stubs that are started with different arguments compute parts that do not fit
together, and so do stubs before and after a change of the file `<ortho>.kind`. One that is started
with `fails CODE` computes no part. Of a retraining the `recipe` says how it behaves; the model that
it writes is the same after any number of attempts. `worse` fails at the gate, and what `altered`
wrote is no longer what it says.
"""

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mfnet.service.engine.protocol import (
    REQUEST,
    Done,
    Failed,
    JoinRequest,
    KeyRequest,
    MapRequest,
    PartRequest,
    Progress,
    Reply,
    Request,
    RetrainRequest,
)

STEPS = 20
PAUSE_S = {"slow": 0.1, "brisk": 0.03}
ROWS = 100 * 32 * (STEPS + 1)  # of a raster whose parts make up the whole result


def ortho(request: MapRequest | PartRequest) -> bytes:
    """The orthophoto's bytes, wherever they are."""
    if "ortho" not in request.links:
        return request.ortho.read_bytes()
    from mfnet.model.raster.files.linked_file import LinkedFile

    size = request.sizes["ortho"]
    return LinkedFile(request.links["ortho"], size, request.ortho).read(0, size)


def result(ortho: bytes) -> bytes:
    """What the stub writes for an orthophoto: a chain of digests, one a step."""
    chain = [hashlib.sha256(ortho).digest()]
    for _ in range(STEPS):
        chain.append(hashlib.sha256(chain[-1]).digest())
    return b"".join(chain)


def answer(request: Request) -> Done | Failed:
    model = behaviour(request)
    if model == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if model == "silent":
        time.sleep(600)
    if model == "babble":
        sys.stdout.write("Warning 1: no reply at all\n")
        sys.stdout.flush()
        time.sleep(600)
    if model in ("refuse", "fault"):
        return failed(f"stub.{model}", mistake=model == "refuse")
    done = STEPS_OF_A_JOB[request.step](request)
    return (
        done
        if isinstance(done, Failed)
        else Done(result={"pid": os.getpid(), "device": "stub", **done})
    )


def whole(request: MapRequest) -> dict[str, Any]:
    write_slowly(request.out / "classes.tif", result(ortho(request)), request)
    return {}


def key(request: KeyRequest | PartRequest | JoinRequest) -> dict[str, Any]:
    kind = Path(f"{request.ortho}.kind")
    told = [kind.read_text()] if kind.exists() else []
    return {"key": " ".join([request.model, *sys.argv[1:], *told])}


def part(request: PartRequest) -> dict[str, Any] | Failed:
    first, stop = request.rows
    folder = request.parts / request.key
    told, _, code = sys.argv[-1].partition(" ")
    if told == "fails":
        return failed(code)
    if request.key != key(request)["key"]:
        return failed("part.other_kind")
    if not (folder / str(first)).exists():
        folder.mkdir(exist_ok=True, parents=True)
        with Path(f"{request.ortho}.computed").open("a") as log:
            log.write(f"{first} {os.getpid()}\n")
        beginning = folder / f"{first}.{os.getpid()}"
        data = result(ortho(request))[first // 100 : stop // 100]
        write_slowly(beginning, data, request)
        beginning.rename(folder / str(first))
    return {}


def join(request: JoinRequest) -> dict[str, Any] | Failed:
    folder = request.parts / key(request)["key"]
    parts = [folder / str(first) for first, _ in request.cuts]
    if not all(path.exists() for path in parts):
        return failed("part.missing")
    (request.out / "classes.tif").write_bytes(b"".join(path.read_bytes() for path in parts))
    return {}


def failed(code: str, *, mistake: bool = False) -> Failed:
    return Failed(code=code, message="no", params={"n": 1}, input_fault=mistake)


def retrain(request: RetrainRequest) -> dict[str, Any]:
    """Each epoch goes on with what the one before has written."""
    request.run.mkdir(parents=True)
    path = request.run / "candidate.safetensors"
    if request.before and (request.before / path.name).exists():
        path.write_bytes((request.before / path.name).read_bytes())
    data = result(request.model.read_bytes())
    write_slowly(path, data, request, path.stat().st_size if path.exists() else 0)
    (request.out / "report.html").write_text("fine")
    passed = request.recipe != "worse"
    verdict = {"passed": passed, "reason": "no class falls" if passed else "car falls"}
    sha256 = hashlib.sha256(data).hexdigest()
    if request.recipe == "altered":
        path.write_bytes(data[::-1])
    return {"file": str(path), "sha256": sha256, "config": {}, "verdict": verdict}


STEPS_OF_A_JOB: dict[str, Callable[[Any], dict[str, Any] | Failed]] = {
    "map": whole,
    "key": key,
    "part": part,
    "join": join,
    "retrain": retrain,
}


def behaviour(request: Request) -> str:
    if isinstance(request, RetrainRequest):
        return request.recipe
    return request.model if isinstance(request, MapRequest | PartRequest) else "quick"


def write_slowly(path: Path, data: bytes, request: Request, done: int = 0) -> None:
    size = -(-len(data) // (STEPS + 1))
    for step in range(done // size, STEPS + 1):
        with path.open("ab") as file:
            file.write(data[size * step : size * step + size])
        send(Progress(done=step, total=STEPS))
        time.sleep(PAUSE_S.get(behaviour(request), 0))


def send(reply: Reply) -> None:
    sys.stdout.write(reply.model_dump_json() + "\n")
    sys.stdout.flush()


def main() -> None:
    requests: list[str] = []
    arrived = threading.Semaphore(0)

    def listen() -> None:
        for line in sys.stdin:
            requests.append(line)
            arrived.release()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        arrived.acquire()
        send(answer(REQUEST.validate_json(requests.pop(0))))


if __name__ == "__main__":
    main()
