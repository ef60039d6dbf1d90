"""How often a fault costs a job: each fault again and again, at random moments.

    python benchmarks/faults.py [--trials 100] [--rows kill_engine …] [--state file redis servers]

Real worker processes on a data folder of their own, with leases of four seconds; only the engine is
a stub whose bytes are known. State is in files (SQLite and the embedded broker), with a real Redis
beside SQLite, or on servers: Redis and PostgreSQL. A trial ends well if every job of it has one
result with the right bytes, no other attempt's files are left, and all that within a minute. What
was tried stands in `runs/soak/faults.jsonl`; a run that was interrupted goes on where it was, and
another commit begins anew. Hours with a hundred trials; it needs redis-server and PostgreSQL's
programs.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from report import ROOT, machine, table

sys.path.insert(0, str(ROOT / "tests/support"))

from postgres_server import Postgres
from report import _commit as commit
from waiting import until
from worker_host import Redis, WorkerHost, descendants

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.domain.job import State

AWAY_S = 60
JOB_S = 2.5  # that the stub takes for a job, about, from its submission


class Farm:
    """Workers, a broker, and the moment at which something happens to them."""

    def __init__(
        self,
        host: WorkerHost,
        redis: Redis | None,
        postgres: Postgres | None,
        chance: random.Random,
    ) -> None:
        self.host = host
        self.redis = redis
        self.postgres = postgres
        self.chance = chance

    def some_time(self) -> None:
        """Until a random moment of a job's life."""
        time.sleep(self.chance.uniform(0, JOB_S))


def kill_engine(farm: Farm) -> None:
    """kill -9 of the engine at any moment."""
    worker = farm.host.start_worker()
    job_id = farm.host.submit()
    farm.some_time()
    for engine in descendants(worker):
        engine.kill()
    farm.host.check_result(job_id)
    assert worker.is_running()


def kill_worker(farm: Farm) -> None:
    """kill -9 of the worker at any moment; another one is there."""
    worker = farm.host.start_worker()
    job_id = farm.host.submit()
    farm.some_time()
    worker.kill()
    worker.wait(10)
    farm.host.start_worker()
    farm.host.check_result(job_id)


def stop_worker(farm: Farm) -> None:
    """SIGSTOP beyond the lease; it wakes up when another has published."""
    sleeper = farm.host.start_worker()
    job_id = farm.host.submit()
    farm.some_time()
    sleeper.suspend()
    farm.host.start_worker()
    job = farm.host.check_result(job_id)
    sleeper.resume()
    farm.host.check_result(farm.host.submit("quick"))
    again = farm.host.check_result(job_id)
    assert (again.finished, again.result_epoch) == (job.finished, job.result_epoch)


def ten_messages(farm: Farm) -> None:
    """Each message ten times, on two workers."""
    for _ in range(2):
        farm.host.start_worker()
    job_id = farm.host.submit(notify=False)
    for _ in range(10):
        farm.host.notifier.notify(job_id)
    assert farm.host.check_result(job_id).epoch == 1


def forget_messages(farm: Farm) -> None:
    """FLUSHALL with fifty jobs waiting."""
    assert farm.redis is not None
    farm.host.start_worker()
    waiting = [farm.host.submit("quick") for _ in range(50)]
    time.sleep(farm.chance.uniform(0, 0.5))
    farm.redis.flush()
    for job_id in waiting:
        assert farm.host.check_result(job_id).epoch == 1


def kill_redis(farm: Farm) -> None:
    """Redis killed at any moment, and started again after a second."""
    assert farm.redis is not None
    farm.host.start_worker()
    running, waiting = farm.host.submit(), farm.host.submit("quick")
    farm.some_time()
    farm.redis.kill()
    time.sleep(1)
    farm.redis.start()
    later = farm.host.submit("quick")
    for job_id in (running, waiting, later):
        assert farm.host.check_result(job_id).epoch == 1


def stop_postgres(farm: Farm) -> None:
    """PostgreSQL stopped at any moment, and started again a minute later."""
    assert farm.postgres is not None
    worker = farm.host.start_worker()
    running, waiting = farm.host.submit(), farm.host.submit("quick")
    farm.some_time()
    farm.postgres.stop()
    time.sleep(AWAY_S)
    farm.postgres.start()
    for job_id in (running, waiting, farm.host.submit("quick")):
        farm.host.check_result(job_id)
    assert worker.is_running()


