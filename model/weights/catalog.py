"""Models by name: where they lie and what they are, read without torch."""

import json
import re
from pathlib import Path

from pydantic import ValidationError

from mfnet.model.config import ModelConfig
from mfnet.model.errors import BadCheckpoint, UnknownModel
from mfnet.model.weights import onnx_file
from mfnet.model.weights.file_hash import sha256_of

PACKAGED = Path(__file__).parent
"""Models that come with the project."""

FORMAT_KEY, FORMAT = "format", "1"
CONFIG_KEY = "mfnet"
"""Keys of a .safetensors file's metadata: the layout's version, and the ModelConfig as JSON."""

NAME = r"[\w.-]+"
"""What a model may be called: a file's name without its suffix, and never a path."""

SUFFIXES = (".onnx", ".safetensors")
"""Of models' files. Where a model has both, the second is the model and the first its export."""

_MAX_HEADER_BYTES = 16 << 20


def installed(models_dir: Path | None = None) -> list[Path]:
    """Model files by name: those of `models_dir` (if given) before the packaged ones."""
    by_name: dict[str, Path] = {}
    for folder in (PACKAGED, models_dir):
        if folder is not None:
            for suffix in SUFFIXES:
                by_name |= {path.stem: path for path in folder.glob(f"*{suffix}")}
    return [by_name[name] for name in sorted(by_name)]


def find(name_or_path: str | Path, models_dir: Path | None = None) -> Path:
    """The file of a model.

    Args:
        name_or_path: A name without folder or suffix, or the path of a .safetensors file.
        models_dir: Folder of further models.

    Raises:
        UnknownModel: There is none; the message lists those that there are.
    """
    text = str(name_or_path)
    known = {path.stem: path for path in installed(models_dir)}
    if re.fullmatch(NAME, text) and text in known:
        return known[text]
    path = Path(text)
    if path.suffix in SUFFIXES and path.is_file():
        return path
    raise UnknownModel(
        f"no model {text!r}; there are: {', '.join(known) or 'none'}; "
        "or give the path of a .safetensors or .onnx file",
        model=text,
        known=list(known),
    )


def exported(path: Path) -> Path | None:
    """The ONNX file of a model: itself, or one beside it that was made of it; None without."""
    if path.suffix == ".onnx":
        return path
    beside = path.with_suffix(".onnx")
    if not beside.is_file():
        return None
    made_of = onnx_file.read_metadata(beside).get(onnx_file.SOURCE_KEY)
    return beside if made_of == sha256_of(path) else None


def read_config(path: Path) -> ModelConfig:
    """The configuration in a model's file.

    Raises:
        BadCheckpoint: No .safetensors or .onnx file, not of this project, or of a later format.
    """
    if path.suffix == ".onnx":
        metadata = {FORMAT_KEY: FORMAT, **onnx_file.read_metadata(path)}
    else:
        metadata = read_metadata(path)
    if metadata.get(FORMAT_KEY) != FORMAT or CONFIG_KEY not in metadata:
        raise BadCheckpoint(
            f"{path.name} has checkpoint format {metadata.get(FORMAT_KEY)!r}; this program reads "
            f"{FORMAT!r}: a newer mfnet may be needed, or it is no mfnet model",
            path=path.name,
        )
    try:
        return ModelConfig.model_validate_json(metadata[CONFIG_KEY])
    except ValidationError as error:
        raise BadCheckpoint(
            f"{path.name} holds a bad configuration: {error}", path=path.name
        ) from error


def read_metadata(path: Path) -> dict[str, str]:
    """The header's `__metadata__` (safetensors: length as uint64, then JSON).

    Raises:
        BadCheckpoint: The file is no .safetensors file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _MAX_HEADER_BYTES:
                raise BadCheckpoint(f"{path.name} is no .safetensors file", path=path.name)
            header = json.loads(file.read(length))
        return dict(header.get("__metadata__", {}))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadCheckpoint(
            f"{path.name} is no readable .safetensors file", path=path.name
        ) from error
