"""Verification of inclusion and consistency proofs.

Both are recomputed from the bottom up, with exactly as many hashes as the sizes ask for: a proof
that is too long or too short is refused as one with a wrong hash is.

Source: RFC 9162, 2.1.3.2 and 2.1.4.2, the algorithms for the tree and the proofs of RFC 6962.
"""

import hmac
from collections.abc import Sequence

from bellwire.ledger.errors import ConsistencyMismatch, InclusionMismatch
from bellwire.ledger.tree import EMPTY_ROOT, HASH_BYTES, MAX_SIZE, node_hash


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return only if the entry that hashes to `leaf` is number `index` under `root`.

    Args:
        leaf: (32,) hash of the entry, from `tree.leaf_hash`.
        index: Counted from 0.
        size: Entries of the tree.
        proof: Hashes of 32 bytes, from the entry's sibling up.
        root: (32,) root of the tree, from a checkpoint that has been verified.

    Raises:
        InclusionMismatch: index, size, length of the proof or any hash does not fit.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise InclusionMismatch(f"index: expected one below the tree's size {size}, got {index}")
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    _lengths(proof, inner + border, (leaf, root), InclusionMismatch)
    found = leaf
    for height, hash_ in enumerate(proof[:inner]):
        right = index >> height & 1
        found = node_hash(hash_, found) if right else node_hash(found, hash_)
    for hash_ in proof[inner:]:
        found = node_hash(hash_, found)
    if not hmac.compare_digest(found, root):
        raise InclusionMismatch(
            f"expected a proof that leads from entry {index} to the root of {size} entries,"
            " got one that leads to another root"
        )


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Return only if the tree of `new` entries begins with the `old` entries under `old_root`.

    Args:
        old: Entries of the earlier tree; 0 is consistent with every tree and needs no proof.
        new: Entries of the later tree.
        proof: Hashes of 32 bytes, in the order of RFC 6962, 2.1.2.
        old_root: (32,) root of the earlier tree.
        new_root: (32,) root of the later tree.

    Raises:
        ConsistencyMismatch: sizes, length of the proof or any hash does not fit.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ConsistencyMismatch(f"sizes: expected old at most new, got {old} and {new}")
    for size, root in ((old, old_root), (new, new_root)):
        if size == 0 and not hmac.compare_digest(root, EMPTY_ROOT):
            raise ConsistencyMismatch(
                "root of no entries: expected SHA-256 of nothing, got another"
            )
    if old in {0, new}:
        _lengths(proof, 0, (old_root, new_root), ConsistencyMismatch)
        if old == new and not hmac.compare_digest(old_root, new_root):
            raise ConsistencyMismatch(f"expected one root of {old} entries, got two")
        return
    shift = (old & -old).bit_length() - 1  # the lowest perfect subtree at the old tree's end
    inner = ((old - 1) ^ (new - 1)).bit_length() - shift
    border = ((old - 1) >> (inner + shift)).bit_count()
    whole = old == 1 << shift  # then the old root itself is where the two ways meet
    _lengths(proof, inner + border + (not whole), (old_root, new_root), ConsistencyMismatch)
    first, rest = (old_root, proof) if whole else (proof[0], proof[1:])
    found_old = found_new = first
    position = (old - 1) >> shift
    for height, hash_ in enumerate(rest[:inner]):
        if position >> height & 1:
            found_old = node_hash(hash_, found_old)
            found_new = node_hash(hash_, found_new)
        else:
            found_new = node_hash(found_new, hash_)
    for hash_ in rest[inner:]:
        found_old = node_hash(hash_, found_old)
        found_new = node_hash(hash_, found_new)
    held = hmac.compare_digest(found_old, old_root) & hmac.compare_digest(found_new, new_root)
    if not held:
        raise ConsistencyMismatch(
            f"expected a proof that {new} entries begin with the {old} of the earlier root,"
            " got one that leads to other roots"
        )


def _lengths(
    proof: Sequence[bytes],
    expected: int,
    ends: Sequence[bytes],
    refusal: type[InclusionMismatch] | type[ConsistencyMismatch],
) -> None:
    if len(proof) != expected:
        raise refusal(f"proof: expected {expected} hashes for these sizes, got {len(proof)}")
    if any(len(each) != HASH_BYTES for each in (*proof, *ends)):
        raise refusal(f"proof and roots: expected hashes of {HASH_BYTES} bytes, got another length")
