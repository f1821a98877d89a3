"""Notes, checkpoints, keys and policies: as published, and against whoever alters them."""

import base64
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.logs import (
    ED25519,
    LOG,
    MLDSA44,
    ORIGIN,
    TIME,
    WITNESSES,
    SmallLog,
    numbered,
    signed,
)

from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.crypto import mldsa44
from bellwire.crypto.ed25519 import Ed25519Key
from bellwire.crypto.ed25519 import verify as verify_ed25519
from bellwire.crypto.errors import LengthError, SignatureInvalid
from bellwire.ledger.checkpoint import Checkpoint, parse_checkpoint
from bellwire.ledger.errors import (
    CheckpointUntrusted,
    InclusionMismatch,
    NoteMalformed,
    PolicyUnusable,
    ReceiptMalformed,
    TooFewWitnesses,
    VerifierKeyUnusable,
)
from bellwire.ledger.note import MAX_SIGNATURES, Note, SignatureLine, parse_note, parse_signature
from bellwire.ledger.policy import (
    Group,
    Policy,
    of_witnesses,
    parse_policy,
    verify_checkpoint,
)
from bellwire.ledger.receipt import Receipt, is_receipt, parse_receipt, verify_receipt
from bellwire.ledger.signing import Signer, verify_signature, witness_signers
from bellwire.ledger.text import from_base64, to_base64, to_hash, to_number
from bellwire.ledger.tree import EMPTY_ROOT, leaf_hash
from bellwire.ledger.verifier_keys import KeyKind, VerifierKey, parse_vkey

FOLDER = Path(__file__).parents[2] / "vectors" / "tlog"
NOTES: dict[str, Any] = json.loads((FOLDER / "notes.json").read_text())
OF_GO: dict[str, str] = json.loads((FOLDER / "mldsa44-checkpoint.json").read_text())
KEYS = {name: parse_vkey(text) for name, text in NOTES["keys"].items()}
TEXT: str = NOTES["text"]
PETER: str = NOTES["signatures"]["PeterNeumann"]
ENOCH: str = NOTES["signatures"]["EnochRoot"]
QUORUM = of_witnesses([each.verifier for each in LOG], [both[1].verifier for both in WITNESSES], 2)


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return SmallLog(numbered(300))


# As published


def test_the_checkpoint_that_the_consoles_pages_are_tried_with_is_witnessed() -> None:
    kept = json.loads((FOLDER.parent / "ledger" / "witnessed.json").read_text())
    note = parse_note(kept["checkpoint"].encode())
    found = verify_checkpoint(note, parse_policy(kept["policy"].encode()))
    assert [each.name for each in found.witnesses] == ["one", "two"]


def test_the_published_note_parses_and_its_signatures_hold() -> None:
    note = parse_note((TEXT + "\n" + PETER + ENOCH).encode())
    assert note.text == TEXT
    assert note.encode() == (TEXT + "\n" + PETER + ENOCH).encode()
    for line, name in zip(note.signatures, ("PeterNeumann", "EnochRoot"), strict=True):
        key = KEYS[name]
        assert (line.name, line.key_id) == (key.name, key.key_id)
        verify_ed25519(key.public, line.signature, note.text.encode())


def test_the_published_private_key_makes_the_published_signature() -> None:
    seed = base64.b64decode(NOTES["private_key"].split("+", 4)[4])[1:]
    key = VerifierKey("PeterNeumann", KeyKind.ED25519, Ed25519Key(seed).public_bytes)
    assert str(key) == NOTES["keys"]["PeterNeumann"]
    line = SignatureLine(key.name, key.key_id, Ed25519Key(seed).sign(TEXT.encode()))
    assert str(line) == PETER


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        (TEXT + "\n").encode(),
        (TEXT + "\n" + PETER[:-1]).encode(),
        ("\x01" + TEXT + "\n" + PETER).encode(),
        b"\xff" + (TEXT + "\n" + PETER).encode(),
        (TEXT + "\n" + PETER.replace("PeterNeumann", "Bad Name")).encode(),
        (TEXT + "\n" + PETER + "Unexpected line.\n").encode(),
        (TEXT + "\n" + PETER * 101).encode(),
        b"",
        b"\n\n",
        ("\n\n" + PETER).encode(),
    ],
)
def test_the_notes_that_are_refused_elsewhere_are_refused_here(data: bytes) -> None:
    with pytest.raises(NoteMalformed):
        parse_note(data)


