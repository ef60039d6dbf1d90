"""`mfnet keys`, and what the command line does with settings."""

import sqlite3
from contextlib import nullcontext
from pathlib import Path

import pytest
from databases import copy_migrated
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from mfnet.service.cli.main import app
from mfnet.service.db.repositories.audit import COMMAND_LINE, AuditLog
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.session import Database
from mfnet.service.settings import Settings, environment_without_secrets


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "MFNET_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def keys(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments, "--data-dir", str(folder)])


def test_a_key_is_printed_alone_and_works_until_revoked(tmp_path: Path) -> None:
    secret = keys(tmp_path, "create", "--role", "admin", "--name", "Ada").stdout.strip()
    database = Database(Settings(data_dir=tmp_path).database)
    with database.reading() as session:
        found = KeyRepository(session).find(secret)
    assert found is not None
    key = found.key
    assert (key.role, key.name) == ("admin", "Ada")
    listed = keys(tmp_path, "list").stdout
    assert key.id in listed
    assert "active" in listed
    assert secret not in listed
    assert keys(tmp_path, "revoke", key.id).exit_code == 0
    assert "revoked" in keys(tmp_path, "list").stdout
    with database.reading() as session:
        assert KeyRepository(session).find(secret) is None
    database.close()


def test_a_reader_ends_by_itself_and_what_was_done_is_kept(tmp_path: Path) -> None:
    keys(tmp_path, "create", "--name", "Ada")
    database = Database(Settings(data_dir=tmp_path).database)
    with database.reading() as session:
        (ada,) = KeyRepository(session).all()
    made = keys(tmp_path, "create", "--role", "reader", "--of", ada.id, "--days", "1e-9")
    assert "expired  used never, ends 2" in keys(tmp_path, "list").stdout
    with database.reading() as session:
        assert KeyRepository(session).find(made.stdout.strip()) is None
        done = AuditLog(session).page(limit=9)
    assert [(each.who, each.action) for each in done] == 2 * [(COMMAND_LINE, "key created")]
    database.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--role", "root"], "expected reader, user or admin"),
        (["create", "--role", "reader"], "a reader is of another key"),
        (["create", "--role", "reader", "--of", "nobody"], "that may be shared so"),
        (["create", "--role", "admin", "--of", "nobody"], "that may be shared so"),
        (["revoke", "nobody"], "expected the id of an active key"),
    ],
)
def test_a_mistake_is_told_with_exit_status_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = keys(tmp_path, *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MFNET_LEASE_S", "long"),
        ("MFNET_PORT", "99999"),
        ("MFNET_HEARTBEAT_S", "20"),
        ("MFNET_ENGINE_COMMAND", "python"),
        ("MFNET_ENGINE_COMMAND", "[1]"),
    ],
)
@pytest.mark.parametrize("command", [["worker"], ["serve"], ["keys", "list"]])
def test_a_bad_setting_is_named_with_exit_status_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, [*command, "--data-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{name}: " in result.output


@pytest.mark.parametrize(("lease_s", "heartbeat_s", "fine"), [(10, 5, True), (9.9, 5, False)])
def test_a_lease_lasts_for_two_heartbeats(lease_s: float, heartbeat_s: float, fine: bool) -> None:
    with nullcontext() if fine else pytest.raises(ValueError, match="half of MFNET_LEASE_S"):
        Settings(lease_s=lease_s, heartbeat_s=heartbeat_s)


def test_every_setting_is_described_and_read_under_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    monkeypatch.setenv("MFNET_LEASE_S", "12")
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/d")
    monkeypatch.setenv("REDIS_URL", "redis://h/1")
    settings = Settings()
    assert (settings.lease_s, settings.broker) == (12, "redis://h/1")
    assert settings.database == "postgresql+psycopg://h/d"


@pytest.mark.parametrize("command", [["worker"], ["serve"], ["keys", "list"], ["admin", "gc"]])
def test_a_program_that_is_older_than_the_database_says_so(
    tmp_path: Path, command: list[str]
) -> None:
    copy_migrated(tmp_path / "mfnet.sqlite3")
    with sqlite3.connect(tmp_path / "mfnet.sqlite3") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    port = ["--port", "0"] if command == ["serve"] else []
    result = CliRunner().invoke(app, [*command, *port, "--data-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "tables of version 9999" in result.output
    assert "database.too_new" in result.output


def test_secrets_come_from_files_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mfnet_database_password").write_text("a/b@c \n")
    (tmp_path / "mfnet_redis_password").write_text("from a file")
    monkeypatch.setenv("MFNET_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://mfnet@h:5432/d")
    monkeypatch.setenv("REDIS_URL", "redis://h:6379/1")
    settings = Settings()
    assert settings.database == "postgresql+psycopg://mfnet:a%2Fb%40c@h:5432/d"
    assert settings.broker == "redis://:from%20a%20file@h:6379/1"
    assert "from a file" not in repr(settings)
    monkeypatch.setenv("REDIS_URL", "redis://:own@h:6379/1")
    monkeypatch.setenv("MFNET_DATABASE_PASSWORD", "x")
    assert Settings().broker == "redis://:own@h:6379/1"
    assert Settings().database == "postgresql+psycopg://mfnet:x@h:5432/d"
    assert "MFNET_DATABASE_PASSWORD" not in environment_without_secrets()


def test_the_key_of_a_store_comes_from_files_and_reaches_no_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MFNET_SECRETS_DIR", str(tmp_path))
    (tmp_path / "mfnet_storage_key_id").write_text("id")
    with pytest.raises(ValidationError, match="expected both"):
        Settings()
    (tmp_path / "mfnet_storage_secret").write_text("hidden")
    settings = Settings(storage="s3://bucket/prefix")
    assert (settings.storage_key_id, settings.storage_secret) == ("id", "hidden")
    assert "hidden" not in repr(settings)
    with pytest.raises(ValidationError, match="should match pattern"):
        Settings(storage="/a/folder")
    for name in ("AWS_SECRET_ACCESS_KEY", "MFNET_STORAGE_SECRET"):
        monkeypatch.setenv(name, "hidden")
    assert "hidden" not in environment_without_secrets().values()
