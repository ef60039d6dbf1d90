"""What KEDA asks the database: how many workers have something to do."""

from deployment.kubernetes import overlay
from sqlalchemy import text

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.session import Database


def test_a_worker_is_asked_for_each_job_and_each_part(database: Database, owner: str) -> None:
    (scaled,) = (each for each in overlay("cpu") if each["kind"] == "ScaledObject")
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]

    def asked() -> int:
        with database.reading() as session:
            return int(session.scalar(text(query)) or 0)

    assert asked() == 0
    with database.writing() as session:
        jobs = JobRepository(session)
        first, large, _ = (jobs.submit(owner, "segment", {})[0] for _ in range(3))
        jobs.submit(owner, "retrain", {})
    assert asked() == 3
    with database.writing() as session:
        jobs, parts = JobRepository(session), PartRepository(session)
        done, led = jobs.claim(first.id, "w", 60, 3), jobs.claim(large.id, "w", 60, 3)
        assert done is not None
        assert led is not None
        assert jobs.publish(done)
        assert parts.cut(led, [range(512 * n, 512 * n + 512) for n in range(5)], "key")
        part = parts.claim(led.id, "w", 60, 3)
        assert part is not None
        assert parts.finish(part)
    assert asked() == 1 + 4
