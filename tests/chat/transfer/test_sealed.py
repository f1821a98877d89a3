"""The sealed stream of records: what was written comes back whole, or not at all."""

import io
import random

import pytest

from bellwire.base.secret import Secret
from bellwire.chat.errors import HistoryRefused, HistoryUnusable
from bellwire.chat.transfer import sealed
from bellwire.chat.transfer.sealed import (
    HEADER_BYTES,
    MAX_RECORD_BYTES,
    PIECE_BYTES,
    SealedWriter,
    read_sealed,
)
from bellwire.crypto.aead import TAG_BYTES, open_sealed
from bellwire.crypto.kdf import hkdf

CODE = Secret(bytes(range(16)))


def written(records: list[bytes], code: Secret = CODE) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, code)
    for each in records:
        writer.add(each)
    writer.finish()
    return file.getvalue()


def read(data: bytes, code: Secret = CODE) -> list[bytes]:
    return list(read_sealed(io.BytesIO(data), code))


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [0],
        [1, 2, 3],
        [PIECE_BYTES - 4],
        [PIECE_BYTES - 3],
        [PIECE_BYTES - 5, 0, 0],
        [MAX_RECORD_BYTES, 7],
        [40_000] * 5,
    ],
)
def test_records_come_back_as_they_were_whatever_their_sizes(sizes: list[int]) -> None:
    drawn = random.Random(1)
    records = [drawn.randbytes(each) for each in sizes]
    assert read(written(records)) == records


def test_the_bytes_are_those_of_the_specification() -> None:
    data = written([b"first", b"second"])
    assert data[:5] == b"bwhs\x01"
    okm = hkdf(CODE.reveal(), salt=data[5:21], info=b"bellwire chat history 1", length=48)
    assert data[21:37] == okm[:16]
    piece = open_sealed(okm[16:], bytes(11) + b"\x01", data[37:], data[:37])
    assert piece == b"\0\0\0\x05first\0\0\0\x06second"


def test_no_byte_can_be_other_and_no_end_can_be_missing() -> None:
    drawn = random.Random(2)
    data = written([drawn.randbytes(30_000) for _ in range(7)])
    ends = [HEADER_BYTES + n * (PIECE_BYTES + TAG_BYTES) for n in range(4)]
    places = [*range(HEADER_BYTES), *ends[:3], ends[1] - 1, len(data) - 1]
    for at in places:
        spoilt = bytearray(data)
        spoilt[at] ^= 1
        with pytest.raises(HistoryRefused):
            read(bytes(spoilt))
    for length in {0, 4, HEADER_BYTES - 1, HEADER_BYTES, *ends, len(data) - 1}:
        with pytest.raises(HistoryRefused):
            read(data[:length])
    for more in (data + b"\0", data[: ends[1]] + data[ends[2] :], data + data[ends[2] :]):
        with pytest.raises(HistoryRefused):
            read(more)
    swapped = data[: ends[0]] + data[ends[1] : ends[2]] + data[ends[0] : ends[1]] + data[ends[2] :]
    with pytest.raises(HistoryRefused):
        read(swapped)


def test_another_code_another_file_and_another_version_are_told_apart() -> None:
    data = written([b"words"])
    with pytest.raises(HistoryRefused, match="the code of this file"):
        read(data, Secret(bytes(16)))
    with pytest.raises(HistoryRefused, match="version 1, got version 2"):
        read(data[:4] + b"\x02" + data[5:])
    with pytest.raises(HistoryRefused, match="expected a file of"):
        read(b"PK\x03\x04" + bytes(5000))
    with pytest.raises(HistoryRefused, match="cut or changed"):
        read(data[:-1])


def test_what_is_too_large_is_neither_written_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    with pytest.raises(HistoryUnusable, match="records of at most"):
        SealedWriter(file, CODE).add(bytes(MAX_RECORD_BYTES + 1))
    whole = written([bytes(100_000)] * 3)
    monkeypatch.setattr(sealed, "MAX_FILE_BYTES", 200_000)
    with pytest.raises(HistoryUnusable, match="at most"):
        written([bytes(100_000)] * 3)
    with pytest.raises(HistoryRefused, match="larger"):
        read(whole)
    monkeypatch.setattr(sealed, "MAX_RECORD_BYTES", 10)
    with pytest.raises(HistoryRefused, match="records of at most 10"):
        read(written([b"short"])[:0] or whole)
