"""The Merkle tree as RFC 6962 defines it, by its recursive formulas over all entries: a slow twin.

MTH: 2.1. PATH: 2.1.1. PROOF and SUBPROOF: 2.1.2. Tiles: C2SP tlog-tiles, "Merkle Tree".
"""

from collections.abc import Sequence
from hashlib import sha256


def k_of(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(entries: Sequence[bytes]) -> bytes:
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = k_of(len(entries))
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = k_of(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def proof(m: int, entries: Sequence[bytes]) -> list[bytes]:
    return subproof(m, entries, known=True)


def subproof(m: int, entries: Sequence[bytes], *, known: bool) -> list[bytes]:
    if m == len(entries):
        return [] if known else [mth(entries)]
    k = k_of(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], known=known), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], known=False), mth(entries[:k])]


def tile(level: int, index: int, entries: Sequence[bytes]) -> list[bytes]:
    """MTH(D[(n · 256 + i) · 256**l : (n · 256 + i + 1) · 256**l]) for each i that D reaches."""
    span = 256**level
    firsts = [(index * 256 + i) * span for i in range(256)]
    return [mth(entries[at : at + span]) for at in firsts if at + span <= len(entries)]
