"""The Merkle tree of a log: its hashes, and the subtrees that proofs are made of.

A node of the tree is a perfect subtree, `Node(height, number)`: the hash over the entries from
number · 2**height to (number + 1) · 2**height. Every other hash of RFC 6962 is a fold of such
nodes, so a proof is planned first, as the nodes that each of its hashes is folded from, and made
when their hashes are at hand.

Source: RFC 6962, 2.1 (hashes), 2.1.1 (inclusion), 2.1.2 (consistency).
"""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from bellwire.ledger.errors import RangeUnusable

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
MAX_SIZE: Final = 2**63 - 1
"""Most entries of a tree; a proof of one in so many has at most 63 hashes."""


class Node(NamedTuple):
    """A perfect subtree: the entries [number · 2**height, (number + 1) · 2**height).

    A tuple, since each proof looks up two dozen: its hash costs a third of a dataclass's.
    """

    height: int
    number: int


Plan: TypeAlias = tuple[tuple[Node, ...], ...]
"""For each hash of a proof, the neighbouring nodes that it is folded from, the largest first."""


def leaf_hash(entry: bytes) -> bytes:
    """The 32-byte hash of an entry: SHA-256(0x00 ‖ entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of two subtrees: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def row_above(row: bytes) -> bytes:
    """The hashes over the pairs of a row of hashes, joined; one without a partner is left out."""
    pair = 2 * HASH_BYTES
    return b"".join(
        [
            hashlib.sha256(b"\x01" + row[i : i + pair]).digest()
            for i in range(0, len(row) - pair + 1, pair)
        ]
    )


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash over neighbouring subtrees, the largest first, as `covering` orders them.

    The last two are joined first, so that each subtree to the left is the larger child, as RFC
    6962 splits a tree at the largest power of two below its size. Without any it is that of the
    empty tree.
    """
    if not hashes:
        return EMPTY_ROOT
    joined = hashes[-1]
    for left in hashes[-2::-1]:
        joined = node_hash(left, joined)
    return joined


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The hash over 2**k neighbouring hashes of one height."""
    row = hashes
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def covering(start: int, end: int) -> tuple[Node, ...]:
    """The perfect subtrees that the RFC's tree over entries [start, end) is folded from.

    Args:
        start: A multiple of the largest power of two that is at most end − start.
        end: Exclusive.

    Returns:
        From left to right, the largest first; none for an empty range.
    """
    nodes = []
    while start < end:
        height = (end - start).bit_length() - 1
        nodes.append(Node(height, start >> height))
        start += 1 << height
    return tuple(nodes)


def require_entry(index: int, size: int) -> None:
    """Let the number of an entry of a tree pass.

    Raises:
        RangeUnusable: the tree has no such entry, or more than 2**63 − 1.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise RangeUnusable(
            f"index: expected an entry of a tree of {size:,} entries"
            f" (at most {MAX_SIZE:,}), got {index:,}"
        )


def inclusion_plan(index: int, size: int, height: int = 0) -> Plan:
    """The nodes of each hash of the proof that entry `index` is in the tree of `size` entries.

    Args:
        index: Of the entry.
        size: Of the tree.
        height: Of the first sibling wanted; those below it are left out.

    Returns:
        From the entry's sibling up to the root's child; fold the hashes of each for the proof.

    Raises:
        RangeUnusable: there is no such entry, or size is over 2**63 − 1.

    Source: RFC 6962, 2.1.1.
    """
    require_entry(index, size)
    siblings: list[tuple[Node, ...]] = []
    while 1 << height < size:
        sibling = (index >> height) ^ 1
        end = (sibling + 1) << height
        if end <= size:
            siblings.append((Node(height, sibling),))
        elif end - (1 << height) < size:  # the tree's right edge, which is no perfect subtree
            siblings.append(covering(end - (1 << height), size))
        height += 1
    return tuple(siblings)


def consistency_plan(old: int, new: int) -> Plan:
    """The nodes of each hash of the proof that the tree of `new` entries grew out of that of `old`.

    Returns:
        In the order of the proof; none if old is 0 or new, as then there is nothing to prove.

    Raises:
        RangeUnusable: old is not within 0..new, or new is over 2**63 − 1.

    Source: RFC 6962, 2.1.2.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise RangeUnusable(f"old size: expected 0 to {new:,} (at most {MAX_SIZE:,}), got {old:,}")
    if old in {0, new}:
        return ()
    start, end = 0, new
    siblings = []
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            siblings.append(covering(middle, end))
            end = middle
        else:
            siblings.append(covering(start, middle))
            start = middle
    # The subtree in which both ways end; whoever has the old root knows it if it is the whole tree.
    if start > 0:
        siblings.append(covering(start, end))
    return tuple(reversed(siblings))


def _split(size: int) -> int:
    """The largest power of two below `size`, which is over 1."""
    return 1 << ((size - 1).bit_length() - 1)
