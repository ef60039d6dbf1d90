"""Results of an earlier job that was the same in all that results depend on.

They are linked, not named: either job may be removed, and the other keeps its files.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job, Upload
from mfnet.service.files import sidecar_files
from mfnet.service.operations.context import Services

_OF_THE_ANSWER = ("response", "subscriber")
"""What is kept with a job's inputs and changes none of its files."""


class Reused(NamedTuple):
    """Results that are there already.

    Attributes:
        earlier: The job that made them.
        job_id: Of the job that they were linked for.
    """

    earlier: Job
    job_id: str


def result_key(services: Services, kept: Mapping[str, Any], uploads: Mapping[str, Upload]) -> str:
    """A name for everything that a job's results depend on.

    Args:
        services: Of the API.
        kept: The inputs of the job's row, the model among them.
        uploads: By role: what they hold counts, with what stands beside them, and their names,
            which stand in the results.
    """
    held = {
        role: [
            sidecar_files.with_sidecars(services.storage.sidecars_here(upload.id), upload.sha256),
            upload.name,
        ]
        for role, upload in uploads.items()
    }
    asked = {name: value for name, value in kept.items() if name not in _OF_THE_ANSWER}
    if asked.get("outputs") is not None:
        asked["outputs"] = sorted(asked["outputs"])
    told = [version("mfnet"), asked | held]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def take_over(services: Services, owner: str, key: str) -> Reused | None:
    """Links the results of the owner's newest job of this key for a new one; None without any."""
    with services.database.reading() as session:
        earlier = JobRepository(session).made(owner, key)
    if earlier is None or earlier.result_epoch is None:
        return None
    job_id = uuid.uuid4().hex
    if not services.storage.link_results(earlier.id, earlier.result_epoch, job_id):
        return None
    return Reused(earlier, job_id)
