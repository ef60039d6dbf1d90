"""ONNX files: their metadata read without a library, and whether a file is whole and harmless.

Layout: onnx/onnx.proto of the ONNX project. A ModelProto is a protobuf message; metadata_props is
its field 14, of entries with a key (1) and a value (2). Fields may follow in any order, so the last
entry of our files is the sha256 of all bytes before it.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mfnet.model.errors import BadCheckpoint

CONFIG_KEY = "mfnet"
SOURCE_KEY = "mfnet_source_sha256"
WHOLE_KEY = "mfnet_sha256"
"""Keys of the metadata: the ModelConfig as JSON; the sha256 of the file that it was made from; that
of all bytes before this entry."""

MAX_BYTES = 2 << 30
"""protobuf's own limit of a message."""

_METADATA_PROPS = 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_ENTRY_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 20


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file; skips over the weights.

    Raises:
        BadCheckpoint: The file is no ONNX file.
    """
    try:
        with path.open("rb") as file:
            entries = [_entry(file, stop) for stop in _fields(file, path, _METADATA_PROPS)]
    except (OSError, ValueError, IndexError) as error:
        raise BadCheckpoint(f"{path.name} is no readable ONNX file", path=path.name) from error
    return dict(entries)


def sealed(content: bytes) -> bytes:
    """A serialized model, with the entry that says whether it is whole behind it."""
    return content + _seal(hashlib.sha256(content).hexdigest())


def check_whole(path: Path) -> None:
    """Refuses a file that is not as it was written.

    Raises:
        BadCheckpoint: It was altered, cut, or never sealed.
    """
    digest, left = hashlib.sha256(), path.stat().st_size - len(sealed(b""))
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
            digest.update(block)
            left -= len(block)
        seal = file.read()
    if seal != _seal(digest.hexdigest()):
        raise BadCheckpoint(
            f"{path.name} is not as it was exported: export the model again", path=path.name
        )


def check_harmless(path: Path) -> None:
    """Refuses a file that would load other files, or ask for operators of others' making.

    Raises:
        BadCheckpoint: It does, or it is damaged or larger than 2 GiB.
    """
    import onnx

    if path.stat().st_size >= MAX_BYTES:
        raise BadCheckpoint(f"{path.name} is larger than 2 GiB", path=path.name)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own classes, which have no common ancestor
        raise BadCheckpoint(f"{path.name} is no readable ONNX file", path=path.name) from error
    graphs = [model.graph, *(function for function in model.functions)]
    for graph in graphs:
        for node in graph.node:
            if node.domain not in ("", "ai.onnx", "pkg.onnxscript.torch_lib"):
                raise BadCheckpoint(
                    f"{path.name} asks for the operator {node.op_type!r} of {node.domain!r}; "
                    "expected ONNX's own operators",
                    path=path.name,
                )
        tensors = [*getattr(graph, "initializer", ())]
        tensors += [a.t for node in graph.node for a in node.attribute if a.HasField("t")]
        if any(t.data_location == onnx.TensorProto.EXTERNAL or t.external_data for t in tensors):
            raise BadCheckpoint(
                f"{path.name} keeps weights in other files; expected one file that holds all",
                path=path.name,
            )


def _fields(file: BinaryIO, path: Path, wanted: int) -> Iterator[int]:
    """Stops at the payload of each top-level field of a number; yields where it ends."""
    size = path.stat().st_size
    while file.tell() < size:
        tag = _varint(file)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _varint(file)
        elif kind == _BYTES:
            length = _varint(file)
            stop = file.tell() + length
            if stop > size or number == 0:
                raise ValueError("a field reaches beyond the file")
            if number == wanted:
                if length > _MAX_ENTRY_BYTES:
                    raise ValueError("an entry of the metadata is too long")
                yield stop
            file.seek(stop)
        elif kind in (_FIXED64, _FIXED32):
            file.seek(8 if kind == _FIXED64 else 4, 1)
        else:
            raise ValueError(f"no such wire type: {kind}")


def _seal(digest: str) -> bytes:
    entry = _bytes_field(1, WHOLE_KEY.encode()) + _bytes_field(2, digest.encode())
    return _bytes_field(_METADATA_PROPS, entry)


def _bytes_field(number: int, content: bytes) -> bytes:
    """A field of bytes shorter than 128, with a number below 16."""
    return bytes([number << 3 | _BYTES, len(content)]) + content


def _entry(file: BinaryIO, stop: int) -> tuple[str, str]:
    found = {1: "", 2: ""}
    while file.tell() < stop:
        number = _varint(file) >> 3
        length = _varint(file)
        if length > _MAX_ENTRY_BYTES:
            raise ValueError("an entry of the metadata is too long")
        found[number] = file.read(length).decode()
    return found[1], found[2]


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise ValueError("a number is too long")