def test_the_published_manglings_of_a_key_are_refused() -> None:
    text: str = NOTES["keys"]["PeterNeumann"]
    mangled = {text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)} - {text}
    mangled |= {text[:i] + chr(ord(text[i]) + 1) + text[i + 1 :] for i in range(len(text))}
    for each in [*mangled, *NOTES["bad_keys"], ""]:
        with pytest.raises(VerifierKeyUnusable):
            parse_vkey(each)


def test_a_checkpoint_that_go_signed_with_mldsa44_is_trusted() -> None:
    key = parse_vkey(OF_GO["vkey"])
    note = parse_note(OF_GO["checkpoint"].encode())
    trusted = verify_checkpoint(note, Policy((key,)))
    assert (trusted.checkpoint.origin, trusted.checkpoint.size) == ("example.com/mldsa-log", 1)
    assert trusted.log == key
    assert trusted.log_time == 0
    assert str(key) == OF_GO["vkey"]
    assert note.encode() == OF_GO["checkpoint"].encode()


def test_every_change_of_the_checkpoint_that_go_signed_is_refused() -> None:
    key, data = parse_vkey(OF_GO["vkey"]), OF_GO["checkpoint"].encode()
    rng = random.Random(44)
    for at in [*range(70), *rng.sample(range(len(data)), 60)]:
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << rng.randrange(7)
        with pytest.raises((NoteMalformed, CheckpointUntrusted)):
            verify_checkpoint(parse_note(bytes(spoilt)), Policy((key,)))


# Text


@pytest.mark.parametrize(
    "text",
    [
        "AA=",
        "AA",
        "AA==\n",
        " AA==",
        "AA==AA==",
        "A A=",
        "AB==",
        "AAB=",
        "AA=A",
        "_-==",
        "ÄA==",
        "=",
    ],
)
def test_base64_that_is_not_the_one_way_to_write_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        from_base64(text)


@pytest.mark.parametrize("text", ["", "00", "01", "-1", "+1", "1 ", "1_0", "٣", "9" * 19, "1" * 40])
def test_a_number_that_is_not_the_one_way_to_write_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        to_number(text)


def test_base64_numbers_and_hashes_come_back() -> None:
    assert to_number("0") == 0
    assert to_number(str(2**63 - 1)) == 2**63 - 1
    for length in range(5):
        assert from_base64(to_base64(bytes(length))) == bytes(length)
    assert to_hash(to_base64(EMPTY_ROOT)) == EMPTY_ROOT
    with pytest.raises(ValueError, match="hash"):
        to_hash(to_base64(bytes(31)))


def test_a_note_has_a_bounded_number_of_signatures() -> None:
    most = (TEXT + "\n" + PETER * MAX_SIGNATURES).encode()
    assert len(parse_note(most).signatures) == MAX_SIGNATURES >= 16
    with pytest.raises(NoteMalformed, match="signatures"):
        parse_note(most + PETER.encode())
    with pytest.raises(NoteMalformed, match="bytes"):
        parse_note(b"x" * 300_000)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\x7fb", "x" * 256])
def test_a_name_that_no_key_may_have_is_refused(name: str) -> None:
    with pytest.raises(VerifierKeyUnusable):
        VerifierKey(name, KeyKind.ED25519, bytes(32))
    with pytest.raises(NoteMalformed):
        parse_signature(f"— {name} {to_base64(bytes(8))}")


