"""Signed first contact: both sides agree or nobody is told to store, whatever Eve does."""

import itertools
import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import first_contact as reference

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.crypto import kem
from bellwire.crypto.errors import LengthError
from bellwire.crypto.signatures import SIGNATURE_BYTES, SigningKey, fingerprint
from bellwire.distill.contact_frames import (
    ANSWER_OPEN_BYTES,
    HEADER_BYTES,
    MAX_FRAME,
    Kind,
    header,
    is_first_contact,
    refusal,
    split,
)
from bellwire.distill.errors import (
    ContactRefused,
    DistillError,
    MalformedMessage,
    ParameterError,
    PeerMismatch,
    Refusal,
)
from bellwire.distill.first_contact import KEY_BYTES, SETS, Agreement, Alice, Bob
from bellwire.distill.line import Line
from bellwire.keys.reserve import SET_BYTES, cut_preplaced, preplaced_bytes
from bellwire.node.first_contact import PREPLACED_SETS

ALICE, BOB, EVE = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
NAMES = {key: fingerprint(key.public_bytes) for key in (ALICE, BOB, EVE)}
Wire = Callable[[Kind, bytes], bytes]


def ends(
    *,
    alice: SigningKey = ALICE,
    bob: SigningKey = BOB,
    pins: tuple[SigningKey, SigningKey] | None = None,
) -> tuple[Alice, Bob]:
    """Both sides; `pins` are whom Alice expects and whom Bob expects."""
    theirs, hers = pins or (BOB, ALICE)
    return (
        Alice(alice, NAMES[theirs], secrets.token_bytes),
        Bob(bob, NAMES[hers], secrets.token_bytes),
    )


def exchange(alice: Alice, bob: Bob, wire: Wire = lambda kind, frame: frame) -> list[Agreement]:
    """Run an exchange to its end; what each side was told to store, Bob's first."""
    told: list[Agreement] = []
    try:
        answer = bob.receive_hello(wire(Kind.HELLO, alice.hello()))
        proof = alice.receive_answer(wire(Kind.ANSWER, answer))
        told.append(bob.receive_proof(wire(Kind.PROOF, proof)))
        told.append(alice.receive_stored(wire(Kind.STORED, bob.stored())))
    except DistillError:
        pass
    return told


def test_both_sides_agree_on_a_key_that_is_laid_out_as_a_pre_placed_one() -> None:
    bobs, alices = exchange(*ends())
    assert alices.key == bobs.key
    assert alices.exchange == bobs.exchange
    assert (alices.peer, bobs.peer) == (NAMES[BOB], NAMES[ALICE])
    assert len(alices.key) == KEY_BYTES == preplaced_bytes(PREPLACED_SETS)
    fixed, sets = cut_preplaced(alices.key)
    assert len(sets) == SETS
    pieces = [fixed[:32], fixed[32:48], fixed[48:], *sets]
    assert len(set(pieces)) == len(pieces)
    assert all(len(each) == SET_BYTES for each in sets)


def test_two_exchanges_have_nothing_in_common() -> None:
    (first, _), (second, _) = exchange(*ends()), exchange(*ends())
    assert first.exchange != second.exchange
    assert first.key != second.key


def test_a_key_does_not_show_itself() -> None:
    bobs, _ = exchange(*ends())
    assert isinstance(bobs.key, Secret)
    assert bobs.key.reveal().hex()[:8] not in repr(bobs)


# -- what crosses the wire ---------------------------------------------------------------------

LENGTHS = {Kind.HELLO: 3206, Kind.ANSWER: 6451, Kind.PROOF: 3347, Kind.STORED: 38}
"""As spec/first-contact.md says."""


