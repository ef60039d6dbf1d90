"""`mfnet keys`, and what the command line does with settings."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mfnet.service.cli.main import app
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.session import Database
from mfnet.service.settings import Settings


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
        key = KeyRepository(session).find(secret)
    assert key is not None
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--role", "root"], "expected user or admin"),
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
