"""Models by name, and what their headers say, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.errors import BadCheckpoint, UnknownModel
from mfnet.model.weights.catalog import find, installed, read_config

CONFIG = ModelConfig(name="mine", encoder=ENCODERS["small"], gsd_m=0.25)


def checkpoint(path: Path, metadata: dict[str, str] | None = None) -> Path:
    if metadata is None:
        metadata = {"format": "1", "mfnet": CONFIG.model_dump_json()}
    header = json.dumps({"__metadata__": metadata}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


def test_a_name_finds_a_file_in_the_folder_and_a_path_any_file(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "mine.safetensors")
    assert path in installed(tmp_path)
    assert find("mine", tmp_path) == path
    assert find(path) == path
    assert read_config(path) == CONFIG


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    checkpoint(tmp_path / "mine.safetensors")
    with pytest.raises(UnknownModel, match="mine") as caught:
        find("theirs", tmp_path)
    assert "mine" in caught.value.params["known"]


@pytest.mark.parametrize("name", ["../mine", "..", ".", "", "/etc/passwd", "mine\0", "sub/mine"])
def test_names_do_not_leave_the_folder(tmp_path: Path, name: str) -> None:
    checkpoint(tmp_path / "mine.safetensors")
    (tmp_path / "models").mkdir()
    with pytest.raises(UnknownModel):
        find(name, tmp_path / "models")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 64,
        b"\x80\x04pickle" * 8,
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{}",
        (99).to_bytes(8, "little") + b"{}",
    ],
)
def test_what_is_no_checkpoint_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint) as refused:
        read_config(path)
    assert refused.value.params == {"path": "bad.safetensors"}
    assert str(tmp_path) not in refused.value.message  # the service's users read it


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"format": "2", "mfnet": CONFIG.model_dump_json()},
        {"format": "1", "mfnet": "{}"},
        {"format": "1", "mfnet": "not JSON"},
    ],
)
def test_later_formats_and_bad_configurations_are_refused(
    tmp_path: Path, metadata: dict[str, str]
) -> None:
    with pytest.raises(BadCheckpoint) as refused:
        read_config(checkpoint(tmp_path / "bad.safetensors", metadata))
    assert refused.value.params == {"path": "bad.safetensors"}
    assert str(tmp_path) not in refused.value.message


def test_reading_a_configuration_needs_no_torch(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "mine.safetensors")
    code = (
        "import sys; from pathlib import Path; from mfnet.model.weights.catalog import read_config;"
        f"print(read_config(Path({str(path)!r})).name, 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["mine", "False"]
