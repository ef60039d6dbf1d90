"""What Prometheus and Grafana ask for is what the program tells."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.session import clock
from mfnet.service.db.tables import Job, Upload
from mfnet.service.domain.job import Failure
from mfnet.service.runtime import logging_setup

MONITORING = Path(__file__).parents[3] / "deploy/monitoring"
CRASH = Failure("engine.died", "signal 9", {})
BY_PROMETHEUS = {"job", "instance"}


def told(api) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    reply = api.admin.get("/metrics")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


@pytest.fixture
def figures(api):
    """Of a service with jobs that waited 100 s, then took 10 to 30 s; one failed, one waits."""
    done = [api.submit()["jobID"] for _ in range(3)]
    for job_id in done:
        api.finish(job_id, {"classes.tif": b"map"})
    failed, at_work, _waiting = (api.submit()["jobID"] for _ in range(3))
    with api.services.database.writing() as session:
        jobs = JobRepository(session)
        job = jobs.claim(failed, "w", 60, 1)
        assert job is not None
        jobs.fail(job, CRASH, 1)
        session.execute(update(Upload).values(report={"raster": {"height": 2000, "width": 1000}}))
        for number, job_id in enumerate(done, 1):
            times = {"created": clock() - 200, "started": clock() - 100}
            times["finished"] = clock() - 100 + 10 * number
            session.execute(update(Job).where(Job.id == job_id).values(**times))
        session.execute(update(Job).where(Job.state == "accepted").values(created=clock() - 50))
        session.execute(
            update(Job)
            .where(Job.id == done[0])
            .values(drift={"remarks": []}, inputs={"model": "m"})
        )
        assert jobs.claim(at_work, "w1", 60, 3) is not None
    return told(api)


def value(figures, name: str, **labels: str) -> float:
    return figures[name, frozenset(labels.items())]


def test_the_figures_are_those_of_the_jobs_and_all_that_is_asked_for(figures) -> None:
    assert value(figures, "mfnet_queue_jobs", process="segment") == 1
    assert 50 <= value(figures, "mfnet_queue_oldest_seconds", process="segment") < 60
    assert value(figures, "mfnet_queue_oldest_seconds", process="retrain") == 0
    assert value(figures, "mfnet_busy_workers") == 1
    assert value(figures, "mfnet_failed_jobs", process="segment", code="engine.died") == 1
    assert value(figures, "mfnet_jobs_last_hour", process="segment") == 4
    stages = {"process": "segment", "quantile": "0.95"}
    assert value(figures, "mfnet_job_seconds", stage="wait", **stages) == pytest.approx(100, abs=1)
    assert value(figures, "mfnet_job_seconds", stage="work", **stages) == pytest.approx(30, abs=1)
    # Of three maps of two megapixels each; one no longer says of what it was made.
    assert value(figures, "mfnet_megapixels_last_hour") == 4
    free = value(figures, "mfnet_data_folder_free_bytes")
    assert 0 < free <= value(figures, "mfnet_data_folder_bytes")
    assert value(figures, "mfnet_upload_bytes") == 6 * value(figures, "mfnet_uploads")
    check_what_is_asked_for(figures)


def expressions() -> Iterator[str]:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    alerts = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for group in alerts["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def check_what_is_asked_for(figures) -> None:
    labels: dict[str, set[str]] = {}
    for name, told_labels in figures:
        labels.setdefault(name, set()).update(label for label, _ in told_labels)
    asked = set()
    for expression in expressions():
        for name, matchers in re.findall(r"\b(mfnet_\w+)(?:\{(.*?)\})?", expression):
            asked.add(name)
            wanted = set(re.findall(r"(\w+)\s*[=!]~?", matchers))
            assert wanted <= labels[name] | BY_PROMETHEUS, expression
        for grouped in re.findall(r"by \((.*?)\)", expression):
            known = set().union(*(labels[n] for n in re.findall(r"mfnet_\w+", expression)))
            assert set(re.split(r",\s*", grouped)) <= known | BY_PROMETHEUS, expression
    assert asked == set(labels), "each figure is shown or watched"


def test_prometheus_accepts_the_rules_and_they_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here (Debian's package prometheus has it)")
    for kind in (
        ["check", "rules", "alerts.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],  # else it looks for the key's file
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run([promtool, *kind], cwd=MONITORING, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_log_says_of_which_request_a_line_is(api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    caplog.handler.addFilter(logging_setup._note)
    reply = api.user.get("/jobs")
    job_id = api.submit()["jobID"]
    (access,) = [r for r in caplog.records if r.name == "uvicorn.access" and "/jobs" in r.args]
    assert access.about == {"request": reply.headers["x-request-id"]}
    (accepted,) = [r for r in caplog.records if f"job {job_id}: accepted" in r.getMessage()]
    assert accepted.about["request"] not in ("", reply.headers["x-request-id"])
