"""An engine for tests, run as a program: it speaks the protocol of `service/engine/process.py`.

The `model` of an order says how it behaves: `slow` (20 steps of 0.1 s), `brisk` (of 0.03 s),
`quick`, `crash`, `refuse`, `fault`, `silent` or `babble`. What it writes depends on the
orthophoto's bytes alone: a part holds a byte of it for every hundred rows, and leaves a line in
`<ortho>.computed`. Stubs that are started with different arguments compute parts that do not fit
together, and so do stubs before and after a change of the file `<ortho>.kind`. One that is started
with `fails CODE` computes no part. Of a retraining the `recipe` says how it behaves; the model that
it writes is the same after any number of attempts. `worse` fails at the gate, and what `altered`
wrote is no longer what it says.
"""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

STEPS = 20
PAUSE_S = {"slow": 0.1, "brisk": 0.03}
ROWS = 100 * 32 * (STEPS + 1)  # of a raster whose parts make up the whole result


def result(ortho: bytes) -> bytes:
    """What the stub writes for an orthophoto: a chain of digests, one a step."""
    chain = [hashlib.sha256(ortho).digest()]
    for _ in range(STEPS):
        chain.append(hashlib.sha256(chain[-1]).digest())
    return b"".join(chain)


def answer(order: dict[str, Any]) -> dict[str, Any]:
    model = behaviour(order)
    if model == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if model == "silent":
        time.sleep(600)
    if model == "babble":
        sys.stdout.write("Warning 1: no reply at all\n")
        sys.stdout.flush()
        time.sleep(600)
    if model in ("refuse", "fault"):
        return error(f"stub.{model}", mistake=model == "refuse")
    reply = STEPS_OF_A_JOB[order["step"]](order)
    return reply if "error" in reply else {"done": {"pid": os.getpid(), **reply}}


def whole(order: dict[str, Any]) -> dict[str, Any]:
    data = result(Path(order["ortho"]).read_bytes())
    write_slowly(Path(order["out"]) / "classes.tif", data, order)
    return {}


def key(order: dict[str, Any]) -> dict[str, Any]:
    kind = Path(order["ortho"] + ".kind")
    told = [kind.read_text()] if kind.exists() else []
    return {"key": " ".join([order["model"], *sys.argv[1:], *told])}


def part(order: dict[str, Any]) -> dict[str, Any]:
    first, stop = order["rows"]
    folder = Path(order["parts"]) / order["key"]
    told, _, code = sys.argv[-1].partition(" ")
    if told == "fails":
        return error(code)
    if order["key"] != key(order)["key"]:
        return error("part.other_kind")
    if not (folder / str(first)).exists():
        folder.mkdir(exist_ok=True, parents=True)
        with Path(order["ortho"] + ".computed").open("a") as log:
            log.write(f"{first} {os.getpid()}\n")
        beginning = folder / f"{first}.{os.getpid()}"
        data = result(Path(order["ortho"]).read_bytes())[first // 100 : stop // 100]
        write_slowly(beginning, data, order)
        beginning.rename(folder / str(first))
    return {}


def join(order: dict[str, Any]) -> dict[str, Any]:
    folder = Path(order["parts"]) / key(order)["key"]
    parts = [folder / str(first) for first, _ in order["cuts"]]
    if not all(path.exists() for path in parts):
        return error("part.missing")
    data = b"".join(path.read_bytes() for path in parts)
    (Path(order["out"]) / "classes.tif").write_bytes(data)
    return {}


def error(code: str, *, mistake: bool = False) -> dict[str, Any]:
    told = {"code": code, "message": "no", "params": {"n": 1}}
    return {"error": {**told, "input_fault": mistake}}


def retrain(order: dict[str, Any]) -> dict[str, Any]:
    """Each epoch goes on with what the one before has written."""
    run, before = Path(order["run"]), order["before"]
    run.mkdir(parents=True)
    path = run / "candidate.safetensors"
    if before and (Path(before) / path.name).exists():
        path.write_bytes((Path(before) / path.name).read_bytes())
    data = result(Path(order["model"]).read_bytes())
    write_slowly(path, data, order, path.stat().st_size if path.exists() else 0)
    (Path(order["out"]) / "report.html").write_text("fine")
    passed = order["recipe"] != "worse"
    verdict = {"passed": passed, "reason": "no class falls" if passed else "car falls"}
    sha256 = hashlib.sha256(data).hexdigest()
    if order["recipe"] == "altered":
        path.write_bytes(data[::-1])
    return {"file": str(path), "sha256": sha256, "config": {}, "verdict": verdict}


STEPS_OF_A_JOB = {"map": whole, "key": key, "part": part, "join": join, "retrain": retrain}


def behaviour(order: dict[str, Any]) -> str:
    if order["step"] == "retrain":
        return str(order["recipe"])
    return str(order["model"]) if order["step"] in ("map", "part") else "quick"


def write_slowly(path: Path, data: bytes, order: dict[str, Any], done: int = 0) -> None:
    size = -(-len(data) // (STEPS + 1))
    for step in range(done // size, STEPS + 1):
        with path.open("ab") as file:
            file.write(data[size * step : size * step + size])
        say({"progress": [step, STEPS]})
        time.sleep(PAUSE_S.get(behaviour(order), 0))


def say(reply: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


def main() -> None:
    orders: list[str] = []
    arrived = threading.Semaphore(0)

    def listen() -> None:
        for line in sys.stdin:
            orders.append(line)
            arrived.release()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        arrived.acquire()
        say(answer(json.loads(orders.pop(0))))


if __name__ == "__main__":
    main()
