"""`/me`: who asks, and how much of what they may take is used."""

from fastapi import APIRouter

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.routes.admin.keys import key_info
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.operations.callbacks import new_secret
from mfnet.service.schemas.me import Me, Quota, Quotas, WebhookSecret

router = APIRouter(tags=["keys"])


@router.post("/me/webhook-secret", status_code=201)
def renew_webhook_secret(services: ServicesOf, caller: CallerOf) -> WebhookSecret:
    """Make the secret that callbacks of your jobs are signed with from now on."""
    secret = new_secret()
    with services.database.writing() as session:
        KeyRepository(session).get(caller.key_id).webhook_secret = secret
    return WebhookSecret(secret=secret)


@router.get("/me")
def get_me(services: ServicesOf, caller: CallerOf) -> Me:
    """Your key (of a reader: the key that it is of), and what of its quotas is used."""
    settings, owner = services.settings, caller.key_id
    with services.database.reading() as session:
        key = key_info(KeyRepository(session).get(owner))
        stored = UploadRepository(session).bytes_of(owner)
        waiting = JobRepository(session).waiting_of(owner)
    stored += services.storage.incoming.announced_bytes(owner)

    def quota(used: int, limit: int) -> Quota:
        return Quota(used=used, limit=limit if limit and caller.scope is not None else None)

    return Me(
        key=key,
        quotas=Quotas(
            bytes_stored=quota(stored, settings.quota_bytes),
            jobs_waiting=quota(waiting, settings.quota_jobs),
            requests_a_minute=quota(services.rates.used(owner), settings.quota_requests),
        ),
    )
