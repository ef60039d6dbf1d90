"""The engine process, `python -m service.runner`: the only module of the service that computes.

See `service/engine.py` for what goes in and out. It is a program to be ended at any moment: results
are written below the folder that the order names, and count only once the supervisor says so.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from service.lifeline import end_with_parent

Order = dict[str, Any]
Reply = dict[str, Any]
Say = Callable[[Reply], None]


def main() -> None:
    """Take orders from standard input until it ends."""
    # The supervisor may be killed while we compute; nobody would read the result.
    end_with_parent(signal.SIGKILL)
    say = _speaker()
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, orders), daemon=True).start()
    segmenter = Segmenter()
    while True:
        say(answer(json.loads(orders.get()), segmenter, say))


class Segmenter:
    """Runs segmentations and keeps the last model that it used."""

    def __init__(self) -> None:
        self._key: tuple[str, int] | None = None
        self._model: Any = None

    def run(self, order: Order, say: Say) -> Reply:
        """Write the results of one order below its `out`.

        Returns:
            The statistics of `model.inference.segment.segment`.
        """
        from model import segment

        out, dtm, options = Path(order["out"]), order.get("dtm"), dict(order["options"])
        confidence = out / "confidence.tif" if options.pop("confidence", False) else None
        return segment(
            Path(order["ortho"]),
            Path(order["height"]),
            self._load(order["model"], Path(order["models_dir"])),
            out / "classes.tif",
            dtm=Path(dtm) if dtm else None,
            statistics=out / "statistics.json",
            confidence=confidence,
            progress=lambda done, total: say({"progress": [done, total]}),
            **options,
        )

    def _load(self, name: str, models_dir: Path) -> Any:
        from model import load_model
        from model.library import find

        path = find(name, models_dir)
        # A file that was replaced under the same name is another model.
        key = (str(path), path.stat().st_mtime_ns)
        if key != self._key:
            self._key = self._model = None  # the old one goes before the new one comes
            self._model = load_model(path, models_dir)
            self._key = key
        return self._model


def answer(order: Order, segmenter: Segmenter, say: Say) -> Reply:
    """The last word on an order, whatever happens."""
    from model.errors import InputError, MfnetError

    try:
        return {"done": segmenter.run(order, say)}
    except MfnetError as error:
        return {"error": {**error.to_dict(), "input_fault": isinstance(error, InputError)}}
    except Exception as error:
        # Anything may come out of drivers and decoders. What exactly is for the log alone.
        traceback.print_exc()
        return {"error": _fault(error)}


def _fault(error: Exception) -> dict[str, Any]:
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    message = (
        "The engine ran out of memory; try a smaller raster or a worker with more memory."
        if memory
        else "The engine failed; the service's log says why."
    )
    return {
        "code": "engine.out_of_memory" if memory else "internal",
        "message": message,
        "params": {},
        "input_fault": False,
    }


def _speaker() -> Say:
    """Write replies to what is standard output now, and send everybody else's to the log.

    Libraries in C print to file descriptor 1; that must not end up among the replies.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(reply: Reply) -> None:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()

    return say


def _listen(lines: IO[str], into: "queue.SimpleQueue[str]") -> None:
    for line in lines:
        into.put(line)
    # The supervisor is gone or wants us gone; whatever runs is of no use to anybody.
    os._exit(0)


if __name__ == "__main__":
    main()