@pytest.mark.parametrize(
    "text",
    [
        "origin\n5\n",
        f"origin\n05\n{to_base64(bytes(32))}\n",
        f"origin\n5\n{to_base64(bytes(31))}\n",
        f"\n5\n{to_base64(bytes(32))}\n",
        f"origin\n5\n{to_base64(bytes(32))}\n\n",
        f"origin\n5\n{to_base64(bytes(32))}",
        f"origin\n0\n{to_base64(bytes(32))}\n",
        f"{'o' * 256}\n5\n{to_base64(bytes(32))}\n",
        f"origin\n5\n{to_base64(bytes(32))}\n" + "more\n" * 17,
        f"origin\n{2**63}\n{to_base64(bytes(32))}\n",
    ],
)
def test_a_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteMalformed):
        parse_checkpoint(text)


def test_an_origin_may_be_any_line_and_extensions_come_back() -> None:
    checkpoint = Checkpoint("any words + signs", 5, bytes(32), ("one", "two"))
    assert parse_checkpoint(checkpoint.text) == checkpoint


# Signatures


@pytest.mark.parametrize("signer", [*LOG, *WITNESSES[0]], ids=lambda each: each.verifier.kind.name)
def test_each_kind_signs_what_is_signed_and_nothing_else(log: SmallLog, signer: Signer) -> None:
    checkpoint, key = log.checkpoint(), signer.verifier
    line = signer.sign(checkpoint, TIME)
    time = None if key.kind is KeyKind.ED25519 else TIME
    assert verify_signature(key, line, checkpoint) == time
    flipped = bytes([checkpoint.root[0] ^ 1]) + checkpoint.root[1:]
    for other in (
        replace(checkpoint, origin="log.example/other"),
        replace(checkpoint, size=checkpoint.size + 1),
        replace(checkpoint, root=flipped),
        replace(checkpoint, extensions=("more",)),
    ):
        with pytest.raises(SignatureInvalid):
            verify_signature(key, line, other)
    for spoilt in (
        line.signature[:-1],
        line.signature + b"\0",
        b"\xff" + line.signature[1:],
        line.signature[:-1] + bytes([line.signature[-1] ^ 1]),
        b"",
    ):
        with pytest.raises(SignatureInvalid):
            verify_signature(key, replace(line, signature=spoilt), checkpoint)
    assert "Signer(" in repr(signer)


def test_a_signature_of_one_kind_is_none_of_another(log: SmallLog) -> None:
    """One seed under every kind: the messages keep them apart."""
    name, seed, checkpoint = "witness.example/w", bytes(32), log.checkpoint()
    signers = [Signer(name, kind, seed) for kind in KeyKind]
    for signer in signers:
        line = signer.sign(checkpoint, TIME)
        for other in signers:
            if other is not signer:
                key = other.verifier
                with pytest.raises(SignatureInvalid):
                    verify_signature(key, replace(line, key_id=key.key_id), checkpoint)


def test_mldsa44_signs_no_extension_lines_which_it_would_leave_unsigned(log: SmallLog) -> None:
    extended = replace(log.checkpoint(), extensions=("more",))
    with pytest.raises(NoteMalformed, match="extension"):
        MLDSA44.sign(extended, TIME)
    verify_signature(ED25519.verifier, ED25519.sign(extended, TIME), extended)


def test_a_cosignature_commits_to_the_name_of_its_witness(log: SmallLog) -> None:
    seed = Secret(bytes(64))
    (_, one), (_, two) = witness_signers("w.example/1", seed), witness_signers("w.example/2", seed)
    line = one.sign(log.checkpoint(), TIME)
    renamed = SignatureLine(two.verifier.name, two.verifier.key_id, line.signature)
    with pytest.raises(SignatureInvalid):
        verify_signature(two.verifier, renamed, log.checkpoint())


def test_lengths_of_mldsa44_are_checked() -> None:
    with pytest.raises(LengthError):
        mldsa44.MlDsa44Key(bytes(31))
    with pytest.raises(LengthError):
        mldsa44.verify(bytes(10), bytes(mldsa44.SIGNATURE_BYTES), b"")
    assert "MlDsa44Key(" in repr(mldsa44.MlDsa44Key(bytes(32)))


