"""A conversation as spec/chat.md says it, from the primitives alone, both ends at once.

Nothing of the product is used. `play` computes the payloads of a short talk, and what lies between
them, from what a `Script` fixes; what signatures and KEM drew when the script was made is a part of
it, since the library takes no coins.

    python -m tests.reference.chat > vectors/chat/talk.json
"""

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass, fields
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.reference.first_contact import Ephemeral, encapsulate, hkdf, public_of
from tests.reference.polynomial_hash import poly1305

ZERO = bytes(12)
SIZES = (512, 4096, 16_384)
TURNS = 4
"""Messages after the opening; they alternate, and the responder's is the first."""


@dataclass
class Script:
    """What a talk is made of; byte strings."""

    alice: bytes
    bob: bytes
    lasting_id: bytes
    lasting_seed: bytes
    lasting_signature: bytes
    once_id: bytes
    once_seed: bytes
    once_signature: bytes
    not_after: int
    ct_lasting: bytes
    ct_once: bytes
    offered_seed: bytes
    hello_signature: bytes
    step_seeds: bytes
    step_ciphertexts: bytes
    header_nonces: bytes
    pad_ids: bytes
    pads: bytes
    texts: list[str]

    def encode(self) -> dict[str, Any]:
        return {k: v.hex() if isinstance(v, bytes) else v for k, v in asdict(self).items()}

    @classmethod
    def decode(cls, document: dict[str, Any]) -> "Script":
        texts = {each.name for each in fields(cls) if each.type is bytes}
        plain: dict[str, Any] = {
            k: bytes.fromhex(v) if k in texts else v for k, v in document.items()
        }
        return cls(**plain)

    def cut(self, name: str, number: int, size: int) -> bytes:
        """Item `number` of a field that has several of `size` bytes."""
        whole: bytes = getattr(self, name)
        return whole[number * size : (number + 1) * size]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def identity_public(seed: bytes) -> bytes:
    curve = Ed25519PrivateKey.from_private_bytes(seed[:32])
    return curve.public_key().public_bytes_raw() + public_of(seed[32:])


def fingerprint(public: bytes) -> bytes:
    curve, lattice = public[:32], public[32:]
    return sha256(len(curve).to_bytes(2, "big") + curve + len(lattice).to_bytes(2, "big") + lattice)


def sign(seed: bytes, text: bytes, label: bytes) -> bytes:
    text = fingerprint(identity_public(seed)) + text
    return Ed25519PrivateKey.from_private_bytes(seed[:32]).sign(
        label + text
    ) + MLDSA65PrivateKey.from_seed_bytes(seed[32:]).sign(text, label)


def prekey_text(kind: int, prekey_id: bytes, not_after: int, seed: bytes) -> bytes:
    return bytes([kind]) + prekey_id + not_after.to_bytes(8, "big") + Ephemeral(seed).public


def transcript(script: Script) -> bytes:
    """SHA-256 of what an opening agrees on."""
    return sha256(
        b"bellwire chat opening 1"
        + fingerprint(identity_public(script.bob))
        + script.lasting_id
        + Ephemeral(script.lasting_seed).public
        + script.once_id
        + (Ephemeral(script.once_seed).public if any(script.once_id) else b"")
        + script.ct_lasting
        + script.ct_once
    )


def hello_text(script: Script) -> bytes:
    """What the initiator signs."""
    responder = fingerprint(identity_public(script.bob))
    return transcript(script) + responder + Ephemeral(script.offered_seed).public


class Side:
    """Epoch, chain and number of one direction."""

    def __init__(self, epoch: int, chain: bytes) -> None:
        self.epoch, self.chain, self.number = epoch, chain, 0

    def next_key(self) -> bytes:
        okm = hkdf(self.chain, b"", b"bellwire chat chain", 64)
        self.chain, self.number = okm[:32], self.number + 1
        return okm[32:]


def content_head(number: int) -> bytes:
    """Kind text, no flags, an id and a time that follow from the number."""
    return bytes([1, 0]) + bytes([number]) * 16 + (1_800_000_000_000 + number).to_bytes(8, "big")


