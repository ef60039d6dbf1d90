"""`/jobs/{id}/curves`: how a retraining goes."""

from fastapi import APIRouter

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.routes.job.jobs import found
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.operations import training_log
from mfnet.service.schemas.training import TrainingCurves

router = APIRouter(tags=["models"])


@router.get("/jobs/{job_id}/curves")
def job_curves(job_id: str, services: ServicesOf, caller: CallerOf) -> TrainingCurves:
    """Loss and mean IoU of a retraining, as far as it is; those of its end are in its report."""
    with services.database.reading() as session:
        job = found(JobRepository(session).get(job_id, caller.scope), job_id)
    return TrainingCurves.model_validate(training_log.curves(services, job))