# Policies


def test_a_witnessed_checkpoint_is_trusted_and_says_by_whom(log: SmallLog) -> None:
    note = log.note(*LOG, *WITNESSES[0], *WITNESSES[2])
    trusted = verify_checkpoint(parse_note(note.encode()), QUORUM)
    assert trusted.checkpoint == log.checkpoint()
    assert [each.name for each in trusted.witnesses] == ["witness.example/w1", "witness.example/w3"]
    assert {each.time for each in trusted.witnesses} == {TIME}


def test_too_few_witnesses_are_refused(log: SmallLog) -> None:
    with pytest.raises(TooFewWitnesses, match="nobody"):
        verify_checkpoint(log.note(), QUORUM)
    with pytest.raises(TooFewWitnesses, match="w2"):
        verify_checkpoint(log.note(*LOG, *WITNESSES[1]), QUORUM)


def test_a_witness_counts_once_however_often_it_signed(log: SmallLog) -> None:
    with pytest.raises(TooFewWitnesses):
        verify_checkpoint(log.note(*LOG, *[WITNESSES[0][1]] * 5), QUORUM)


def test_a_checkpoint_of_nobody_known_is_refused(log: SmallLog) -> None:
    for note in (
        log.note(WITNESSES[0][1], WITNESSES[1][1]),
        SmallLog(numbered(3), "log.example/other").note(*LOG, *(both[1] for both in WITNESSES)),
    ):
        with pytest.raises(CheckpointUntrusted, match="trusted log"):
            verify_checkpoint(note, QUORUM)


def test_one_bad_signature_in_a_trusted_name_refuses_the_note(log: SmallLog) -> None:
    good = log.note(*LOG, *(both[1] for both in WITNESSES))
    bad = replace(good.signatures[-1], signature=bytes(2428))
    with pytest.raises(CheckpointUntrusted, match="w3"):
        verify_checkpoint(Note(good.text, (*good.signatures[:-1], bad)), QUORUM)
    with pytest.raises(CheckpointUntrusted, match="w3"):
        verify_checkpoint(good.with_signatures(bad), QUORUM)


def test_signatures_of_strangers_are_passed_over(log: SmallLog) -> None:
    note = log.note(*LOG, *(both[1] for both in WITNESSES))
    stranger = SignatureLine("witness.example/w1", b"what", b"ever")
    verify_checkpoint(Note(note.text, (stranger, *note.signatures)), QUORUM)


def test_a_logs_own_key_is_no_witness() -> None:
    disguised = VerifierKey(
        "witness.example/w", KeyKind.COSIGNATURE_MLDSA44, MLDSA44.verifier.public
    )
    renamed = VerifierKey(ORIGIN, KeyKind.COSIGNATURE_MLDSA44, WITNESSES[0][1].verifier.public)
    wrong_kind = replace(WITNESSES[0][0].verifier, kind=KeyKind.ED25519)
    for witness in (MLDSA44.verifier, disguised, renamed, wrong_kind):
        with pytest.raises(PolicyUnusable):
            of_witnesses([each.verifier for each in LOG], [witness], 1)


