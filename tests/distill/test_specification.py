"""The page is enough: a block read by spec/classical-channel.md alone gives the same key and tags.

Nothing of `bellwire.distill` is used to read it. Cascade has a slow twin of its own; here Alice's
key is followed, which reconciliation leaves as it is.
"""

import hashlib
import hmac
import struct

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305
from tests.reference.announcements import plane_of
from tests.simulators.blocks import Recorder, clean_halves, opening, run, tags

from bellwire.base.detections import Protocol, Side


def hkdf(ikm: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with an empty salt."""
    key = hmac.digest(bytes(32), ikm, hashlib.sha256)
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256)
        out += block
    return out[:length]


def bits(data: bytes, count: int) -> list[int]:
    """Packed bits."""
    assert len(data) == (count + 7) // 8
    return [data[i // 8] >> i % 8 & 1 for i in range(count)]


def packed(values: list[int]) -> bytes:
    out = bytearray((len(values) + 7) // 8)
    for i, value in enumerate(values):
        out[i // 8] |= value << i % 8
    return bytes(out)


def ones(plane: list[int]) -> list[int]:
    return [place for place, bit in enumerate(plane) if bit]


def settings_of(low: bytes, high: bytes, count: int, protocol: Protocol) -> list[int]:
    """Step 2: a plane of bit 0, and in E91 one of bit 1 where bit 0 is 0."""
    plane = plane_of(low, count)
    if protocol is not Protocol.E91:
        assert high == b""
        return plane
    return numbers_of(low, high, count)


def numbers_of(low: bytes, high: bytes, count: int) -> list[int]:
    """Step 2: settings of E91, intensities of decoy states."""
    plane = plane_of(low, count)
    rest = iter(plane_of(high, count - sum(plane)))
    return [1 if bit else 2 * next(rest) for bit in plane]


def sampled_key(alice: list[int], bob: list[int], share: float, public_seed: bytes) -> list[int]:
    """Step 2: positions of the key among the common slots."""
    chosen: list[int] = []
    for basis in (0, 1):
        both = [i for i, pair in enumerate(zip(alice, bob, strict=True)) if pair == (basis, basis)]
        label = b"bellwire stream sample %d" % basis
        key = hkdf(hkdf(public_seed, b"sample", 32), label, 32)
        stream = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
        groups = [stream.update(bytes(8192)) for _ in range(len(both) // 4096 + 1)]
        for i, place in enumerate(both):
            group, m = groups[i // 4096], i % 4096
            number = sum((group[512 * j + m // 8] >> m % 8 & 1) << j for j in range(16))
            if number >= round(share * 2**16):
                chosen.append(place)
    return chosen


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_block_read_by_the_page_gives_the_same_secret_and_tags(protocol: Protocol) -> None:
    block, keys = opening(protocol), tags(1)
    light = clean_halves(protocol, block.pulses, np.random.default_rng(0))
    recorder = Recorder()
    outcome = run(block, light, wire=recorder)
    assert outcome.accepted
    said = recorder.said
    alice, bob = said[Side.ALICE], said[Side.BOB]
    read = msgspec.msgpack.decode

    # Step 0
    assert alice[0] == bob[0]
    assert read(alice[0]) == [
        *(1, 1, False, protocol.value, block.pulses, bytes(16)),
        *(0.2, 1e-10, 0.11, 2.2),
        *((0.7, [[0.5, 0.2, 0.0], [0.3, 0.4, 0.3]]) if protocol is Protocol.DECOY else (0.5, None)),
        "cascade",
    ]
    # Step 1: slots and their tags
    lists = {}
    for side in Side:
        data, seen = read(said[side][1])
        lists[side] = ones(plane_of(data, block.pulses)) if data else None
        text = b"bellwire received " + side.encode() + alice[0] + data
        one_time = keys.hash_keys[side].reveal() + keys.received_pads[side].reveal()
        assert Poly1305.generate_tag(one_time, text) == seen
    bobs = lists[Side.BOB]
    assert bobs is not None
    common = bobs
    if (alices := lists[Side.ALICE]) is not None:
        common = sorted(set(alices) & set(bobs))
    # Step 2: settings, public seed, key positions
    low_a, high_a, nonce_a, *shades = read(alice[2])
    low_b, high_b, nonce_b, *none = read(bob[2])
    assert none == [b"", b""]
    n = len(common)
    ours = settings_of(low_a, high_a, n, protocol)
    theirs = settings_of(low_b, high_b, n, protocol)
    if protocol is Protocol.E91:
        pairs = list(zip(ours, theirs, strict=True))
        chosen = [i for part in ((1, 0), (2, 1)) for i, pair in enumerate(pairs) if pair == part]
    elif protocol is Protocol.DECOY:
        chosen = [i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair == (0, 0)]
        sent = light[Side.ALICE].at(np.array(common)).intensities
        assert sent is not None
        assert numbers_of(shades[0], shades[1], n) == sent.tolist()
    else:
        chosen = sampled_key(ours, theirs, 0.2, nonce_a + nonce_b)
    outcomes = light[Side.ALICE].at(np.array(common, np.int64)).outcomes.tolist()
    key = [outcomes[i] for i in chosen]
    # The last three steps
    proof, tagged, stored = len(alice) - 3, len(alice) - 2, len(alice) - 1
    assert read(alice[4])[0] is read(bob[4])[0] is True
    hash_key, key_hash, seed = read(alice[proof])
    assert read(bob[proof]) == [b"", b"", b""]
    message = len(key).to_bytes(8, "little") + packed(key)
    assert Poly1305.generate_tag(hash_key + bytes(16), message) == key_hash
    m = outcome.reports[Side.ALICE].extracted_bits
    backwards = np.array(bits(seed, len(key) - 1)[::-1], np.uint8)
    rest = len(key) - m
    column = np.array(key[:rest], np.uint8)
    # Row i reads seed n − m − 1 + i, …, i: from place m − 1 − i of the reversed seed.
    rows = (backwards[m - 1 - i : m - 1 - i + rest] for i in range(m))
    secret = [
        int((row & column).sum()) % 2 ^ bit for row, bit in zip(rows, key[rest:], strict=True)
    ]
    for side in Side:
        assert outcome.secrets[side].reveal() == packed(secret)
    transcript = b"".join(
        struct.pack(">I", step)
        + b"".join(struct.pack(">I", len(m)) + m for m in (alice[step], bob[step]))
        for step in range(tagged)
    )
    for side in Side:
        one_time = keys.hash_keys[side].reveal() + keys.transcript_pads[side].reveal()
        text = b"bellwire transcript " + side.encode() + alice[0] + transcript
        assert read(said[side][tagged]) == [Poly1305.generate_tag(one_time, text)]
        assert read(said[side][stored]) == [1]
