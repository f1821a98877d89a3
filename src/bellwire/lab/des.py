"""Why not DES: its 56 bits are searched here, as many of them as there is time for.

A demonstration for the lab and nothing else: no setting, protocol or wire format of bellwire knows
DES. Data are encrypted under DES (CBC, as it was used) and under AES-256-GCM, which bellwire uses.
Then the DES key is sought as somebody would who knows the first block of the text: all but a few of
its bits are given to the search, which tries every value of the rest. What it measures says how
long all of them would take.

Source: FIPS 46-3 for DES; OpenSSL encrypts, the search is our own (`kernels.des`).
"""

import json
import math
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.padding import PKCS7

from bellwire.base.cores import available
from bellwire.crypto import aead
from bellwire.distill.errors import ParameterError
from bellwire.lab.kernels import des as kernel

KEY_BITS = 56
BLOCK_BYTES = 8
MAX_UNKNOWN = 32
MAX_DATA = 1 << 20
CHUNK_BITS = 18
"""Keys that a thread tries between two looks at whether it is to stop: some 50 ms."""

AES_TRIALS = 20_000
YEAR_S = 365.25 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """What a demonstration showed.

    Attributes:
        data_bytes: Of the text.
        unknown_bits: Bits of the key that were sought.
        tried: Keys that were tried until it was found.
        search_s: Time that it took.
        keys_per_s: Keys tried per second, on all cores used.
        cores: How many.
        recovered: Whether the found key gave the whole text back.
        aes_keys_per_s: AES-256 keys tried per second on one core, through OpenSSL.
        machines: How many such machines the last two times are for.
        des_s: Time for all 2⁵⁶ keys of DES on this machine.
        des_machines_s: The same on all machines.
        aes_years: Years for all 2²⁵⁶ keys of AES-256 on this machine, all its cores at work.
        aes_machines_years: The same on all machines.
        des_sealed, aes_sealed: First bytes of either ciphertext, hex.
    """

    data_bytes: int
    unknown_bits: int
    tried: int
    search_s: float
    keys_per_s: float
    cores: int
    recovered: bool
    aes_keys_per_s: float
    machines: int
    des_s: float
    des_machines_s: float
    aes_years: float
    aes_machines_years: float
    des_sealed: str
    aes_sealed: str

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """As one JSON document."""
        return json.dumps(self.to_dict())


def demonstrate(
    data: bytes,
    *,
    unknown: int = 24,
    machines: int = 10_000,
    progress: Callable[[int], None] | None = None,
) -> Broken:
    """Encrypt `data` both ways, find the DES key, and say how long all keys would take.

    Args:
        data: 8 bytes to 1 MiB; its first block is what the search knows.
        unknown: Bits of the key to be sought, 8 to 32.
        machines: Machines like this one to reckon for, 1 to 10⁹.
        progress: Called with the number of further keys that were tried.

    Raises:
        ParameterError: a value outside its range, by name.
    """
    for name, value, low, high in (
        ("data", len(data), BLOCK_BYTES, MAX_DATA),
        ("unknown", unknown, 8, MAX_UNKNOWN),
        ("machines", machines, 1, 10**9),
    ):
        if not low <= value <= high:
            what = "bytes" if name == "data" else ""
            raise ParameterError(
                f"{name}: expected {low} to {high} {what}".strip() + f", got {value}"
            )
    key, vector = secrets.randbits(KEY_BITS), secrets.token_bytes(BLOCK_BYTES)
    sealed = _encrypt(key, vector, data)
    nonce = bytes(aead.NONCE_BYTES)
    beside = aead.seal(secrets.token_bytes(aead.KEY_BYTES), nonce, data, b"lab")

    known = _xor(data[:BLOCK_BYTES], vector)
    began = time.perf_counter()
    found, tried = search(
        int.from_bytes(known, "big"),
        int.from_bytes(sealed[:BLOCK_BYTES], "big"),
        key >> unknown << unknown,
        unknown,
        progress,
    )
    taken = time.perf_counter() - began
    cores = available()
    rate, aes_rate = tried / taken, _aes_rate()
    years = math.ldexp(1.0, 256) / (aes_rate * cores) / YEAR_S
    return Broken(
        data_bytes=len(data),
        unknown_bits=unknown,
        tried=tried,
        search_s=taken,
        keys_per_s=rate,
        cores=cores,
        recovered=found is not None and _decrypt(found, vector, sealed) == data,
        aes_keys_per_s=aes_rate,
        machines=machines,
        des_s=2.0**KEY_BITS / rate,
        des_machines_s=2.0**KEY_BITS / rate / machines,
        aes_years=years,
        aes_machines_years=years / machines,
        des_sealed=sealed[:8].hex(),
        aes_sealed=beside[:8].hex(),
    )


def search(
    plain: int,
    sealed: int,
    given: int,
    unknown: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[int | None, int]:
    """Find the key under which a block becomes another, on all cores.

    Args:
        plain: The block, 64 bits.
        sealed: What it became.
        given: The 56 bits of the key, the lowest `unknown` of them 0.
        unknown: How many bits to try, from the lowest up.
        progress: Called with the number of further keys that were tried.

    Returns:
        The key's 56 bits, or None; and how many keys were tried.
    """
    # The first call compiles; that is no part of the search.
    _part(plain, sealed, given, unknown, (0, 1))
    size = 1 << min(unknown, CHUNK_BITS)
    parts = ((first, size) for first in range(0, 1 << unknown, size))
    crew, tried, found = available(), 0, None
    with ThreadPoolExecutor(crew) as pool:
        while found is None:
            batch = [part for _, part in zip(range(crew), parts, strict=False)]
            if not batch:
                break
            for number in pool.map(lambda part: _part(plain, sealed, given, unknown, part), batch):
                tried += size
                if number >= 0:
                    found = given | (number ^ number >> 1)
            if progress is not None:
                progress(size * len(batch))
    return found, tried


def _part(plain: int, sealed: int, given: int, unknown: int, part: tuple[int, int]) -> int:
    first, count = part
    keys = kernel.schedule(given | (first ^ first >> 1))
    return int(
        kernel.search(
            keys,
            kernel.DELTAS[:unknown],
            kernel.BOXES,
            np.uint64(kernel.initial(plain)),
            np.uint64(kernel.initial(sealed)),
            np.int64(first),
            np.int64(count),
        )
    )


def _cipher(key: int, vector: bytes) -> "Cipher[modes.CBC]":
    single = kernel.spread(key).to_bytes(BLOCK_BYTES, "big")
    return Cipher(TripleDES(3 * single), modes.CBC(vector))  # three times one key is DES


def _encrypt(key: int, vector: bytes, data: bytes) -> bytes:
    pad, cipher = PKCS7(8 * BLOCK_BYTES).padder(), _cipher(key, vector).encryptor()
    return cipher.update(pad.update(data) + pad.finalize()) + cipher.finalize()


def _decrypt(key: int, vector: bytes, sealed: bytes) -> bytes:
    cipher, pad = _cipher(key, vector).decryptor(), PKCS7(8 * BLOCK_BYTES).unpadder()
    return pad.update(cipher.update(sealed) + cipher.finalize()) + pad.finalize()


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _aes_rate() -> float:
    """AES-256 keys per second on one core: a key set up, one block encrypted."""
    keys, block = os.urandom(32 * AES_TRIALS), bytes(16)
    began = time.perf_counter()
    for at in range(0, len(keys), 32):
        Cipher(AES256(keys[at : at + 32]), modes.ECB()).encryptor().update(block)  # noqa: S305 - one block
    return AES_TRIALS / (time.perf_counter() - began)