def test_both_keys_of_one_witness_are_not_two_witnesses() -> None:
    with pytest.raises(PolicyUnusable, match="of its own"):
        of_witnesses([MLDSA44.verifier], [each.verifier for each in WITNESSES[0]], 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Policy((WITNESSES[0][0].verifier,)),
        lambda: Policy((MLDSA44.verifier, MLDSA44.verifier)),
        lambda: Policy((MLDSA44.verifier,), quorum="somebody"),
        lambda: Policy((MLDSA44.verifier,), (("none", WITNESSES[0][1].verifier),)),
        lambda: of_witnesses([MLDSA44.verifier], [WITNESSES[0][1].verifier], 2),
        lambda: of_witnesses([MLDSA44.verifier], [], -1),
        lambda: Policy((), groups=(("g", Group(1, ("g",))),)),
        lambda: Policy((), groups=(("g", Group(1, ("none",))),)),
        lambda: Policy((), (("w", WITNESSES[0][1].verifier),), (("g", Group(2, ("w",))),)),
        lambda: Policy((), (("w", WITNESSES[0][1].verifier),), (("g", Group(1, ("w", "w"))),)),
        lambda: Policy(tuple(replace(ED25519.verifier, public=bytes([i] * 32)) for i in range(65))),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(make: Any) -> None:
    with pytest.raises(PolicyUnusable):
        make()


def file_of_policy(quorum: str) -> bytes:
    keys = [both[1].verifier for both in WITNESSES]
    lines = [
        "# two of three, and one of them by itself",
        f"log {MLDSA44.verifier} https://log.example/bellwire",
        f"witness X1 {keys[0]}",
        f"  witness\tX2 {keys[1]} https://witness.example/w2",
        "",
        "group X any X1 X2",
        f"witness Y {keys[2]}",
        "group both all X Y",
        f"quorum {quorum}",
        "",
    ]
    return "\n".join(lines).encode()


def test_a_policy_file_says_who_must_agree(log: SmallLog) -> None:
    one, two, three = (both[1] for both in WITNESSES)
    enough: dict[str, list[tuple[Signer, ...]]] = {
        "both": [(one, three), (two, three), (one, two, three)],
        "X": [(one,), (two,)],
        "Y": [(three,)],
        "none": [(), (one,)],
    }
    few: dict[str, list[tuple[Signer, ...]]] = {
        "both": [(one, two), (three,), ()],
        "X": [(three,), ()],
        "Y": [(one, two)],
        "none": [],
    }
    for quorum, cases in enough.items():
        policy = parse_policy(file_of_policy(quorum))
        for signers in cases:
            verify_checkpoint(log.note(*LOG, *signers), policy)
        for signers in few[quorum]:
            with pytest.raises(TooFewWitnesses):
                verify_checkpoint(log.note(*LOG, *signers), policy)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("quorum both", ""),
        lambda text: text + "quorum X\n",
        lambda text: text.replace("quorum both", "quorum nobody"),
        lambda text: text.replace("group X any", "group X 3"),
        lambda text: text.replace("group X any", "group X 0"),
        lambda text: text.replace("group X any", "group X 01"),
        lambda text: text.replace("group X any X1 X2", "group X any"),
        lambda text: text.replace("group X any", "group X some"),
        lambda text: text.replace("all X Y", "all X X1 Y"),
        lambda text: text.replace("all X Y", "all X Z"),
        lambda text: text.replace("all X Y", "all none Y"),
        lambda text: text.replace("witness Y", "witness X"),
        lambda text: text.replace("witness Y", "witness none"),
        lambda text: text.replace("witness Y", "witnes Y"),
        lambda text: text.replace("witness X1 ", "log "),
        lambda text: text.replace("log ", "log x"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "#" * 300_000,
    ],
)
def test_a_policy_file_that_is_none_is_refused(spoil: Any) -> None:
    with pytest.raises(PolicyUnusable):
        parse_policy(spoil(file_of_policy("both").decode()).encode())


# Receipts


def test_a_receipt_verifies_offline_and_comes_back_as_it_was(log: SmallLog) -> None:
    receipt = log.receipt(123, *LOG, *(both[1] for both in WITNESSES))
    data = receipt.encode()
    assert is_receipt(data)
    assert parse_receipt(data) == receipt
    assert parse_receipt(data).encode() == data
    trusted = verify_receipt(parse_receipt(data), leaf_hash(log.entries[123]), QUORUM)
    assert trusted.checkpoint.size == 300
    with pytest.raises(InclusionMismatch):
        verify_receipt(receipt, leaf_hash(log.entries[122]), QUORUM)
    with pytest.raises(InclusionMismatch):
        verify_receipt(replace(receipt, index=122), leaf_hash(log.entries[123]), QUORUM)