def places(kind: Kind) -> list[int]:
    """First and last byte of every part of a frame, and one within."""
    edges = {
        Kind.HELLO: [0, 4, 5, 6, 38, 38 + 1952, 38 + 1952 + 1184],
        Kind.ANSWER: [0, 4, 5, 6, 38, 38 + 1952, 38 + 1952 + 1088, 6 + ANSWER_OPEN_BYTES,
                      6 + ANSWER_OPEN_BYTES + SIGNATURE_BYTES],
        Kind.PROOF: [0, 4, 5, 6, 6 + SIGNATURE_BYTES],
        Kind.STORED: [0, 4, 5, 6],
    }[kind] + [LENGTHS[kind]]  # fmt: skip
    parts = itertools.pairwise(edges)
    return sorted({at for start, end in parts for at in (start, (start + end) // 2, end - 1)})


@pytest.mark.parametrize(
    ("kind", "at"), [(kind, at) for kind in LENGTHS for at in places(kind)], ids=str
)
def test_a_byte_altered_anywhere_lets_nobody_store_another_key(kind: Kind, at: int) -> None:
    met: list[Kind] = []

    def wire(sent: Kind, frame: bytes) -> bytes:
        met.append(sent)
        assert len(frame) == LENGTHS[sent]
        if sent is not kind:
            return frame
        return frame[:at] + bytes([frame[at] ^ 0x40]) + frame[at + 1 :]

    told = exchange(*ends(), wire)
    assert kind in met
    # Only the last message lost leaves Bob with a key, one that Alice never takes.
    assert len(told) == (1 if kind is Kind.STORED else 0)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_arrives_in_place_of_a_message_is_refused_and_nothing_else(
    data: st.DataObject,
) -> None:
    kind = data.draw(st.sampled_from(list(LENGTHS)))

    def wire(sent: Kind, frame: bytes) -> bytes:
        if sent is not kind:
            return frame
        cut = data.draw(st.integers(0, len(frame) - 1))
        forms = [
            st.just(frame[:cut]),
            st.just(frame + b"\0"),
            st.binary(max_size=64),
            st.binary(min_size=len(frame) - 6, max_size=len(frame) - 6).map(
                lambda body: header(sent) + body
            ),
        ]
        arrives: bytes = data.draw(st.one_of(*forms))
        return arrives

    assert len(exchange(*ends(), wire)) == (1 if kind is Kind.STORED else 0)


def test_messages_of_another_exchange_are_not_this_one_s() -> None:
    """Each message of one exchange, replayed in another between the same two."""
    recorded: dict[Kind, bytes] = {}

    def record(kind: Kind, frame: bytes) -> bytes:
        recorded[kind] = frame
        return frame

    assert len(exchange(*ends(), record)) == 2
    for replayed in LENGTHS:

        def replay(kind: Kind, frame: bytes, old: Kind = replayed) -> bytes:
            return recorded[old] if kind is old else frame

        assert len(exchange(*ends(), replay)) == (1 if replayed is Kind.STORED else 0)


def test_every_old_message_together_convinces_nobody() -> None:
    alice, bob = ends()
    answer = bob.receive_hello(hello := alice.hello())
    proof = alice.receive_answer(answer)
    alice, bob = ends()
    bob.receive_hello(hello)
    with pytest.raises(ContactRefused, match="alice's signature"):
        bob.receive_proof(proof)
    alice.hello()
    with pytest.raises(ContactRefused, match="bob's signature"):
        alice.receive_answer(answer)


def test_what_alice_says_does_not_come_back_to_her_as_bob_s() -> None:
    alice, bob = ends()
    hello = alice.hello()
    with pytest.raises(MalformedMessage, match="expected answer"):
        alice.receive_answer(hello)
    # Nor does her signature in an answer: identities, kinds and contexts differ.
    alice, bob = ends()
    answer = bob.receive_hello(alice.hello())
    proof = alice.receive_answer(answer)
    other, _ = ends()
    other.hello()
    reflected = answer[: HEADER_BYTES + ANSWER_OPEN_BYTES] + proof[HEADER_BYTES:]
    with pytest.raises(ContactRefused, match="bob's signature"):
        other.receive_answer(reflected)


def test_a_signature_of_the_right_exchange_in_the_other_role_is_refused() -> None:
    """Bob's own proof, sent back to him as Alice's."""
    alice, bob = ends()
    answer = bob.receive_hello(alice.hello())
    with pytest.raises(ContactRefused, match="alice's signature"):
        bob.receive_proof(header(Kind.PROOF) + answer[HEADER_BYTES + ANSWER_OPEN_BYTES :])


# -- who is at the other end -------------------------------------------------------------------


def test_a_caller_whom_bob_does_not_expect_is_refused_before_he_signs_anything() -> None:
    alice, bob = ends(alice=EVE)
    with pytest.raises(ContactRefused, match=NAMES[EVE].hex()) as caught:
        bob.receive_hello(alice.hello())
    assert caught.value.reason is Refusal.IDENTITY
    assert caught.value.exit_code == 3


def test_a_bob_whom_alice_does_not_expect_is_refused() -> None:
    alice, bob = ends(bob=EVE)
    with pytest.raises(ContactRefused, match=NAMES[EVE].hex()):
        alice.receive_answer(bob.receive_hello(alice.hello()))


def test_eve_under_another_s_name_lacks_the_signature() -> None:
    """She sends the right public key with her own signature: in either role."""
    alice, _ = ends()
    hello = alice.hello()
    eve = Bob(EVE, NAMES[ALICE], secrets.token_bytes)
    answer = eve.receive_hello(hello)
    start = HEADER_BYTES + 32
    posing = answer[:start] + BOB.public_bytes + answer[start + len(BOB.public_bytes) :]
    with pytest.raises(ContactRefused, match="bob's signature"):
        alice.receive_answer(posing)

    _, bob = ends()
    eve_calls = Alice(EVE, NAMES[BOB], secrets.token_bytes)
    hers = eve_calls.hello()
    bob.receive_hello(hers[:start] + ALICE.public_bytes + hers[start + 1952 :])
    with pytest.raises(ContactRefused, match="alice's signature"):
        bob.receive_proof(header(Kind.PROOF) + secrets.token_bytes(SIGNATURE_BYTES + 32))


def test_eve_between_two_honest_sides_cannot_make_them_believe_in_different_peers() -> None:
    """Unknown key share: Bob expects Eve as well, and she passes Alice's exchange off as hers."""
    alice = Alice(ALICE, NAMES[BOB], secrets.token_bytes)
    bob_for_eve = Bob(BOB, NAMES[EVE], secrets.token_bytes)
    hello = alice.hello()
    start = HEADER_BYTES + 32
    answer = bob_for_eve.receive_hello(
        hello[:start] + EVE.public_bytes + hello[start + len(EVE.public_bytes) :]
    )
    with pytest.raises(ContactRefused, match="bob's signature"):
        alice.receive_answer(answer)


def test_a_right_signature_over_a_secret_that_the_signer_lacks_is_refused() -> None:
    alice, bob = ends()
    answer = bytearray(bob.receive_hello(alice.hello()))
    answer[-1] ^= 1
    with pytest.raises(ContactRefused, match="confirm the secret"):
        alice.receive_answer(bytes(answer))


def test_our_own_fingerprint_is_nobody_s_pin() -> None:
    for end in (Alice, Bob):
        with pytest.raises(ParameterError, match="that of our own"):
            end(ALICE, NAMES[ALICE], secrets.token_bytes)


def test_a_public_key_that_nobody_can_encapsulate_to_is_malformed() -> None:
    alice, bob = ends()
    hello = alice.hello()
    with pytest.raises(MalformedMessage, match="out of range"):
        bob.receive_hello(hello[: -kem.PUBLIC_BYTES] + b"\xff" * kem.PUBLIC_BYTES)
    _, bob = ends()
    with pytest.raises(MalformedMessage, match="low order"):
        bob.receive_hello(hello[:-32] + bytes(32))
    answer = ends()[1].receive_hello(hello)
    at = HEADER_BYTES + ANSWER_OPEN_BYTES
    with pytest.raises(MalformedMessage, match="low order"):
        alice.receive_answer(answer[: at - 32] + bytes(32) + answer[at:])


# -- frames ------------------------------------------------------------------------------------


def test_another_version_is_named_and_a_refusal_is_understood_in_every_version() -> None:
    alice, bob = ends()
    hello = bytearray(alice.hello())
    hello[4] = 2
    with pytest.raises(PeerMismatch, match="expected version 1 of first contact, got 2"):
        bob.receive_hello(bytes(hello))
    for why, words in [
        (Refusal.VERSION, "another version"),
        (Refusal.IDENTITY, "another identity"),
        (Refusal.KEY_HELD, "holds a key already"),
        (Refusal.NOT_ACCEPTED, "did not accept"),
    ]:
        alice, _ = ends()
        alice.hello()
        told = bytearray(refusal(why))
        told[4] = 9
        with pytest.raises(ContactRefused, match=words) as caught:
            alice.receive_answer(bytes(told))
        assert caught.value.reason is why
    with pytest.raises(ContactRefused, match="did not accept"):
        split(header(Kind.REFUSED) + b"\xff", Kind.STORED)


def test_alice_never_refuses_so_bob_takes_no_refusal() -> None:
    _, bob = ends()
    with pytest.raises(MalformedMessage):
        bob.receive_hello(refusal(Refusal.IDENTITY))


def test_a_frame_of_the_line_is_never_taken_for_first_contact() -> None:
    line = Line(Side.ALICE, Secret(bytes(32)), bytes(32))
    assert not is_first_contact(line.hello())
    with pytest.raises(MalformedMessage, match=r"got another") as caught:
        split(line.hello(), Kind.ANSWER)
    assert "first_contact.method" in (caught.value.hint or "")


def test_the_largest_frame_is_the_answer() -> None:
    assert max(LENGTHS.values()) == MAX_FRAME


# -- one object, one exchange ------------------------------------------------------------------


def test_an_exchange_that_failed_does_not_go_on() -> None:
    alice, bob = ends()
    answer = bob.receive_hello(alice.hello())
    with pytest.raises(MalformedMessage):
        alice.receive_answer(answer[:-1])
    with pytest.raises(RuntimeError):
        alice.receive_answer(answer)
    with pytest.raises(MalformedMessage):
        bob.receive_proof(b"")
    for again in (bob.stored, lambda: bob.receive_proof(b"")):
        with pytest.raises(RuntimeError):
            again()


def test_steps_out_of_order_are_our_own_mistake() -> None:
    alice, bob = ends()
    with pytest.raises(RuntimeError):
        alice.receive_stored(b"")
    with pytest.raises(RuntimeError):
        bob.stored()
    alice.hello()
    with pytest.raises(RuntimeError):
        alice.hello()


def test_a_short_seed_is_refused_before_it_becomes_a_key() -> None:
    alice = Alice(ALICE, NAMES[BOB], lambda count: secrets.token_bytes(count)[:-1])
    with pytest.raises(LengthError):
        alice.hello()


# -- another implementation of the same page ---------------------------------------------------

VECTOR = {
    name: bytes.fromhex(value)
    for name, value in json.loads(
        (Path(__file__).parents[2] / "vectors" / "first-contact" / "exchange.json").read_text()
    ).items()
}
"""One exchange that the reference made, every byte of it."""


def test_the_recorded_exchange_gives_alice_the_recorded_key() -> None:
    drawn = iter([VECTOR["nonce_alice"], VECTOR["ephemeral_seed"]])
    alice = Alice(
        SigningKey(VECTOR["alice_seed"]),
        fingerprint(SigningKey(VECTOR["bob_seed"]).public_bytes),
        lambda count: next(drawn),
    )
    assert alice.hello() == VECTOR["hello"]
    proof = alice.receive_answer(VECTOR["answer"])
    assert len(proof) == len(VECTOR["proof"])
    agreement = alice.receive_stored(VECTOR["stored"])
    assert agreement.exchange == VECTOR["exchange"]
    assert agreement.key == Secret(VECTOR["key"])


def test_the_reference_reads_the_recorded_exchange_alike() -> None:
    ephemeral = reference.Ephemeral(VECTOR["ephemeral_seed"])
    hello = reference.hello(VECTOR["alice_seed"], VECTOR["nonce_alice"], ephemeral)
    opened = reference.opened(VECTOR["bob_seed"], VECTOR["nonce_bob"], VECTOR["ciphertext"])
    assert hello == VECTOR["hello"]
    assert VECTOR["answer"].startswith(opened)
    shared = reference.Shared(hello, opened, ephemeral.open(VECTOR["ciphertext"]))
    assert shared.secret == VECTOR["secret"]
    assert shared.exchange == VECTOR["exchange"]
    bobs, alices = VECTOR["answer"][len(opened) :], VECTOR["proof"][HEADER_BYTES:]
    shared.check(bobs, reference.public_of(VECTOR["bob_seed"]), b"bob")
    shared.check(alices, reference.public_of(VECTOR["alice_seed"]), b"alice")
    assert shared.stored() == VECTOR["stored"]
    assert shared.key() == VECTOR["key"]


def test_bob_agrees_with_an_alice_of_the_reference() -> None:
    ephemeral = reference.Ephemeral(bytes(range(32)))
    seed = bytes([1]) * 32
    bob = Bob(BOB, NAMES[ALICE], secrets.token_bytes)
    hello = reference.hello(seed, bytes(32), ephemeral)
    answer = bob.receive_hello(hello)
    opened = answer[: HEADER_BYTES + ANSWER_OPEN_BYTES]
    shared = reference.Shared(hello, opened, ephemeral.open(opened[-kem.CIPHERTEXT_BYTES :]))
    shared.check(answer[len(opened) :], BOB.public_bytes, b"bob")
    agreement = bob.receive_proof(reference.PROOF + shared.proof(seed, b"alice"))
    assert agreement.key == Secret(shared.key())
    assert bob.stored() == shared.stored()


def test_alice_agrees_with_a_bob_of_the_reference() -> None:
    seed = bytes([2]) * 32
    alice = Alice(ALICE, NAMES[BOB], secrets.token_bytes)
    hello = alice.hello()
    ciphertext, secret = reference.encapsulate(hello[-kem.PUBLIC_BYTES :], bytes([7]) * 32)
    opened = reference.opened(seed, bytes(32), ciphertext)
    shared = reference.Shared(hello, opened, secret)
    proof = alice.receive_answer(opened + shared.proof(seed, b"bob"))
    shared.check(proof[HEADER_BYTES:], ALICE.public_bytes, b"alice")
    assert alice.receive_stored(shared.stored()).key == Secret(shared.key())
