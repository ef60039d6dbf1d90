"""What Prometheus is told. Counted in the database whenever it asks: that holds for any number of
API processes and workers, and over restarts."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from mfnet.service.api.process_descriptions import IDS
from mfnet.service.db.repositories.metric_counts import Totals
from mfnet.service.db.session import Database
from mfnet.service.domain.job import State


def exposition(database: Database) -> bytes:
    """All figures in Prometheus' text format."""
    with database.reading() as session:
        totals = Totals(session)
        jobs, drifted, tiles = totals.jobs(), totals.drifted(), totals.tiles()
    registry = CollectorRegistry()
    by_state = Gauge("mfnet_jobs", "Jobs that are known", ["process", "state"], registry=registry)
    for process in IDS:
        for state in State:
            by_state.labels(process, state).set(jobs.get((process, state), 0))
    by_model = Gauge(
        "mfnet_drifted_jobs",
        "Jobs whose input is unlike what their model has seen in training",
        ["model"],
        registry=registry,
    )
    for model, count in drifted.items():
        by_model.labels(model).set(count)
    Gauge("mfnet_labelled_tiles", "Corrections to learn from", registry=registry).set(tiles)
    return generate_latest(registry)
