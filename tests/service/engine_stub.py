"""An engine for tests, run as a program: it speaks the protocol of `service/engine.py`.

The `model` of an order says how it behaves: `slow` (20 steps of 0.1 s), `quick`, `crash`, `refuse`,
`fault`, `silent` or `babble`. What it writes depends on the orthophoto's bytes alone.
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


def result(ortho: bytes) -> bytes:
    """What the stub writes for an orthophoto: a chain of digests, one a step."""
    chain = [hashlib.sha256(ortho).digest()]
    for _ in range(STEPS):
        chain.append(hashlib.sha256(chain[-1]).digest())
    return b"".join(chain)


def answer(order: dict[str, Any]) -> dict[str, Any]:
    model = order["model"]
    if model == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if model == "silent":
        time.sleep(600)
    if model == "babble":
        sys.stdout.write("Warning 1: no reply at all\n")
        sys.stdout.flush()
        time.sleep(600)
    if model in ("refuse", "fault"):
        mistake = model == "refuse"
        error = {"code": f"stub.{model}", "message": "no", "params": {"n": 1}}
        return {"error": {**error, "input_fault": mistake}}
    data = result(Path(order["ortho"]).read_bytes())
    out = Path(order["out"]) / "classes.tif"
    for step in range(STEPS + 1):
        with out.open("ab") as file:
            file.write(data[32 * step : 32 * step + 32])
        say({"progress": [step, STEPS]})
        time.sleep(0.1 if model == "slow" else 0)
    return {"done": {"pid": os.getpid()}}


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