def cancel(farm: Farm) -> None:
    """Cancelled at any moment; the next job runs."""
    worker = farm.host.start_worker()
    job_id = farm.host.submit()
    farm.some_time()
    with farm.host.database.writing() as session:
        dismissed = JobRepository(session).cancel(job_id) is not None
    farm.host.check_result(farm.host.submit("quick"))
    if dismissed:
        assert farm.host.job(job_id).state is State.DISMISSED
        until(lambda: not (farm.host.storage.root / "jobs" / job_id).exists(), 15)
    assert worker.is_running()


FAULTS: dict[str, Callable[[Farm], None]] = {
    fault.__name__: fault
    for fault in (
        *(kill_engine, kill_worker, stop_worker, ten_messages),
        *(forget_messages, kill_redis, stop_postgres, cancel),
    )
}
STATES = ("file", "redis", "servers")
NOT_WITH = {
    "forget_messages": {"file"},
    "kill_redis": {"file"},
    "stop_postgres": {"file", "redis"},
}


@contextmanager
def farm(state: str, seed: str) -> Iterator[Farm]:
    """A farm of one trial, with nothing left of it afterwards."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, redis, postgres = Path(name), None, None
        folder.chmod(0o755)  # PostgreSQL runs as another user
        if state != "file":
            (folder / "redis").mkdir()
            redis = Redis(folder / "redis")
            redis.start()
            stack.callback(redis.kill)
        if state == "servers":
            (folder / "postgres").mkdir()
            postgres = Postgres(folder / "postgres")
            postgres.start()
            stack.callback(postgres.stop)
        url = postgres.url if postgres else None
        host = WorkerHost(folder / "data", redis, database_url=url)
        stack.callback(host.close)
        yield Farm(host, redis, postgres, random.Random(seed))


def attempt(row: str, state: str, trial: int, at_commit: str) -> dict[str, Any]:
    """One trial, and what came of it."""
    began, said = time.monotonic(), ""
    try:
        with farm(state, f"{row} {state} {trial}") as there:
            FAULTS[row](there)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:300]
    return {
        "row": row,
        "state": state,
        "trial": trial,
        "well": not said,
        "said": said,
        "seconds": round(time.monotonic() - began, 1),
        "commit": at_commit,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def summary(records: list[dict[str, Any]]) -> list[dict[str, str | float | int]]:
    """A row for each fault and state, in the order of the table of faults."""
    rows: list[dict[str, str | float | int]] = []
    for row, fault in FAULTS.items():
        for state in STATES:
            tried = [r for r in records if (r["row"], r["state"]) == (row, state)]
            if tried:
                seconds = [r["seconds"] for r in tried]
                rows.append(
                    {
                        "fault": (fault.__doc__ or "").rstrip("."),
                        "state": state,
                        "trials": len(tried),
                        "ended well": sum(r["well"] for r in tried),
                        "s, median": statistics.median(seconds),
                        "s, longest": max(seconds),
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--rows", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--state", nargs="+", choices=STATES, default=list(STATES))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "soak")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "faults.jsonl"
    at_commit = commit()  # what is loaded now, whatever is edited meanwhile
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    records = [record for record in known if record["commit"] == at_commit]
    done = {(record["row"], record["state"], record["trial"]) for record in records}
    with path.open("a") as file:
        for trial in range(options.trials):
            for row in options.rows:
                for state in options.state:
                    if state in NOT_WITH.get(row, ()) or (row, state, trial) in done:
                        continue
                    records.append(attempt(row, state, trial, at_commit))
                    file.write(json.dumps(records[-1]) + "\n")
                    file.flush()
                    if records[-1]["said"]:
                        print(f"{row}, {state}, trial {trial}: {records[-1]['said']}")
    print(f"{machine()}, commit {at_commit}, {datetime.now(UTC).date()}\n")
    print(table(summary(records)))
    sys.exit(0 if all(record["well"] for record in records) else 1)


if __name__ == "__main__":
    main()
