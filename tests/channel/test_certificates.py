"""Certificates: all of an authority's signatures must verify, and nothing else passes for one."""

import dataclasses
import struct

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import CLOUD, DEVICE, NAME, SOURCE, STRANGER, flip

from bellwire.channel.certificates import (
    MAX_CERTIFICATE_BYTES,
    MIN_CERTIFICATE_BYTES,
    Certificate,
    RevocationList,
    Role,
    Trust,
    read_certificate,
    read_revoked,
)
from bellwire.channel.errors import CertificateRefused, ChannelMisuse, HandshakeFailed
from bellwire.channel.handshake import Gate, Initiator, Policy, Responder, Retry, fingerprint
from bellwire.channel.session import Session
from bellwire.crypto.composite import CompositeKey
from bellwire.crypto.ed25519 import Ed25519Key
from bellwire.crypto.errors import KemRefused
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.crypto.signatures import SigningKey

ED, LATTICE = Ed25519Key(b"e" * 32), SigningKey(b"m" * 32)
BOTH = CompositeKey(ED, LATTICE)
AUTHORITIES = {
    "both": BOTH,
    "ed25519": CompositeKey(ED, None),
    "lattice": CompositeKey(None, LATTICE),
}
EACH = pytest.mark.parametrize("authority", AUTHORITIES.values(), ids=AUTHORITIES)

CERTIFICATE = Certificate(Role.DEVICE, b"s" * 16, 1000, 2000, "thermometer", DEVICE.public_bytes)
SIGNED = CERTIFICATE.sign(BOTH)


@EACH
def test_a_certificate_is_read_as_it_was_signed(authority: CompositeKey) -> None:
    data = CERTIFICATE.sign(authority)
    assert MIN_CERTIFICATE_BYTES <= len(data) <= MAX_CERTIFICATE_BYTES
    assert read_certificate(data, authority.public, Role.DEVICE) == CERTIFICATE
    assert Trust(authority.public).check(data, Role.DEVICE, 1000.0) == CERTIFICATE


def test_the_layout_is_that_of_the_specification() -> None:
    """Read with nothing but the primitives."""
    issuer = BOTH.public.fingerprint
    text, signatures = SIGNED[:-3373], SIGNED[-3373:]
    assert text == (
        b"bwce\x01\x01" + b"s" * 16 + struct.pack(">QQ", 1000, 2000) + issuer + b"\x0b"
        b"thermometer" + DEVICE.public_bytes
    )
    assert BOTH.public.ml_dsa_65 is not None
    label = b"bellwire channel certificate 1"
    Ed25519PublicKey.from_public_bytes(ED.public_bytes).verify(
        signatures[:64], label + issuer + text
    )
    lattice = MLDSA65PublicKey.from_public_bytes(BOTH.public.ml_dsa_65)
    lattice.verify(signatures[64:], issuer + text, label)
    with pytest.raises(InvalidSignature):
        lattice.verify(signatures[64:], issuer + text, b"bellwire channel revoked 1")


@settings(max_examples=150, deadline=None)
@given(bit=st.integers(0, 8 * len(SIGNED) - 1))
def test_a_flipped_bit_is_refused(bit: int) -> None:
    with pytest.raises(CertificateRefused):
        read_certificate(flip(SIGNED, bit), BOTH.public, Role.DEVICE)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200) | st.binary(min_size=1400, max_size=1500))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(CertificateRefused):
        read_certificate(data, BOTH.public, Role.DEVICE)
    with pytest.raises(CertificateRefused):
        read_revoked(data, BOTH.public)


@pytest.mark.parametrize("length", [0, 1, 70, len(SIGNED) - 3309, len(SIGNED) - 1, len(SIGNED) + 1])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(CertificateRefused):
        read_certificate((SIGNED + b"\0")[:length], BOTH.public, Role.DEVICE)


@pytest.mark.parametrize("broken", ["ed25519", "lattice"])
def test_one_good_signature_of_two_is_not_enough(broken: str) -> None:
    """Whoever can forge under one of the two algorithms is no authority."""
    forged = CompositeKey(
        Ed25519Key.generate() if broken == "lattice" else ED,
        SigningKey.generate() if broken == "ed25519" else LATTICE,
    )
    text = SIGNED[:-3373]
    label = b"bellwire channel certificate 1"
    # What the forger signs names the authority that it poses as.
    forged.public = BOTH.public
    with pytest.raises(CertificateRefused, match="signatures"):
        read_certificate(text + forged.sign(text, label), BOTH.public, Role.DEVICE)


def test_signatures_made_under_two_keys_say_nothing_under_one_of_them() -> None:
    for name in ("ed25519", "lattice"):
        alone = AUTHORITIES[name].public
        for stripped in (SIGNED[:-3309], SIGNED[:-3373] + SIGNED[-3309:]):
            with pytest.raises(CertificateRefused):
                read_certificate(stripped, alone, Role.DEVICE)
            renamed = stripped[:38] + alone.fingerprint + stripped[70:]
            with pytest.raises(CertificateRefused):
                read_certificate(renamed, alone, Role.DEVICE)


def test_roles_are_not_swapped() -> None:
    with pytest.raises(CertificateRefused, match="of a cloud"):
        read_certificate(SIGNED, BOTH.public, Role.CLOUD)
    with pytest.raises(CertificateRefused):
        read_certificate(SIGNED[:5] + b"\x02" + SIGNED[6:], BOTH.public, Role.CLOUD)


