"""Numbers by step in the files that TensorBoard reads.

A file is a row of records: the length, its checksum, an `Event` as a protocol buffer, its checksum.
We write four of its fields; TensorBoard's own writer would bring a dozen packages, protobuf among
them, of which others want other versions.

Source: tensorflow/core/lib/io/record_writer.cc; tensorflow/core/util/event.proto, summary.proto.
"""

import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

_POLYNOMIAL = 0x82F63B78  # of CRC-32C, bits reversed
_DELTA = 0xA282EAD8  # added to checksums, so that one of data that holds one is no coincidence

_DOUBLE, _VARINT, _BYTES, _FLOAT = 1, 0, 2, 5


class EventFile:
    """One process's file; TensorBoard joins those of a folder.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        now = time.time()
        name = f"events.out.tfevents.{now:.6f}.{socket.gethostname()}"
        self._file = (folder / name).open("xb")
        self._write(_field(1, _DOUBLE, struct.pack("<d", now)) + _text(3, b"brain.Event:2"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to the curve of each name; `a/b` is curve b of group a."""
        summary = b"".join(
            _text(1, _text(1, name.encode()) + _field(2, _FLOAT, struct.pack("<f", value)))
            for name, value in values.items()
        )
        event = _field(1, _DOUBLE, struct.pack("<d", time.time()))
        self._write(event + _field(2, _VARINT, _varint(step)) + _text(5, summary))

    def _write(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        self._file.write(length + _checksum(length) + event + _checksum(event))
        self._file.flush()


def _field(number: int, kind: int, content: bytes) -> bytes:
    return _varint(number << 3 | kind) + content


def _text(number: int, content: bytes) -> bytes:
    return _field(number, _BYTES, _varint(len(content)) + content)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    content = bytearray()
    while value > 0x7F:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*content, value])


def _checksum(content: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ _POLYNOMIAL * (crc & 1)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _DELTA) & 0xFFFFFFFF)
