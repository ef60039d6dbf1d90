"""Log lines for programs."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mfnet.service.runtime import logging_setup


@contextmanager
def configured() -> Iterator[None]:
    """For JSON, meanwhile, with no handlers of pytest's."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    logging_setup.configure("INFO", "json")
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def test_a_line_says_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("mfnet.test")
    with configured(), logging_setup.about(request="r1"):
        with logging_setup.about(job="j1"):
            log.info("both, %s", "ä\nb")
        log.warning("one")
        thread = threading.Thread(target=log.info, args=("another's",))
        thread.start()
        thread.join()
        log.debug("too fine")
    both, one, other = map(json.loads, capsys.readouterr().err.splitlines())
    assert (both["message"], both["request"], both["job"]) == ("both, ä\nb", "r1", "j1")
    assert (one["level"], one["request"], "job" in one) == ("WARNING", "r1", False)
    assert (other["logger"], "request" in other) == ("mfnet.test", False)
    assert both["time"].endswith("+00:00")


def test_a_traceback_is_part_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with configured():
        try:
            raise ValueError("no")
        except ValueError:
            logging.getLogger("mfnet.test").exception("failed")
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert line["message"] == "failed"
    assert "ValueError: no" in line["traceback"]
