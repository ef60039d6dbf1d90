"""Who is told of a job next: each state once, by one process at a time."""

from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.repositories.callbacks import CallbackRepository, DueCallback
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.domain.job import State

SUBSCRIBER = {"successUri": "https://gis.example/", "base": "https://maps.example/"}


def claim(database: Database, lease_s: float = 60) -> list[DueCallback]:
    with database.writing() as session:
        return list(CallbackRepository(session).claim(lease_s))


def test_each_state_is_told_once_and_a_lease_keeps_others_off(
    database: Database, owner: str
) -> None:
    with database.writing() as session:
        jobs = JobRepository(session)
        told = {"subscriber": SUBSCRIBER}
        for _ in range(2):
            jobs.submit(owner, "segment", told, webhook_secret="whsec_first")
        quiet, _ = jobs.submit(owner, "segment", {}, webhook_secret="whsec_second")
        assert jobs.claim(quiet.id, "me", 60, 3) is not None
    assert claim(database) == []
    with database.writing() as session:
        for job in JobRepository(session).page(limit=9, states=[State.ACCEPTED]):
            JobRepository(session).claim(job.id, "me", 60, 3)
    first = claim(database)
    assert len({due.job.id for due in first}) == 2
    assert {(due.job.state, due.attempts, due.secret) for due in first} == {
        (State.RUNNING, 0, "whsec_first")
    }
    assert claim(database) == []  # another process has them
    with database.writing() as session:
        CallbackRepository(session).settle(first[0])
        CallbackRepository(session).retry(first[1], "no answer", -1)
    again = claim(database)
    assert [(due.job.id, due.attempts) for due in again] == [(first[1].job.id, 1)]
    with database.writing() as session:
        CallbackRepository(session).retry(again[0], "no answer", None)
    assert claim(database) == []
    with database.writing() as session:
        assert JobRepository(session).publish(first[0].job)
    (last,) = claim(database)
    assert (last.job.state, last.attempts) == (State.SUCCESSFUL, 0)
    with database.writing() as session:
        CallbackRepository(session).settle(last)
        assert JobRepository(session).remove(last.job.id)
    with database.reading() as session:
        assert CallbackRepository(session).get(last.job.id) is None
        assert not CallbackRepository(session).is_any_due()


def test_the_audit_log_comes_in_pages_and_uploads_are_counted(
    database: Database, owner: str
) -> None:
    with database.writing() as session:
        for n in range(3):
            AuditLog(session).note("Ada (k)", "key created", str(n), role="user")
        uploads = UploadRepository(session)
        assert uploads.bytes_of(owner, alone=True) == 0
        uploads.add("u1", owner, "a", size=3 * 10**9, sha256="ab", report={})
        uploads.add("u2", owner, "b", size=3 * 10**9, sha256="cd", report={})
        assert uploads.bytes_of(owner) == 6 * 10**9
        assert uploads.known(["u1", "u3"]) == {"u1"}
        found = AuditLog(session).page(limit=2)
        rest = AuditLog(session).page(limit=2, before=found[-1].id)
    assert [each.subject for each in (*found, *rest)] == ["2", "1", "0"]