@pytest.mark.parametrize(
    ("now", "says"), [(999.9, "not yet"), (2000.0, "expired"), (1e18, "expired")]
)
def test_a_certificate_counts_in_its_time_alone(now: float, says: str) -> None:
    with pytest.raises(CertificateRefused, match=says):
        Trust(BOTH.public).check(SIGNED, Role.DEVICE, now)
    assert Trust(BOTH.public).check(SIGNED, Role.DEVICE, 1999.9) == CERTIFICATE


def test_a_revoked_certificate_does_not_count() -> None:
    signed = RevocationList(7, 1500, frozenset({b"s" * 16, b"t" * 16})).sign(BOTH)
    found = read_revoked(signed, BOTH.public)
    assert (found.number, found.issued, len(found.serials)) == (7, 1500, 2)
    with pytest.raises(CertificateRefused, match="revoked"):
        Trust(BOTH.public, found.serials).check(SIGNED, Role.DEVICE, 1500.0)
    assert Trust(BOTH.public, frozenset({b"t" * 16})).check(SIGNED, Role.DEVICE, 1500.0)


def test_an_altered_list_is_refused_and_a_certificate_is_no_list() -> None:
    signed = RevocationList(7, 1500, frozenset({b"s" * 16})).sign(BOTH)
    for bit in range(0, 8 * len(signed), 61):
        with pytest.raises(CertificateRefused):
            read_revoked(flip(signed, bit), BOTH.public)
    for data in (SIGNED, signed[:-1], signed + b"\0", b""):
        with pytest.raises(CertificateRefused):
            read_revoked(data, BOTH.public)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "n" * 241},
        {"serial": b"short"},
        {"not_before": 2000},
        {"not_before": -1},
        {"not_after": 2**63},
    ],
    ids=str,
)
def test_a_malformed_certificate_is_not_signed(changes: dict[str, object]) -> None:
    with pytest.raises(ChannelMisuse):
        dataclasses.replace(CERTIFICATE, **changes).sign(BOTH)  # type: ignore[arg-type] # as given


def test_a_malformed_public_key_is_neither_signed_nor_taken() -> None:
    bad = dataclasses.replace(CERTIFICATE, public=b"\xff" * 1216)
    with pytest.raises(KemRefused):
        bad.sign(BOTH)
    text = SIGNED[: -3373 - 1216] + bad.public
    with pytest.raises(CertificateRefused, match="malformed"):
        read_certificate(
            text + BOTH.sign(text, b"bellwire channel certificate 1"), BOTH.public, Role.DEVICE
        )


def shake_hands(
    certificate: bytes, identity: XWingPrivateKey = DEVICE, trust: Trust | None = None
) -> tuple[Session, Session]:
    """A handshake with a responder that has no list."""

    def certified(data: bytes) -> bytes:
        return (trust or Trust(BOTH.public)).check(data, Role.DEVICE, 1500.0).public

    initiator = Initiator(
        identity=identity,
        responder_name=NAME,
        responder_public=CLOUD.public_bytes,
        policy=Policy.OFF,
        qkd=None,
        counter=1,
        certificate=certificate,
    )
    responder = Responder(
        identity=CLOUD,
        name=NAME,
        initiators=lambda _: None,
        policy=Policy.PREFER,
        last_counter=lambda _: 0,
        certified=certified,
    )
    hello = Gate(CLOUD.public_bytes).admit(initiator.hello(), SOURCE, 0.0)
    assert not isinstance(hello, Retry)
    responder.receive_hello(hello)
    confirm, at_initiator = initiator.receive(responder.answer(None))
    assert at_initiator is not None
    return at_initiator, responder.receive_confirmation(confirm)


@EACH
def test_an_end_with_a_certificate_needs_no_place_on_a_list(authority: CompositeKey) -> None:
    trust = Trust(authority.public)
    initiator, responder = shake_hands(CERTIFICATE.sign(authority), trust=trust)
    assert responder.open(initiator.seal(b"up")) == b"up"
    assert initiator.open(responder.seal(b"down")) == b"down"
    assert responder.peer == fingerprint(DEVICE.public_bytes)


def test_a_certificate_of_another_serves_nobody() -> None:
    with pytest.raises(HandshakeFailed, match="another's") as caught:
        shake_hands(SIGNED, identity=STRANGER)
    assert caught.value.alert is not None


@pytest.mark.parametrize(
    ("certificate", "trust", "says"),
    [
        (SIGNED, Trust(AUTHORITIES["ed25519"].public), "our authority"),
        (SIGNED, Trust(BOTH.public, frozenset({b"s" * 16})), "revoked"),
        (dataclasses.replace(CERTIFICATE, not_after=1400).sign(BOTH), None, "expired"),
        (dataclasses.replace(CERTIFICATE, role=Role.CLOUD).sign(BOTH), None, "of a device"),
        (b"", None, "enrolled"),
    ],
    ids=["authority", "revoked", "expired", "role", "none"],
)
def test_what_does_not_count_is_refused_under_seal(
    certificate: bytes, trust: Trust | None, says: str
) -> None:
    with pytest.raises(HandshakeFailed, match=says) as caught:
        shake_hands(certificate, trust=trust)
    assert caught.value.alert is not None


def test_a_certificate_for_the_responder_s_own_key_is_refused() -> None:
    own = dataclasses.replace(CERTIFICATE, public=CLOUD.public_bytes).sign(BOTH)
    with pytest.raises(ChannelMisuse, match="our own"):
        shake_hands(own, identity=CLOUD)
