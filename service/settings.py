"""The service's settings: the one place of `service/` that reads the environment.

Every setting is read from `MFNET_<NAME>`; the two addresses that hosting platforms hand out are
also read under their usual names, `DATABASE_URL` and `REDIS_URL`. What the environment does not say
is looked for in files of the same names below `/run/secrets`, where containers get their secrets.
The defaults need no server: one data folder holds the database, the broker's file, uploads and
results.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote, urlsplit

import typer
from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

_SECRETS = {
    *("DATABASE_URL", "REDIS_URL", "MFNET_DATABASE_URL", "MFNET_REDIS_URL"),
    *("MFNET_DATABASE_PASSWORD", "MFNET_REDIS_PASSWORD"),
    *("MFNET_STORAGE_KEY_ID", "MFNET_STORAGE_SECRET"),
    *("POSTGRES_PASSWORD", "REDIS_PASSWORD"),  # an .env that was made for an earlier release
}
_SECRETS_DIR = "MFNET_SECRETS_DIR"


class Settings(BaseSettings):
    """What an operator may choose; the site's page of settings is made of the descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="MFNET_", frozen=True, populate_by_name=True, env_ignore_empty=True
    )

    data_dir: Path = Field(
        default=Path("data"), description="folder of uploads, results and the default database"
    )
    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("MFNET_DATABASE_URL", "DATABASE_URL"),
        description="`postgresql://…` for several machines; without it, SQLite in the data folder",
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("MFNET_REDIS_URL", "REDIS_URL"),
        description="`redis://…` of the broker; without it, a file in the data folder",
    )
    database_password: str | None = Field(
        default=None,
        repr=False,
        description="goes into an address of the database that has no password; best as the file "
        "`/run/secrets/mfnet_database_password`",
    )
    redis_password: str | None = Field(
        default=None,
        repr=False,
        description="the same for the broker, `/run/secrets/mfnet_redis_password`",
    )
    storage: str | None = Field(
        default=None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9._-]+)*$",
        description="`s3://BUCKET/PREFIX` of a store that speaks S3, where uploads, results and "
        "models are kept: then each process may have a data folder of its own; without it, they "
        "stay in the data folder, which all share",
    )
    storage_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#]+/?$",
        description="address of the store, such as `https://minio.example:9000`; without it, "
        "Amazon's",
    )
    storage_region: str = Field(default="us-east-1", description="the bucket's region")
    storage_key_id: str | None = Field(
        default=None,
        repr=False,
        description="the store's access key; best as the file `/run/secrets/mfnet_storage_key_id`; "
        "without it, what the machine itself may do counts (Amazon's `AWS_…` variables and roles)",
    )
    storage_secret: str | None = Field(
        default=None,
        repr=False,
        description="the secret of that key, `/run/secrets/mfnet_storage_secret`",
    )
    storage_links: bool = Field(
        default=False,
        description="whether downloads are sent on to the store, by links that hold for an hour: "
        "for a store that clients reach; else the API hands its answers on",
    )
    host: str = Field(default="127.0.0.1", description="address that the API listens on")
    port: int = Field(default=8000, ge=0, le=65535, description="port that the API listens on")
    keys: bool = Field(
        default=True,
        description="whether a request needs a key; `false`: whoever is at this machine is the "
        "admin, and the API listens on a loopback address alone; the same as `mfnet serve "
        "--no-keys`",
    )
    oidc_issuer: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="address of an OpenID Connect issuer whose tokens sign in people who have no "
        "key, as its own description tells it",
    )
    oidc_client: str = Field(
        default="mfnet",
        description="id under which the issuer knows this service: tokens are for it, and the page "
        "signs in with it",
    )
    oidc_admins: str = Field(
        default="",
        description="group or role, in the token's `groups` or `roles`, whose members are admins; "
        "nobody by default",
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="prefix of all addresses behind a proxy that adds one, such as `/mfnet`; "
        "whether or not the proxy takes it off",
    )
    cors_origins: str = Field(
        default="",
        description="origins whose pages may use the API from a browser, such as "
        "`https://gis.example`, with blanks between them; `*` for all",
    )
    models_dir: Path = Field(
        default=Path(typer.get_app_dir("mfnet")) / "models",
        description="folder of further models, `NAME.safetensors`, and of SAM's weights; the same "
        "as that of `mfnet models import`",
    )
    training_root: Path | None = Field(
        default=None,
        description="folder whose subfolders of labelled tiles a retraining may read: the API "
        "looks for the manifest, the worker reads the tiles",
    )
    upload_limit_bytes: int = Field(
        default=20 * 10**9, gt=0, description="largest upload; more is refused while it arrives"
    )
    incoming_hours: float = Field(
        default=24,
        gt=0,
        description="an upload in pieces that nobody goes on with for so long is removed",
    )
    import_folders: str = Field(
        default="",
        description="folders of the server whose files may become uploads without being sent "
        "(`POST /imports`), with `:` between them; every user's key may have all files in them; "
        "none without",
    )
    quota_bytes: int = Field(
        default=0, ge=0, description="bytes of uploads that a user's key may store; 0 for any"
    )
    quota_jobs: int = Field(
        default=0, ge=0, description="jobs of a user's key that may wait at once; 0 for any number"
    )
    quota_requests: int = Field(
        default=0,
        ge=0,
        description="requests a minute of a user's key that each process of the API serves; 0 for "
        "any number",
    )
    callbacks_private: bool = Field(
        default=False,
        description="whether subscribers of jobs may be at addresses of private networks, or of "
        "this machine, which the service alone may reach",
    )
    keep_days: float = Field(
        default=0,
        ge=0,
        description="a job is removed with its results so many days after its end, which its "
        "status tells before; 0 for never",
    )
    inspect_seconds: int = Field(
        default=60, gt=0, description="time that the inspection of one upload may take"
    )
    inspect_memory_mb: int = Field(
        default=1024, gt=0, description="memory that the inspection of one upload may take"
    )
    work: Literal["segment", "retrain"] = Field(
        default="segment",
        description="what a worker does: maps, or retrainings, which take hours; the same as "
        "`mfnet worker --work`",
    )
    lease_s: float = Field(
        default=30, gt=0, description="a running job without a heartbeat for so long is taken over"
    )
    heartbeat_s: float = Field(
        default=5,
        gt=0,
        description="how often a worker renews its lease and looks for a cancel; at most half of "
        "the lease",
    )
    attempts: int = Field(
        default=3, ge=1, description="how often a job that is not the caller's fault is tried"
    )
    worker_memory_mb: int = Field(
        default=0,
        ge=0,
        description="memory of a worker: a map that needs more is refused when it is submitted; 0: "
        "that of this machine, where the worker is on it: without `REDIS_URL`",
    )
    part_pixels: int = Field(
        default=20_000_000,
        ge=0,
        description="a raster with more pixels is cut into parts of about so many, for all workers "
        "to share; 0 for never",
    )
    reconcile_s: float = Field(
        default=3, gt=0, description="how often a worker sends messages again for jobs that wait"
    )
    stall_s: float = Field(
        default=900, gt=0, description="an engine that reports nothing for so long is ended"
    )
    grace_s: float = Field(
        default=20,
        gt=0,
        description="a worker that was asked to leave is gone after so long, and an API's "
        "connections are",
    )
    engine_command: tuple[str, ...] = Field(
        default=(sys.executable, "-P", "-m", "mfnet.service.engine.runner"),
        description="the engine process that a worker supervises, as a JSON list; for tests",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="the least severe log lines that are written"
    )
    traces_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        validation_alias=AliasChoices("MFNET_TRACES_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="address of a collector of OpenTelemetry (OTLP over HTTP), such as "
        "`http://127.0.0.1:4318`, that gets traces of requests and jobs; none are made without",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="`json` for a line of JSON each, with the ids of request and job",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then files of secrets where there are any."""
        folder = Path(os.environ.get(_SECRETS_DIR) or "/run/secrets")
        files = [SecretsSettingsSource(settings_cls, folder)] if folder.is_dir() else []
        return init_settings, env_settings, *files

    @model_validator(mode="after")
    def _lease_outlives_a_heartbeat(self) -> Self:
        if self.heartbeat_s * 2 > self.lease_s:
            raise ValueError(
                f"MFNET_HEARTBEAT_S: got {self.heartbeat_s:g}, expected at most half of "
                f"MFNET_LEASE_S ({self.lease_s:g}): a late heartbeat must not cost the lease"
            )
        return self

    @model_validator(mode="after")
    def _traces_can_be_sent(self) -> Self:
        if self.traces_url is not None and find_spec("opentelemetry.exporter") is None:
            raise ValueError(
                f"MFNET_TRACES_URL: got {self.traces_url!r}, and what sends traces is not "
                "installed: pip install 'mfnet[traces]'"
            )
        return self

    @model_validator(mode="after")
    def _key_of_the_store_is_whole(self) -> Self:
        if (self.storage_key_id is None) != (self.storage_secret is None):
            raise ValueError(
                "MFNET_STORAGE_KEY_ID, MFNET_STORAGE_SECRET: got one of them, expected both, or "
                "neither where the machine itself may use the store"
            )
        return self

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database, with the driver that this project depends on."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir.resolve() / 'mfnet.sqlite3'}"
        url = _with_password(self.database_url, self.database_password)
        scheme, _, rest = url.partition("://")
        if scheme in ("postgres", "postgresql"):
            return f"postgresql+psycopg://{rest}"
        return url

    @property
    def origins(self) -> list[str]:
        """The origins of `cors_origins`."""
        return self.cors_origins.replace(",", " ").split()

    @property
    def import_roots(self) -> list[Path]:
        """The folders of `import_folders`."""
        return [Path(each) for each in self.import_folders.split(os.pathsep) if each]

    @property
    def broker(self) -> str:
        """The kombu URL of the broker."""
        if self.redis_url is None:
            return f"sqla+sqlite:///{self.broker_file.resolve()}"
        return _with_password(self.redis_url, self.redis_password)

    @property
    def broker_file(self) -> Path:
        """The embedded broker's file; meaningless where `redis_url` is set."""
        return self.data_dir / "broker.sqlite3"


def _with_password(url: str, password: str | None) -> str:
    """The address with a password, unless it names one itself."""
    parts = urlsplit(url)
    if password is None or parts.password is not None or not parts.hostname:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def faults(error: ValidationError | SettingsError) -> str:
    """What is wrong with which variables, for whoever set them."""
    if isinstance(error, SettingsError):  # raised for what is no JSON, where a list is wanted
        return f"MFNET_ENGINE_COMMAND: expected a JSON list of strings ({error})"
    return "; ".join(
        f"MFNET_{str(fault['loc'][0]).upper()}: got {fault['input']!r}: {fault['msg']}"
        if fault["loc"]
        else fault["msg"].removeprefix("Value error, ")  # names its variables itself
        for fault in error.errors()
    )


def environment_without_secrets() -> dict[str, str]:
    """This process's environment for a child that reads strangers' files."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in _SECRETS and not name.upper().startswith("AWS_")
    }
