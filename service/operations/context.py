"""What a request needs besides its caller: made once, handed to each endpoint."""

from dataclasses import dataclass, field

from mfnet.service.db.session import Database
from mfnet.service.files.storage import Storage, storage_of
from mfnet.service.operations.inspection.file_inspection import Inspector
from mfnet.service.operations.model_registry import Registry
from mfnet.service.operations.pictures.tile_drawer import TileDrawer
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.runtime.last_use import LastUse
from mfnet.service.runtime.openid import OpenIdIssuer
from mfnet.service.runtime.request_rates import RequestRates
from mfnet.service.settings import Settings

_INSPECTIONS_AT_ONCE = 2


@dataclass(frozen=True)
class Services:
    """The parts of the service that the API stands on.

    Attributes:
        issuer: Who signs people in beside keys, if anybody.
        signed_in: When the row of each whom it signs in was brought up to date, `time.monotonic`.
    """

    settings: Settings
    database: Database
    storage: Storage
    notifier: JobNotifier
    inspector: Inspector
    registry: Registry
    rates: RequestRates
    last_use: LastUse
    tiles: TileDrawer
    link_secret: bytes
    issuer: OpenIdIssuer | None = None
    signed_in: dict[str, float] = field(default_factory=dict)


def make_services(settings: Settings) -> Services:
    """All parts on `settings`; nothing is asked of a database or broker yet."""
    database, storage = Database(settings.database), storage_of(settings)
    inspector = Inspector(
        models_dir=settings.models_dir,
        max_memory_mb=settings.inspect_memory_mb,
        max_seconds=settings.inspect_seconds,
        at_once=_INSPECTIONS_AT_ONCE,
    )
    issuer = settings.oidc_issuer and OpenIdIssuer(settings.oidc_issuer, settings.oidc_client)
    return Services(
        settings=settings,
        database=database,
        storage=storage,
        notifier=JobNotifier(make_celery(settings)),
        inspector=inspector,
        registry=Registry(database, storage.models, inspector),
        rates=RequestRates(settings.quota_requests),
        last_use=LastUse(),
        tiles=TileDrawer(settings.inspect_memory_mb),
        link_secret=storage.link_secret(),
        issuer=issuer or None,
    )
