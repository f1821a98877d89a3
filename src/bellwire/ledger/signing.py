"""Signatures on checkpoints: by a log, and by the witnesses that watch it.

A log signs the text with Ed25519, which every tool reads, and the checkpoint with ML-DSA-44. A
witness cosigns with both at a time of its own. The three kinds sign three messages that begin
differently, so none of them can be taken for another.

Source: C2SP signed-note, "Ed25519 signatures"; tlog-cosignature, "Format", "Ed25519 signed
message", "ML-DSA-44 signed message".
"""

import struct
from typing import Final

from bellwire.base.secret import Secret
from bellwire.crypto import ed25519, mldsa44
from bellwire.crypto.ed25519 import Ed25519Key
from bellwire.crypto.errors import SignatureInvalid
from bellwire.crypto.mldsa44 import MlDsa44Key
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.errors import NoteMalformed
from bellwire.ledger.note import SignatureLine
from bellwire.ledger.tree import MAX_SIZE
from bellwire.ledger.verifier_keys import KeyKind, VerifierKey

SECRET_BYTES: Final = ed25519.SEED_BYTES + mldsa44.SEED_BYTES
"""Of a log or a witness: the seeds of its Ed25519 and its ML-DSA-44 key."""
TIME: Final = struct.Struct(">Q")
SIGNATURE_BYTES: Final = {
    KeyKind.ED25519: ed25519.SIGNATURE_BYTES,
    KeyKind.COSIGNATURE_ED25519: TIME.size + ed25519.SIGNATURE_BYTES,
    KeyKind.COSIGNATURE_MLDSA44: TIME.size + mldsa44.SIGNATURE_BYTES,
}


class Signer:
    """One private key with its name; its repr shows nothing secret.

    Raises:
        LengthError: the seed has not 32 bytes.
        VerifierKeyUnusable: the name cannot be one.
    """

    __slots__ = ("_key", "verifier")

    def __init__(self, name: str, kind: KeyKind, seed: bytes | Secret) -> None:
        mldsa = kind is KeyKind.COSIGNATURE_MLDSA44
        self._key: Ed25519Key | MlDsa44Key = MlDsa44Key(seed) if mldsa else Ed25519Key(seed)
        self.verifier = VerifierKey(name, kind, self._key.public_bytes)

    def __repr__(self) -> str:
        return f"Signer({self.verifier.name}, {self.verifier.kind.name})"

    def sign(self, checkpoint: Checkpoint, time: int) -> SignatureLine:
        """Sign a checkpoint.

        Args:
            checkpoint: Consistent with every one that this key has signed; ML-DSA-44 signs none
                with extension lines, which it would leave unsigned.
            time: Seconds since 1970, which a plain Ed25519 signature leaves out; 0 says only that
                the checkpoint is consistent, not that it is the latest.

        Raises:
            NoteMalformed: it has extension lines, and the key is ML-DSA-44.
        """
        if checkpoint.extensions and self.verifier.kind is KeyKind.COSIGNATURE_MLDSA44:
            raise NoteMalformed("checkpoint: expected no extension lines, got some")
        signature = self._key.sign(message(self.verifier, checkpoint, time))
        stamp = b"" if self.verifier.kind is KeyKind.ED25519 else TIME.pack(time)
        return SignatureLine(self.verifier.name, self.verifier.key_id, stamp + signature)


def log_signers(name: str, secret: Secret) -> tuple[Signer, Signer]:
    """The keys with which a log signs, from its 64 secret bytes: Ed25519, ML-DSA-44.

    Raises:
        VerifierKeyUnusable: the name cannot be one.
    """
    return _signers(name, secret, KeyKind.ED25519)


def witness_signers(name: str, secret: Secret) -> tuple[Signer, Signer]:
    """The keys with which a witness cosigns, from its 64 secret bytes: Ed25519, ML-DSA-44.

    Raises:
        VerifierKeyUnusable: the name cannot be one.
    """
    return _signers(name, secret, KeyKind.COSIGNATURE_ED25519)


def verify_signature(key: VerifierKey, line: SignatureLine, checkpoint: Checkpoint) -> int | None:
    """Return only if `key` made the signature of this line on this checkpoint.

    Returns:
        When, in seconds since 1970; 0 where the signer does not say that it was the latest; None
        for a plain Ed25519 signature, which has no time.

    Raises:
        SignatureInvalid: it did not, or the time is over 2**63 − 1, or there are extension lines,
            which ML-DSA-44 leaves unsigned.
    """
    if checkpoint.extensions and key.kind is KeyKind.COSIGNATURE_MLDSA44:
        raise SignatureInvalid("expected no extension lines, which ML-DSA-44 leaves unsigned")
    named = (line.name, line.key_id) == (key.name, key.key_id)
    if not named or len(line.signature) != SIGNATURE_BYTES[key.kind]:
        raise SignatureInvalid(
            f"expected a signature of {key.name}, got that of another kind or key"
        )
    stamp, signature = line.signature[: TIME.size], line.signature[TIME.size :]
    if key.kind is KeyKind.ED25519:
        ed25519.verify(key.public, line.signature, message(key, checkpoint, 0))
        return None
    (time,) = TIME.unpack(stamp)
    if time > MAX_SIZE:
        raise SignatureInvalid(f"time: expected at most {MAX_SIZE}, got {time}")
    scheme = mldsa44 if key.kind is KeyKind.COSIGNATURE_MLDSA44 else ed25519
    scheme.verify(key.public, signature, message(key, checkpoint, time))
    return int(time)


def message(key: VerifierKey, checkpoint: Checkpoint, time: int) -> bytes:
    """What a key of this kind and name signs of a checkpoint.

    Args:
        key: Whose kind and name count.
        checkpoint: What is signed.
        time: Of a cosignature: seconds since the epoch, 0 for none; else it does not count.
    """
    if key.kind is KeyKind.ED25519:
        return checkpoint.text.encode()
    if key.kind is KeyKind.COSIGNATURE_ED25519:
        return f"cosignature/v1\ntime {time}\n{checkpoint.text}".encode()
    return b"".join(
        (
            b"subtree/v1\n\x00",
            _short(key.name),
            TIME.pack(time),
            _short(checkpoint.origin),
            struct.pack(">QQ", 0, checkpoint.size),
            checkpoint.root,
        )
    )


def _short(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded


def _signers(name: str, secret: Secret, kind: KeyKind) -> tuple[Signer, Signer]:
    seeds = secret.reveal()
    first, second = seeds[: ed25519.SEED_BYTES], seeds[ed25519.SEED_BYTES :]
    return Signer(name, kind, first), Signer(name, KeyKind.COSIGNATURE_MLDSA44, second)