def test_a_receipt_is_as_the_published_writer_forms_it() -> None:
    """transparency-dev/merkle, proof/tlog_proof_test.go, "proof with extra data"."""
    hash_ = leaf_hash(b"any")
    note = parse_note((TEXT + "\n" + PETER).encode())
    with_extra = Receipt(10, (hash_,), note, b"extra information").encode()
    assert with_extra.startswith(
        b"c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n"
        + to_base64(hash_).encode()
        + b"\n\nIf you"
    )
    assert Receipt(0, (), note).encode().startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\nIf you")


@pytest.mark.parametrize(
    "head",
    [
        "wrong-header\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\n\n\n",
        "c2sp.org/tlog-proof@v1\nindex notanumber\n\n",
        "c2sp.org/tlog-proof@v1\nindex -5\n\n",
        "c2sp.org/tlog-proof@v1\nindex 05\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!\n\n",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{to_base64(bytes(64))}\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{to_base64(bytes(32))}\n" * 64 + "\n",
        "c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1 \nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nindex ٣\n\n",
        "c2sp.org/tlog-proof@v1\r\nindex 0\r\n\n",
    ],
)
def test_a_receipt_that_is_none_is_refused(log: SmallLog, head: str) -> None:
    with pytest.raises((ReceiptMalformed, NoteMalformed)):
        parse_receipt(head.encode() + log.note().encode())


def test_a_receipt_is_bounded() -> None:
    with pytest.raises(ReceiptMalformed, match="bytes"):
        parse_receipt(b"c2sp.org/tlog-proof@v1\n" + b"x" * 500_000)


def test_whatever_a_receipt_is_spoilt_to_is_refused_by_name_or_says_the_same(log: SmallLog) -> None:
    good = log.receipt(200, MLDSA44, *(both[1] for both in WITNESSES)).encode()
    leaf, policy = leaf_hash(log.entries[200]), replace(QUORUM, logs=(MLDSA44.verifier,))
    expected = verify_receipt(parse_receipt(good), leaf, policy)
    rng, held = random.Random(10), 0
    for _ in range(400):
        spoilt = bytearray(good)
        for _ in range(rng.choice((1, 1, 1, 3))):
            _spoil(spoilt, rng)
        try:
            found = verify_receipt(parse_receipt(bytes(spoilt)), leaf, policy)
        except BellwireError as error:
            assert error.exit_code in {2, 3}  # noqa: PT017 - either outcome is checked
        else:
            # What no trusted signature covers, as the name of a stranger, may differ.
            held += 1
            assert found.checkpoint == expected.checkpoint
    assert held < 100


def _spoil(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data)) if rng.random() < 0.3 else rng.randrange(min(len(data), 700))
    match rng.randrange(5):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            del data[at : at + rng.randrange(1, 60)]
        case 2:
            data[at:at] = rng.choice((b"\n", b" ", b"\n\n", b"=", b"\0", b"extra AA==\n", b"0"))
        case 3:
            data[at : at + 8] = rng.randbytes(8)
        case _:
            lines = data.split(b"\n")
            i, j = rng.randrange(min(len(lines), 12)), rng.randrange(min(len(lines), 12))
            lines[i], lines[j] = lines[j], lines[i]
            data[:] = b"\n".join(lines)


def test_random_bytes_are_no_note_receipt_key_or_policy() -> None:
    rng = random.Random(11)
    for _ in range(300):
        data = rng.randbytes(rng.randrange(200))
        for parse in (parse_note, parse_receipt, parse_policy):
            with pytest.raises(BellwireError):
                parse(data)
        with pytest.raises(BellwireError):
            parse_vkey(data.decode("latin-1"))


def test_each_key_of_a_log_by_itself_suffices_and_mldsa44_says_when(log: SmallLog) -> None:
    note = signed(log.checkpoint(), *LOG)
    assert verify_checkpoint(note, Policy((ED25519.verifier,))).log_time is None
    assert verify_checkpoint(note, Policy((MLDSA44.verifier,))).log_time == TIME
