"""Which stage of a program ran when, in which thread: noted from outside, and drawn."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock


@dataclass(frozen=True)
class Stage:
    """What is watched, and how it is drawn."""

    color: str
    functions: Sequence[tuple[Any, str]]
    """Each a class or module, and a name in it."""


Stages = Mapping[str, Stage]
"""By name, callers before what they call: each call's time goes to the innermost stage."""


@dataclass(frozen=True)
class Clock:
    """Seconds on the wall, and of processor time: the machine may have other work."""

    wall: float = 0
    processor: float = 0

    @classmethod
    def now(cls) -> "Clock":
        """Of the whole process."""
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def of_thread(cls) -> "Clock":
        """Of this thread."""
        return cls(time.perf_counter(), time.thread_time())

    def __add__(self, other: "Clock") -> "Clock":
        return Clock(self.wall + other.wall, self.processor + other.processor)

    def __sub__(self, other: "Clock") -> "Clock":
        return Clock(self.wall - other.wall, self.processor - other.processor)


@dataclass
class Span:
    """One call: when, in which thread, and its time without that of watched calls within it."""

    stage: str
    thread: str
    start: float
    stop: float = 0
    own: Clock = field(default_factory=Clock)


@dataclass
class Watch:
    """Notes every call of the stages, from outside."""

    spans: list[Span] = field(default_factory=list)
    _open: threading.local = field(default_factory=threading.local)

    @contextmanager
    def watching(self, stages: Stages) -> Iterator[None]:
        """Replaces the stages' functions for a while."""
        with ExitStack() as stack:
            for stage, watch in stages.items():
                for owner, name in watch.functions:
                    watched = self._watched(stage, owner, name)
                    stack.enter_context(mock.patch.object(owner, name, watched))
            yield

    def lanes(self, roles: Mapping[str, str]) -> dict[str, list[Span]]:
        """The spans by thread, each thread called after a stage that it alone runs."""
        lanes = {}
        for stage, role in roles.items():
            (thread,) = {span.thread for span in self.spans if span.stage == stage}
            lanes[role] = [span for span in self.spans if span.thread == thread]
        return lanes

    def _watched(self, stage: str, owner: Any, name: str) -> Any:
        found = vars(owner)[name]
        call = found.__func__ if isinstance(found, classmethod) else found

        def watched(*args: Any, **options: Any) -> Any:
            with self._span(stage):
                return call(*args, **options)

        return classmethod(watched) if isinstance(found, classmethod) else watched

    @contextmanager
    def _span(self, stage: str) -> Iterator[None]:
        outer: Span | None = getattr(self._open, "span", None)
        begin = Clock.of_thread()
        span = Span(stage, threading.current_thread().name, begin.wall)
        self._open.span = span
        try:
            yield
        finally:
            spent = Clock.of_thread() - begin
            span.stop = begin.wall + spent.wall
            span.own += spent
            if outer is not None:
                outer.own -= spent
            self._open.span = outer
            self.spans.append(span)


def draw(
    lanes: Mapping[str, Sequence[Span]], stages: Stages, close_up: tuple[float, float], path: Path
) -> None:
    """A picture: a lane a thread, a colour a stage, from left to right.

    Args:
        lanes: As of `Watch.lanes`.
        stages: Those that were watched.
        close_up: From when to when, as spans tell the time, the lower half shows.
        path: Of the PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.5), layout="constrained")
    whole, close = figure.subplots(2, 1)
    begin = min(span.start for spans in lanes.values() for span in spans)
    drawn = {}
    for axes in (whole, close):
        for lane, spans in enumerate(lanes.values()):
            for name, stage in stages.items():
                bars = [(s.start - begin, s.stop - s.start) for s in spans if s.stage == name]
                drawn[name] = axes.broken_barh(bars, (lane - 0.4, 0.8), color=stage.color)
        axes.set_yticks(range(len(lanes)), lanes)
        axes.margins(x=0)
    close.set_xlim(*(moment - begin for moment in close_up))
    close.set_xlabel("seconds: above the whole run, below where a row of windows ends")
    figure.legend(drawn.values(), drawn, loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=110)
