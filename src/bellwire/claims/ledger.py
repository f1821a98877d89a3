"""Claims about a log: proofs hold, and nothing that was tampered with does."""

import random
from typing import Final

from bellwire.base.secret import Secret
from bellwire.claims.model import Attacker, Claim, Ground, refused
from bellwire.crypto.errors import SignatureInvalid
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.errors import ConsistencyMismatch, InclusionMismatch
from bellwire.ledger.proofs import verify_consistency, verify_inclusion
from bellwire.ledger.signing import SECRET_BYTES, log_signers, verify_signature
from bellwire.ledger.tree import (
    Node,
    Plan,
    consistency_plan,
    fold,
    inclusion_plan,
    leaf_hash,
    node_hash,
    perfect_root,
)

SIZES: Final = (1, 2, 3, 7, 8, 100, 255, 1000)
FULL_SIZES: Final = (*range(1, 130), 1000, 4096, 5000)
NAME: Final = "log.example"


class _Tree:
    """The leaves of a log, and its roots worked out by the definition of RFC 6962."""

    def __init__(self, entries: list[bytes]) -> None:
        self.leaves = [leaf_hash(entry) for entry in entries]

    def root(self, size: int) -> bytes:
        """The root of the first so many entries, by the RFC's recursion."""
        return _by_definition(self.leaves[:size])

    def proof(self, plan: Plan) -> list[bytes]:
        """The hashes of a plan, as a log would send them."""
        return [fold([self._perfect(node) for node in nodes]) for nodes in plan]

    def _perfect(self, node: Node) -> bytes:
        width = 1 << node.height
        return perfect_root(self.leaves[node.number * width : (node.number + 1) * width])


def _by_definition(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(_by_definition(leaves[:split]), _by_definition(leaves[split:]))


def _proofs(ground: Ground) -> str:
    sizes = FULL_SIZES if ground.full else SIZES
    drawn = random.Random(ground.number("log"))  # noqa: S311 - which entry is no secret
    tree = _Tree([f"entry {number}".encode() for number in range(max(sizes))])
    verified = refusals = 0
    for size in sizes:
        root, index = tree.root(size), drawn.randrange(size)
        leaf, proof = tree.leaves[index], tree.proof(inclusion_plan(index, size))
        verify_inclusion(leaf, index, size, proof, root)
        old = drawn.randint(1, size)
        old_root, growth = tree.root(old), tree.proof(consistency_plan(old, size))
        verify_consistency(old, size, growth, old_root, root)
        verified += 2
        other = leaf_hash(b"rewritten")
        wrong = [
            (other, index, proof, root),
            (leaf, index, [*proof, other], root),
            (leaf, index, proof, other),
            *((leaf, index, _with(proof, at, other), root) for at in range(len(proof))),
        ]
        for changed, at, hashes, end in wrong:
            with refused(f"a wrong proof of entry {at} of {size}", InclusionMismatch):
                verify_inclusion(changed, at, size, hashes, end)
        for at in range(len(growth)):
            with refused(f"a wrong proof from {old} to {size}", ConsistencyMismatch):
                verify_consistency(old, size, _with(growth, at, other), old_root, root)
        with refused("a history that was rewritten", ConsistencyMismatch):
            verify_consistency(old, size, growth, other, root)
        refusals += len(wrong) + len(growth) + 1
    largest = max(sizes)
    return (
        f"{verified} proofs in logs of up to {largest:,} entries hold, {refusals} altered refused"
    )


def _with(proof: list[bytes], at: int, other: bytes) -> list[bytes]:
    return [*proof[:at], other, *proof[at + 1 :]]


def _signatures(ground: Ground) -> str:
    signers = log_signers(NAME, Secret(ground.draw(SECRET_BYTES)))
    strangers = log_signers(NAME, Secret(ground.draw(SECRET_BYTES)))
    honest = Checkpoint(NAME, 7, leaf_hash(b"root"))
    rewritten = Checkpoint(NAME, 7, leaf_hash(b"another root"))
    for signer, stranger in zip(signers, strangers, strict=True):
        line, kind = signer.sign(honest, 0), signer.verifier.kind.name
        verify_signature(signer.verifier, line, honest)
        with refused(f"{kind}: another checkpoint", SignatureInvalid):
            verify_signature(signer.verifier, line, rewritten)
        with refused(f"{kind}: another log's key", SignatureInvalid):
            verify_signature(signer.verifier, stranger.sign(honest, 0), honest)
    return "; ".join(f"{signer.verifier.kind.name.lower()} holds" for signer in signers)


CLAIMS: Final = (
    Claim(
        name="ledger.proofs",
        attacker=Attacker.LEDGER,
        says="A log proves each entry and its growth; a proof with any hash changed is refused",
        run=_proofs,
    ),
    Claim(
        name="ledger.signatures",
        attacker=Attacker.LEDGER,
        says="A checkpoint counts under both of its log's keys, and no other checkpoint does",
        run=_signatures,
    ),
)
