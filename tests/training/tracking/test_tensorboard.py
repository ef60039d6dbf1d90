"""Files for TensorBoard: read back by a decoder that follows the format's definition."""

import struct
from collections.abc import Iterator
from pathlib import Path

from mfnet.training.tracking.tensorboard import EventFile

CHECK_VALUE = 0xE3069283
"""CRC-32C of the digits 1 to 9, from the definition of the algorithm (RFC 3720, B.4)."""


def crc32c(content: bytes) -> int:
    """By polynomial division, bit by bit, each byte's lowest bit first."""
    bits = [byte >> place & 1 for byte in content for place in range(8)] + [0] * 32
    for place in range(32):
        bits[place] ^= 1
    divisor = [int(bit) for bit in f"{0x11EDC6F41:033b}"]
    for place in range(len(bits) - 32):
        if bits[place]:
            for offset, bit in enumerate(divisor):
                bits[place + offset] ^= bit
    return sum((bit ^ 1) << place for place, bit in enumerate(bits[-32:]))


def unmasked(checksum: int) -> int:
    rotated = checksum - 0xA282EAD8 & 0xFFFFFFFF
    return rotated << 15 & 0xFFFFFFFF | rotated >> 17


def records(content: bytes) -> Iterator[bytes]:
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        sums = struct.unpack("<I", content[8:12]) + struct.unpack(
            "<I", content[12 + length : 16 + length]
        )
        record = content[12 : 12 + length]
        assert [unmasked(s) for s in sums] == [crc32c(content[:8]), crc32c(record)]
        yield record
        content = content[16 + length :]


def fields(message: bytes) -> dict[int, list[bytes | int]]:
    """The fields of a protocol buffer by their numbers."""
    found: dict[int, list[bytes | int]] = {}
    while message:
        key, message = varint(message)
        match key & 7:
            case 0:
                value: bytes | int
                value, message = varint(message)
            case 1:
                value, message = message[:8], message[8:]
            case 5:
                value, message = message[:4], message[4:]
            case _:
                length, message = varint(message)
                value, message = message[:length], message[length:]
        found.setdefault(key >> 3, []).append(value)
    return found


def varint(message: bytes) -> tuple[int, bytes]:
    value = 0
    for place, byte in enumerate(message):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, message[place + 1 :]
    raise AssertionError("cut")


def test_the_checksum_of_these_tests_is_crc32c() -> None:
    assert crc32c(b"123456789") == CHECK_VALUE


def test_points_come_back_with_their_step_and_name(tmp_path: Path) -> None:
    with EventFile(tmp_path) as events:
        events.add(7, {"training/loss": 0.5})
        events.add(300_000, {"validation/miou": 0.25, "validation/iou/car": -1.5})
    (path,) = tmp_path.glob("events.out.tfevents.*")
    first, *points = [fields(record) for record in records(path.read_bytes())]
    assert first[3] == [b"brain.Event:2"]
    read = []
    for event in points:
        (summary,), (step,) = event[5], event[2]
        assert isinstance(summary, bytes)
        for value in fields(summary)[1]:
            assert isinstance(value, bytes)
            (name,), (number,) = fields(value)[1], fields(value)[2]
            assert isinstance(name, bytes)
            assert isinstance(number, bytes)
            read.append((step, name.decode(), struct.unpack("<f", number)[0]))
    assert read == [
        (7, "training/loss", 0.5),
        (300_000, "validation/miou", 0.25),
        (300_000, "validation/iou/car", -1.5),
    ]
