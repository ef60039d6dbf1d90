"""What the database costs a worker and a user while more and more jobs wait.

    python benchmarks/waiting_jobs.py [--jobs 100 1000 10000] [--parts 1000] [--url postgresql://…]

A database of its own (SQLite in a temporary folder) or an empty one that is named. In it lie that
many waiting jobs of twenty owners, and one job that is cut into parts. Timed are the transactions
that workers and users make, one after the other: medians of twenty.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import RESULTS, report
from sqlalchemy import insert

from mfnet.service.api.answers.prometheus import exposition
from mfnet.service.db.repositories.fair_queue import TurnRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.repositories.stalled_jobs import Backlog
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.job import State
from mfnet.service.settings import Settings

OWNERS = 20
TURNS = 20


class Filled:
    """A database with jobs that wait, and one that is led and cut."""

    def __init__(self, url: str, parts: int) -> None:
        self.database = Database(url)
        self.database.upgrade()
        with self.database.writing() as session:
            keys = KeyRepository(session)
            self.owners = [keys.create(f"user {n}", "user")[0].id for n in range(OWNERS)]
            jobs = JobRepository(session)
            led = jobs.submit(self.owners[0], "segment", {"ortho": "u", "height": "u"})[0]
            claimed = jobs.claim(led.id, "leader", 36_000, 3)
            assert claimed is not None
            PartRepository(session).cut(claimed, [], "key")
            rows = [
                {"job_id": led.id, "first_row": 512 * n, "stop_row": 512 * n + 512}
                | {"token": 0, "attempts": 0, "progress": 0}
                for n in range(parts)
            ]
            session.execute(insert(Part), rows)
        self.led = led.id
        self.jobs = 0

    def fill(self, count: int) -> None:
        """Have so many jobs wait."""
        now = time.time()
        rows = [
            {
                "id": f"{number:032x}",
                "owner": self.owners[number % OWNERS],
                "process": "segment",
                "state": State.ACCEPTED,
                "inputs": {"ortho": "u", "height": "u", "model": "town@1"},
                "epoch": 0,
                "attempts": 0,
                "progress": 0,
                "message": "",
                "created": now + number * 1e-3,
                "updated": now,
            }
            for number in range(self.jobs, count)
        ]
        with self.database.writing() as session:
            for first in range(0, len(rows), 1000):
                session.execute(insert(Job), rows[first : first + 1000])
        self.jobs = count

    # ---- what is timed ---------------------------------------------------------------------

    def turns(self) -> None:
        """A worker asks whose turn it is."""
        with self.database.writing() as session:
            TurnRepository(session, 3).waiting()

    def part(self) -> None:
        """A worker takes a part, renews its lease once and finishes it."""
        with self.database.writing() as session:
            part = PartRepository(session).claim(self.led, "w", 30, 3)
        assert part is not None
        with self.database.writing() as session:
            assert PartRepository(session).renew(part, 30, 50)
        with self.database.writing() as session:
            assert PartRepository(session).finish(part)

    def reconcile(self) -> None:
        """What a worker looks for every few seconds."""
        with self.database.writing() as session:
            Backlog(session).fail_abandoned(3)
            Backlog(session).due()
            PartRepository(session).due(3)

    def status(self) -> None:
        """A user asks how far a job is."""
        with self.database.reading() as session:
            JobRepository(session).get(self.led, self.owners[0])

    def first_page(self) -> None:
        """A user lists jobs."""
        with self.database.reading() as session:
            JobRepository(session).page(self.owners[1], limit=100)

    def metrics(self) -> None:
        """Prometheus asks."""
        exposition(self.database, Path())


def median_ms(act: Callable[[], None]) -> float:
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return round(1000 * statistics.median(times), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--parts", type=int, default=1000)
    parser.add_argument("--url")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Settings(data_dir=Path(folder), database_url=options.url)
        filled = Filled(here.database, options.parts)
        rows = []
        for count in options.jobs:
            filled.fill(count)
            acts = (filled.turns, filled.part, filled.reconcile)
            acts += (filled.status, filled.first_page, filled.metrics)
            row: dict[str, str | float | int] = {"waiting jobs": count}
            rows.append(row | {f"{a.__name__.replace('_', ' ')}, ms": median_ms(a) for a in acts})
        filled.database.close()
    conditions = {"parts": options.parts, "database": here.database.partition(":")[0]}
    report("waiting_jobs", rows, conditions=conditions, out=options.out)


if __name__ == "__main__":
    main()
