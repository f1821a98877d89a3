"""What whoever holds a wire can keep of it, and whether a secret is in that, in any plain form."""

import asyncio
import base64
import contextlib
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

WINDOW = 8
"""Bytes in a row of a secret that count as a find; by chance: 2^-64 at each place."""


class Tap:
    """A wire to a port of this machine, each direction of each connection kept whole."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.up: list[bytearray] = []
        self.down: list[bytearray] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            up, down = bytearray(), bytearray()
            self.up.append(up)
            self.down.append(down)
            await asyncio.gather(_pump(reader, back, up), _pump(there, writer, down))
        writer.close()

    def heard(self) -> bytes:
        """Everything, as it was and without the masks of WebSocket (RFC 6455, 5.3)."""
        each = [bytes(stream) for stream in (*self.up, *self.down)]
        return b"".join([*each, *(b"".join(unmasked(stream)) for stream in each)])


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            kept += data
            writer.write(data)
    with contextlib.suppress(OSError):
        writer.close()


def unmasked(stream: bytes) -> Iterator[bytes]:
    """What the frames of a WebSocket carry, behind the handshake."""
    at = stream.index(b"\r\n\r\n") + 4
    while at + 2 <= len(stream):
        masked, length = stream[at + 1] >> 7, stream[at + 1] & 127
        at += 2
        more = {126: 2, 127: 8}.get(length, 0)
        if more:
            length = int.from_bytes(stream[at : at + more], "big")
        at += more
        mask = stream[at : at + 4] if masked else bytes(4)
        at += 4 * masked
        data = np.frombuffer(stream[at : at + length], np.uint8)
        yield (data ^ np.resize(np.frombuffer(mask, np.uint8), len(data))).tobytes()
        at += length


def found(secrets: Iterable[bytes], crossed: bytes) -> str | None:
    """In which form `WINDOW` bytes in a row of a secret are in what crossed; None: in none.

    Forms: the bytes; their bits at any place in a byte, first bit high or low; a byte for each bit;
    hexadecimal digits; base64 of both alphabets.
    """
    texts = list(secrets)
    plain = [each[at : at + WINDOW] for each in texts for at in range(len(each) - WINDOW + 1)]
    assert plain
    forms: dict[str, Iterable[bytes]] = {
        "bits": (window for each in texts for window in _shifted(each)),
        "a byte for each bit": (
            np.unpackbits(np.frombuffer(each, np.uint8)).tobytes() for each in plain
        ),
        "hex": (each.hex().encode() for each in plain),
        "HEX": (each.hex().upper().encode() for each in plain),
        "base64": (base64.b64encode(each[:6]) for each in plain),
        "base64url": (base64.urlsafe_b64encode(each[:6]) for each in plain),
    }
    data = np.frombuffer(crossed, np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(data, WINDOW)
    there = np.sort(np.ascontiguousarray(windows).view(">u8").ravel())
    for form, needles in forms.items():
        wanted = {each[:WINDOW]: each for each in needles}
        values = np.array([int.from_bytes(each, "big") for each in wanted], np.uint64)
        places = np.searchsorted(there, values)
        hits = there[np.minimum(places, len(there) - 1)] == values
        if any(whole in crossed for whole, hit in zip(wanted.values(), hits, strict=True) if hit):
            return form
    return None


def _shifted(secret: bytes) -> Iterator[bytes]:
    """Windows of the secret's bits as they are packed from any bit on, in both orders of bits."""
    bits = np.unpackbits(np.frombuffer(secret, np.uint8))
    orders: tuple[Literal["big", "little"], ...] = ("big", "little")
    for order in orders:
        for skip in range(8):
            packed = np.packbits(bits[skip : skip + (len(bits) - skip) // 8 * 8], bitorder=order)
            data = packed.tobytes()
            yield from (data[at : at + WINDOW] for at in range(len(data) - WINDOW + 1))
