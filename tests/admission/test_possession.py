"""Who proves what: each key, this name, this server, once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.possession import transcript

from bellwire.admission.errors import PossessionUnproven, PossessionUnusable
from bellwire.admission.possession import (
    PUBLIC_BYTES,
    Challenge,
    _tag,
    generate,
    prove,
    public_bytes,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "admission" / "possession.json"

ALL = {kind: generate(kind) for kind in PUBLIC_BYTES}
PUBLIC = {kind: public_bytes(key) for kind, key in ALL.items()}
SERVER, HANDLE = "admission.example", "alice"


def challenge(server: str = SERVER, handle: str = HANDLE) -> Challenge:
    return Challenge.issue(server, handle, PUBLIC)


def answer(one: Challenge) -> dict[str, bytes]:
    return prove(one.server, one.handle, ALL, one.nonce, one.ciphertexts)


def test_whoever_holds_all_keys_is_believed() -> None:
    one = challenge()
    one.verify(answer(one))


@pytest.mark.parametrize("kind", PUBLIC_BYTES)
def test_a_proof_by_another_key_is_not_believed(kind: str) -> None:
    one = challenge()
    others = {**ALL, kind: generate(kind)}
    proofs = prove(SERVER, HANDLE, others, one.nonce, one.ciphertexts)
    with pytest.raises(PossessionUnproven):
        one.verify({**answer(one), kind: proofs[kind]})


@pytest.mark.parametrize("kind", PUBLIC_BYTES)
@pytest.mark.parametrize(
    "other",
    [
        lambda one: challenge(),
        lambda one: replace(one, handle="alicf"),
        lambda one: replace(one, server="admission.exampl"),
        lambda one: replace(one, nonce=bytes(32)),
    ],
    ids=["second time", "other name", "other server", "other nonce"],
)
def test_a_proof_serves_for_one_challenge(kind: str, other: object) -> None:
    assert callable(other)
    one = challenge()
    proofs = answer(one)
    second = other(one)
    fresh = prove(second.server, second.handle, ALL, second.nonce, second.ciphertexts)
    with pytest.raises(PossessionUnproven, match=kind):
        second.verify({**fresh, kind: proofs[kind]})


def test_a_proof_names_all_keys() -> None:
    one = challenge()
    alone = Challenge.issue(SERVER, HANDLE, {"ed25519": PUBLIC["ed25519"]})
    less = replace(alone, nonce=one.nonce)
    with pytest.raises(PossessionUnproven, match="for this challenge"):
        less.verify({"ed25519": answer(one)["ed25519"]})


def test_proofs_are_of_all_keys_and_no_other() -> None:
    one = challenge()
    whole = answer(one)
    for kind in PUBLIC_BYTES:
        with pytest.raises(PossessionUnproven, match="each, and no other"):
            one.verify({name: proof for name, proof in whole.items() if name != kind})
    with pytest.raises(PossessionUnproven, match="each, and no other"):
        one.verify({**whole, "rsa": b""})


@given(st.sampled_from(sorted(PUBLIC_BYTES)), st.binary(max_size=64), st.integers(0, 8 * 3309))
def test_any_damage_is_noticed(kind: str, noise: bytes, place: int) -> None:
    one = challenge()
    proofs = answer(one)
    flipped = bytearray(proofs[kind])
    place %= 8 * len(flipped)
    flipped[place // 8] ^= 1 << place % 8
    for damaged in (bytes(flipped), noise, proofs[kind] + b"\0", proofs[kind][:-1]):
        with pytest.raises(PossessionUnproven):
            one.verify({**proofs, kind: damaged})


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({}, "at least one key that signs"),
        ({"ml-kem-768": PUBLIC["ml-kem-768"]}, "at least one key that signs"),
        ({"rsa": b"x"}, "kind out of"),
        ({"ed25519": b"x" * 31}, "32 bytes of a key ed25519, got 31"),
        ({"p-256": b"\x04" + bytes(64)}, "a key p-256"),
        ({"p-256": b"\x02" + PUBLIC["p-256"][1:]}, "a key p-256"),
        ({"ed25519": PUBLIC["ed25519"], "ml-kem-768": b"\xff" * 1184}, "a key ml-kem-768"),
        ({"ed25519": PUBLIC["ed25519"], "x25519": bytes(32)}, "a key x25519"),
        ({"x25519": PUBLIC["x25519"]}, "at least one key that signs"),
    ],
)
def test_keys_that_are_none_are_refused(keys: dict[str, bytes], word: str) -> None:
    with pytest.raises(PossessionUnusable, match=word):
        Challenge.issue(SERVER, HANDLE, keys)


@pytest.mark.parametrize(
    "case", json.loads(VECTORS.read_text()), ids=lambda case: len(case["keys"])
)
def test_the_transcript_is_that_of_the_page(case: dict[str, Any]) -> None:
    keys = {kind: bytes.fromhex(each) for kind, each in case["keys"].items()}
    ciphertexts = {kind: bytes.fromhex(each) for kind, each in case["ciphertexts"].items()}
    nonce = bytes.fromhex(case["nonce"])
    one = Challenge(case["server"], case["name"], keys, nonce, ciphertexts, {})
    assert one.transcript.hex() == case["transcript"]
    again = transcript(case["server"], case["name"], nonce, keys, ciphertexts)
    assert again == one.transcript
    assert _tag(bytes.fromhex(case["secret"]), one.transcript).hex() == case["tag"]


def test_nothing_secret_shows() -> None:
    one = challenge()
    for secret in one._secrets.values():
        assert secret.hex() not in repr(one)
        assert repr(secret) not in repr(one)


def test_a_challenge_that_is_none_is_refused_by_the_newcomer() -> None:
    one = challenge()
    for nonce, ciphertexts in (
        (b"", one.ciphertexts),
        (one.nonce, {}),
        (one.nonce, {**one.ciphertexts, "ml-kem-768": b"short"}),
        (one.nonce, {**one.ciphertexts, "x25519": b"short"}),
        (one.nonce, {**one.ciphertexts, "x25519": bytes(32)}),
    ):
        with pytest.raises(PossessionUnusable):
            prove(SERVER, HANDLE, ALL, nonce, ciphertexts)
