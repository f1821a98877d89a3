"""Claims about the primitives: known answers of others, and the one-time tag worked out by hand.

`known_answers.json` is a choice of cases from C2SP's Wycheproof (Apache-2.0) and of the X-Wing
draft, unchanged; a checkout has all of them in `vectors/`, where their source is told. What is run
is the OpenSSL that this installation calls, through the product's own functions.
"""

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from bellwire.base.secret import Secret
from bellwire.claims.model import Attacker, Claim, Ground, refused, require
from bellwire.crypto import ed25519, signatures
from bellwire.crypto.aead import ChaCha20, open_sealed
from bellwire.crypto.errors import (
    AuthenticationFailed,
    LengthError,
    SignatureInvalid,
    TagMismatch,
)
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.crypto.one_time_mac import forgery_bound, tag, verify_tag

Case = Mapping[str, bytes]
"""Fields of a known answer."""

PRIME: Final = (1 << 130) - 5
CLAMP: Final = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
TAGGED: Final = (0, 1, 15, 16, 17, 64, 1000, 4096)
"""Lengths of messages whose tag is worked out, in bytes."""


def known_answers() -> dict[str, list[dict[str, Any]]]:
    """All of the file, by algorithm; bytes in hexadecimal."""
    text = (files("bellwire.claims") / "known_answers.json").read_text("utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return found


def _aes(case: Case) -> None:
    found = open_sealed(case["key"], case["iv"], case["sealed"], case["aad"])
    require(found == case["msg"], "AES-256-GCM opens to another text")


def _chacha(case: Case) -> None:
    found = ChaCha20(case["key"]).open(case["iv"], case["sealed"], case["aad"])
    require(found == case["msg"], "ChaCha20-Poly1305 opens to another text")


def _ed25519(case: Case) -> None:
    ed25519.verify(case["public"], case["sig"], case["msg"])


def _mldsa(case: Case) -> None:
    signatures.verify(case["public"], case["sig"], case["msg"], case["ctx"])


def _hkdf(case: Case) -> None:
    okm = case["okm"]
    found = hkdf(case["ikm"], salt=case["salt"], info=case["info"], length=len(okm))
    require(found == okm, "HKDF-SHA256 gives another output")


def _xwing(case: Case) -> None:
    key = XWingPrivateKey.from_seed(case["seed"])
    require(key.public_bytes == case["pk"], "X-Wing makes another public key of a seed")
    secret = key.decapsulate(case["ct"])
    require(secret == Secret(case["ss"]), "X-Wing decapsulates another secret")


ALGORITHMS: Final[dict[str, tuple[str, Callable[[Case], None]]]] = {
    "aes_gcm": ("AES-256-GCM", _aes),
    "chacha20_poly1305": ("ChaCha20-Poly1305", _chacha),
    "ed25519": ("Ed25519", _ed25519),
    "hkdf_sha256": ("HKDF-SHA256", _hkdf),
    "mldsa_65": ("ML-DSA-65", _mldsa),
    "xwing": ("X-Wing (X25519 and ML-KEM-768)", _xwing),
}


def _known_answers(_ground: Ground) -> str:
    counted = []
    for name, cases in known_answers().items():
        words, check = ALGORITHMS[name]
        good = bad = 0
        for each in cases:
            fields = {key: bytes.fromhex(text) for key, text in each.items() if key not in _ABOUT}
            if each["valid"]:
                check(fields)
                good += 1
                continue
            with refused(
                f"{words}, case {each['id']}", AuthenticationFailed, SignatureInvalid, LengthError
            ):
                check(fields)
            bad += 1
        require(good > 0, f"no known answer of {words}")
        counted.append(f"{words} {good}" + (f" and {bad} refused" if bad else ""))
    return "as published: " + ", ".join(counted)


_ABOUT: Final = ("id", "valid")


def _one_time_tag(ground: Ground) -> str:
    for length in TAGGED:
        message = ground.draw(length)
        point, pad = ground.draw(16), ground.draw(16)
        made = tag(Secret(point), Secret(pad), message)
        require(made == _by_hand(point, pad, message), f"the tag of {length} bytes is another")
        altered = bytes([made[0] ^ 1]) + made[1:]
        with refused("an altered tag", TagMismatch):
            verify_tag(Secret(point), Secret(pad), message, altered)
        with refused("a longer message", TagMismatch):
            verify_tag(Secret(point), Secret(pad), message + b"\0", made)
    return (
        f"{len(TAGGED)} lengths as by arithmetic modulo 2^130 − 5; one forgery of 64 KiB passes "
        f"with probability at most {forgery_bound(65_536):.1e}"
    )


def _by_hand(point: bytes, pad: bytes, message: bytes) -> bytes:
    """Poly1305 by integers, as RFC 8439, 2.5.1 writes it."""
    r = int.from_bytes(point, "little") & CLAMP
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\x01", "little")) * r % PRIME
    return ((total + int.from_bytes(pad, "little")) % (1 << 128)).to_bytes(16, "little")


CLAIMS: Final = (
    Claim(
        name="crypto.known-answers",
        attacker=Attacker.LATER,
        says="The ciphers, signatures and key encapsulation of this installation give the published"
        " answers, and refuse what must be refused",
        run=_known_answers,
    ),
    Claim(
        name="crypto.one-time-tag",
        attacker=Attacker.CLASSICAL,
        says="The tag of the classical channel is the one that no computing power forges",
        run=_one_time_tag,
    ),
)