def play(script: Script) -> dict[str, str]:
    """Every payload and what lies between them, in hexadecimal."""
    out: dict[str, bytes] = {}
    bundle = b"bwpk\x01" + identity_public(script.bob)
    bundle += prekey_text(1, script.lasting_id, script.not_after, script.lasting_seed)
    bundle += script.lasting_signature
    once = any(script.once_id)
    if once:
        bundle += prekey_text(2, script.once_id, script.not_after, script.once_seed)
        bundle += script.once_signature
    out["bundle"] = bundle

    secrets = Ephemeral(script.lasting_seed).open(script.ct_lasting)
    secrets += Ephemeral(script.once_seed).open(script.ct_once) if once else bytes(32)
    out["secrets"] = secrets
    h = out["transcript"] = transcript(script)
    identity_key = hkdf(secrets, h, b"bellwire chat identity", 32)
    hello = identity_public(script.alice) + Ephemeral(script.offered_seed).public
    hello += script.hello_signature
    opening = script.lasting_id + script.once_id + script.ct_lasting + script.ct_once
    opening += AESGCM(identity_key).encrypt(ZERO, hello, b"")
    okm = hkdf(secrets, sha256(h + opening), b"bellwire chat session", 144)
    root, chain, up, down, session_id = okm[:32], okm[32:64], okm[64:96], okm[96:128], okm[128:]
    out |= {"root": root, "chain": chain, "up": up, "down": down, "session_id": session_id}

    # Alice's first words, under the opening.
    sides = [Side(0, chain), Side(-1, b"")]
    offered = Ephemeral(script.offered_seed)
    seen, step, reached = [-1, 0], b"", [16, 16]
    for turn in range(TURNS + 1):
        who = turn % 2
        text = script.texts[turn].encode()
        previous = sides[who].number if turn > 1 else 0
        step = b""
        if turn:
            fresh = Ephemeral(script.cut("step_seeds", turn - 1, 32))
            ciphertext = script.cut("step_ciphertexts", turn - 1, 1120)
            secret = offered.open(ciphertext)
            # The first step of each side mixes 32 bytes of its pad in.
            pad_id = script.cut("pad_ids", who, 16) if turn < 3 else bytes(16)
            pad = script.cut("pads", who, 256)
            mixed = pad[reached[who] : reached[who] + 32] if turn < 3 else bytes(32)
            offset = reached[who] if turn < 3 else 0
            reached[who] += 32 if turn < 3 else 0
            step = ciphertext + fresh.public + pad_id + offset.to_bytes(8, "big")
            info = b"bellwire chat step" + turn.to_bytes(4, "big") + step
            okm = hkdf(secret + mixed, root, info, 64)
            root, sides[who], offered = okm[:32], Side(turn, okm[32:]), fresh
            out[f"root_{turn}"] = root
        side = sides[who]
        place = [side.epoch, side.number, previous, seen[who] + 1]
        key = side.next_key()
        out[f"key_{turn}"] = key
        header = b"".join(each.to_bytes(4, "big") for each in place) + step

        head = content_head(turn)
        body = bytes([len(head)]) + head
        if turn < 4:
            offset = reached[who]
            body += script.cut("pad_ids", who, 16) + offset.to_bytes(8, "big")
            body += len(text).to_bytes(4, "big")
            pad = script.cut("pads", who, 256)
            s, under = pad[offset : offset + 16], pad[offset + 16 : offset + 16 + len(text)]
            reached[who] += 16 + len(text)
            hidden = bytes(a ^ b for a, b in zip(text, under, strict=True))
            place_text = side.epoch.to_bytes(4, "big") + place[1].to_bytes(4, "big")
            tagged = b"bellwire chat tag 1" + session_id + place_text + body + text
            body += hidden + poly1305(pad[:16], s, tagged)
        else:  # the last one goes without pad
            body += bytes(24) + len(text).to_bytes(4, "big") + text

        prefix = (b"\x01" + opening if not turn else b"") + (b"\x03" if step else b"\x02")
        nonce = script.cut("header_nonces", turn, 12)
        header_key = down if who else up
        sealed = AESGCM(header_key).encrypt(nonce, header, session_id + prefix)
        prefix += nonce + sealed
        room = next(size for size in SIZES if len(prefix) + len(body) + 16 <= size)
        filled = body + bytes(room - len(prefix) - 16 - len(body))
        message_key = hkdf(key, b"", b"bellwire chat message", 32)
        out[f"payload_{turn}"] = prefix + AESGCM(message_key).encrypt(
            ZERO, filled, session_id + prefix
        )
        seen[1 - who] = side.epoch

    both = sorted(fingerprint(identity_public(each)) for each in (script.alice, script.bob))
    digest = hashlib.sha512(b"bellwire chat safety 1" + both[0] + both[1]).digest()
    groups = [int.from_bytes(digest[at : at + 5], "big") % 100_000 for at in range(0, 60, 5)]
    out["safety_number"] = " ".join(f"{each:05d}" for each in groups).encode()
    return {name: value.hex() for name, value in out.items()}


def draw(*, once: bool) -> Script:
    """A script with everything drawn anew."""
    lasting, one_time, offered = os.urandom(32), os.urandom(32), os.urandom(32)
    steps = [os.urandom(32) for _ in range(TURNS)]
    targets = [Ephemeral(each).public for each in [offered, *steps[:-1]]]
    script = Script(
        alice=os.urandom(64),
        bob=os.urandom(64),
        lasting_id=os.urandom(16),
        lasting_seed=lasting,
        lasting_signature=b"",
        once_id=os.urandom(16) if once else bytes(16),
        once_seed=one_time,
        once_signature=b"",
        not_after=1_900_000_000,
        ct_lasting=encapsulate(Ephemeral(lasting).public, os.urandom(32))[0],
        ct_once=(
            encapsulate(Ephemeral(one_time).public, os.urandom(32))[0] if once else bytes(1120)
        ),
        offered_seed=offered,
        hello_signature=b"",
        step_seeds=b"".join(steps),
        step_ciphertexts=b"".join(encapsulate(each, os.urandom(32))[0] for each in targets),
        header_nonces=os.urandom(12 * (TURNS + 1)),
        pad_ids=os.urandom(32),
        pads=os.urandom(512),
        texts=["Ready?", "Since four: ½ a day", "", "🔑 here", "and without"],
    )
    label = b"bellwire chat prekey 1"
    lasting_text = prekey_text(1, script.lasting_id, script.not_after, lasting)
    script.lasting_signature = sign(script.bob, lasting_text, label)
    once_text = prekey_text(2, script.once_id, script.not_after, one_time)
    script.once_signature = sign(script.bob, once_text, label) if once else b""
    script.hello_signature = sign(script.alice, hello_text(script), b"bellwire chat opening 1")
    return script


def main() -> None:
    """Print a new set of vectors."""
    scripts = [draw(once=True), draw(once=False)]
    sys.stdout.write(
        json.dumps([{"script": s.encode(), "values": play(s)} for s in scripts], indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
