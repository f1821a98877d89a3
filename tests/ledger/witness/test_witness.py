"""What a witness cosigns, what it refuses, and what it remembers whatever fails."""

import os
import random
import threading
from dataclasses import replace
from pathlib import Path

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

from bellwire.base import private
from bellwire.base.errors import BellwireError
from bellwire.base.private import PathExposed, PathUnusable
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.errors import CheckpointUntrusted, ConsistencyMismatch, PolicyUnusable
from bellwire.ledger.note import Note, parse_signature
from bellwire.ledger.policy import of_witnesses, verify_checkpoint
from bellwire.ledger.tree import EMPTY_ROOT
from bellwire.ledger.witness.errors import (
    HistorySplit,
    LogUnknown,
    OldSizeDiffers,
    SubmissionMalformed,
    WitnessRolledBack,
    WitnessStateDamaged,
)
from bellwire.ledger.witness.memory import Memory, Seen
from bellwire.ledger.witness.submission import Submission, parse_submission
from bellwire.ledger.witness.witness import Witness, by_origin

OWN = WITNESSES[0]
FOLLOWED = by_origin([each.verifier for each in LOG])


class Clock:
    now = float(TIME)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def witness(tmp_path: Path, clock: Clock) -> Witness:
    return witness_in(tmp_path, clock)


def witness_in(folder: Path, clock: Clock, *, second: bool = False) -> Witness:
    copies = folder.with_name(folder.name + "-second") if second else None
    memory = Memory(folder / "logs", copies, tuple(FOLLOWED))
    return Witness(OWN, FOLLOWED, memory, clock)


def submission(log: SmallLog, old: int, new: int | None = None) -> Submission:
    size = log.edge.size if new is None else new
    proof = log.prover.consistency(old, size) if 0 < old <= size else ()
    return Submission(old, proof, log.note(size=size))


def ask(witness: Witness, submission: Submission) -> Note:
    """The checkpoint with the cosignatures that the witness gave."""
    lines = witness.add_checkpoint(submission.encode())
    assert lines.endswith("\n")
    return submission.note.with_signatures(
        *(parse_signature(line) for line in lines[:-1].split("\n"))
    )


def test_a_growing_log_is_cosigned_from_the_first_checkpoint_on(
    witness: Witness, clock: Clock
) -> None:
    log, old = SmallLog([]), 0
    for size in (0, 1, 1, 5, 256, 300, 700):
        log.append(numbered(size)[log.edge.size :])
        clock.now += 10
        note = ask(witness, submission(log, old))
        for key in OWN:  # each of its two keys cosigned
            policy = of_witnesses([MLDSA44.verifier], [key.verifier], 1)
            (found,) = verify_checkpoint(note, policy).witnesses
            assert found.time == int(clock.now)
        old = size


def test_an_old_size_that_is_not_the_last_one_is_answered_with_the_last_one(
    witness: Witness,
) -> None:
    log = SmallLog(numbered(50))
    ask(witness, submission(log, 0, 20))
    for old in (0, 10, 19, 21, 50):
        with pytest.raises(OldSizeDiffers) as refused:
            ask(witness, submission(log, old))
        assert refused.value.size == 20
    ask(witness, submission(log, 20))


def test_a_history_that_was_rewritten_is_not_cosigned(witness: Witness) -> None:
    honest = SmallLog(numbered(300))
    forked = SmallLog([b"forged", *numbered(400)[1:]])
    ask(witness, submission(honest, 0))
    with pytest.raises(ConsistencyMismatch):
        ask(witness, submission(forked, 300))
    with pytest.raises(HistorySplit) as split:
        ask(witness, submission(forked, 300, 300))
    assert split.value.size == 300
    honest.append(numbered(400)[300:])
    ask(witness, submission(honest, 300))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda proof: proof[:-1],
        lambda proof: (*proof, proof[0]),
        lambda proof: (),
        lambda proof: (bytes(32), *proof[1:]),
        lambda proof: proof[::-1],
    ],
)
def test_a_spoilt_proof_is_refused(witness: Witness, spoil: object) -> None:
    log = SmallLog(numbered(300))
    ask(witness, submission(log, 0, 100))
    good = submission(log, 100)
    assert callable(spoil)
    with pytest.raises(ConsistencyMismatch):
        ask(witness, replace(good, proof=spoil(good.proof)))
    ask(witness, good)


def test_a_proof_where_none_belongs_is_refused(witness: Witness) -> None:
    log = SmallLog(numbered(10))
    with pytest.raises(ConsistencyMismatch):
        ask(witness, replace(submission(log, 0), proof=(bytes(32),)))
    ask(witness, submission(log, 0))
    with pytest.raises(ConsistencyMismatch):
        ask(witness, replace(submission(log, 10), proof=(bytes(32),)))


def test_only_logs_that_are_followed_and_have_signed_are_cosigned(witness: Witness) -> None:
    log = SmallLog(numbered(10))
    with pytest.raises(LogUnknown):
        ask(witness, submission(SmallLog(numbered(3), "log.example/other"), 0))
    for note in (
        log.note(WITNESSES[1][1]),
        Note(log.note().text, (replace(ED25519.sign(log.checkpoint(), 0), signature=bytes(64)),)),
        replace(log.note(), text=replace(log.checkpoint(), size=11).text),
    ):
        with pytest.raises(CheckpointUntrusted):
            ask(witness, Submission(0, (), note))
    with pytest.raises(SubmissionMalformed, match="old size"):
        ask(witness, Submission(11, (), log.note()))


def test_a_checkpoint_with_extension_lines_is_cosigned_by_ed25519_alone(witness: Witness) -> None:
    extended = replace(SmallLog(numbered(10)).checkpoint(), extensions=("more",))
    note = ask(witness, Submission(0, (), signed(extended, ED25519)))
    assert [line.key_id for line in note.signatures[1:]] == [OWN[0].verifier.key_id]
    verify_checkpoint(note, of_witnesses([ED25519.verifier], [OWN[0].verifier], 1))


def test_a_witness_does_not_follow_a_log_of_its_own_key_or_name(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "logs", None, ())
    renamed = replace(MLDSA44.verifier, name="log.example/other")
    for logs in (by_origin([MLDSA44.verifier]), by_origin([renamed])):
        with pytest.raises(PolicyUnusable, match="own"):
            Witness(LOG, logs, memory)


def test_a_clock_that_was_put_back_does_not_put_back_a_cosignature(
    witness: Witness, clock: Clock
) -> None:
    log = SmallLog(numbered(10))
    ask(witness, submission(log, 0, 5))
    clock.now -= 1000
    note = ask(witness, submission(log, 5))
    policy = of_witnesses([MLDSA44.verifier], [OWN[1].verifier], 1)
    assert verify_checkpoint(note, policy).witnesses[0].time == TIME


def test_of_two_requests_at_once_only_one_is_the_next(tmp_path: Path, clock: Clock) -> None:
    log = SmallLog(numbered(600))
    witness = witness_in(tmp_path, clock)
    ask(witness, submission(log, 0, 100))
    requests = [submission(log, 100, size) for size in range(200, 600, 20)]
    outcomes: list[BellwireError | None] = []
    start = threading.Barrier(len(requests))

    def one(request: Submission) -> None:
        start.wait()
        try:
            ask(witness, request)
        except OldSizeDiffers as error:
            outcomes.append(error)
        else:
            outcomes.append(None)

    threads = [threading.Thread(target=one, args=(each,)) for each in requests]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert outcomes.count(None) == 1
    assert len(outcomes) == len(requests)


# What it remembers


def test_a_witness_that_starts_anew_remembers(tmp_path: Path, clock: Clock) -> None:
    log = SmallLog(numbered(50))
    ask(witness_in(tmp_path, clock), submission(log, 0, 20))
    with pytest.raises(OldSizeDiffers) as refused:
        ask(witness_in(tmp_path, clock), submission(log, 0))
    assert refused.value.size == 20
    ask(witness_in(tmp_path, clock), submission(log, 20))


@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed, yet persisted"])
def test_a_write_that_fails_gives_no_cosignature_and_no_second_history(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, persisted: bool
) -> None:
    log, forked = SmallLog(numbered(60)), SmallLog([b"forged", *numbered(60)[1:]])
    witness = witness_in(tmp_path, clock)
    ask(witness, submission(log, 0, 20))
    with monkeypatch.context() as broken:

        def fail(_: object) -> None:
            raise OSError(5, os.strerror(5))

        # The file's own sync fails before its name is there, the folder's after.
        broken.setattr(private, "sync_folder", fail) if persisted else broken.setattr(
            os, "fsync", fail
        )
        with pytest.raises(PathUnusable):
            ask(witness, submission(log, 20, 40))
    known = 40 if persisted else 20
    with pytest.raises(OldSizeDiffers) as refused:
        ask(witness, submission(log, 0))
    assert refused.value.size == known
    with pytest.raises((ConsistencyMismatch, HistorySplit)):
        ask(witness, submission(forked, known))
    ask(witness, submission(log, known))


def test_an_own_cosignature_beyond_its_memory_shows_that_it_was_put_back(
    tmp_path: Path, clock: Clock
) -> None:
    log = SmallLog(numbered(60))
    witness = witness_in(tmp_path, clock)
    ask(witness, submission(log, 0, 20))
    (file,) = (tmp_path / "logs").iterdir()
    earlier = file.read_bytes()
    cosigned = ask(witness, submission(log, 20, 40))
    file.write_bytes(earlier)
    again = Submission(20, log.prover.consistency(20, 40), cosigned)
    for request in (again, submission(log, 20, 30), submission(log, 20)):
        with pytest.raises(WitnessRolledBack):
            ask(witness_in(tmp_path, clock), request)


def test_an_own_cosignature_that_is_known_or_forged_halts_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    log = SmallLog(numbered(60))
    witness = witness_in(tmp_path, clock)
    cosigned = ask(witness, submission(log, 0, 20))
    ask(witness, Submission(20, (), cosigned))
    good = submission(log, 20)
    forged = replace(OWN[1].sign(log.checkpoint(20), TIME))
    ask(witness, replace(good, note=good.note.with_signatures(forged)))


def test_a_copy_elsewhere_shows_that_the_state_was_put_back(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "state"
    log = SmallLog(numbered(60))
    ask(witness_in(folder, clock, second=True), submission(log, 0, 20))
    (file,) = (folder / "logs").iterdir()
    earlier = file.read_bytes()
    ask(witness_in(folder, clock, second=True), submission(log, 20))
    newest = file.read_bytes()
    for old in (earlier, None):
        file.write_bytes(old) if old is not None else file.unlink()
        with pytest.raises(WitnessRolledBack, match="as new as its copy"):
            witness_in(folder, clock, second=True)
    private.write_whole(file, newest, replace=True)
    witness_in(folder, clock, second=True)


def test_a_copy_that_a_crash_left_behind_is_no_alarm(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "state"
    log = SmallLog(numbered(60))
    ask(witness_in(folder, clock, second=True), submission(log, 0, 20))
    ask(witness_in(folder, clock), submission(log, 20, 40))  # the copy was not reached
    ask(witness_in(folder, clock, second=True), submission(log, 40))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"null", b"\xff", b"x" * 5000, b'{"origin":"o","size":-1}']
)
def test_a_state_that_was_damaged_is_not_taken_for_none(
    tmp_path: Path, clock: Clock, content: bytes
) -> None:
    log = SmallLog(numbered(20))
    witness = witness_in(tmp_path, clock)
    ask(witness, submission(log, 0))
    (file,) = (tmp_path / "logs").iterdir()
    file.write_bytes(content)
    with pytest.raises(WitnessStateDamaged):
        ask(witness, submission(log, 0))


def test_the_state_of_another_log_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    memory = Memory(tmp_path, None, ())
    memory.keep("one", Seen(3, bytes(32), 5))
    (one,) = tmp_path.iterdir()
    memory.keep("two", Seen(4, bytes(32), 5))
    (two,) = set(tmp_path.iterdir()) - {one}
    two.write_bytes(one.read_bytes())
    assert memory.recall("one") == Seen(3, bytes(32), 5)
    with pytest.raises(WitnessStateDamaged, match="another"):
        memory.recall("two")
    assert memory.recall("three") == Seen(0, EMPTY_ROOT, 0)


def test_a_state_that_others_may_read_is_refused(tmp_path: Path) -> None:
    memory = Memory(tmp_path, None, ())
    memory.keep("one", Seen(3, bytes(32), 5))
    (one,) = tmp_path.iterdir()
    one.chmod(0o644)
    with pytest.raises(PathExposed):
        memory.recall("one")


# What is sent


def test_the_specifications_own_request_parses_and_comes_back() -> None:
    """The example request body of tlog-witness."""
    body = (
        "old 20852014\n"
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
        "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
        "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
        "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
        "\n"
        "example.com/behind-the-sofa\n"
        "20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        "\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
        "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    )
    found = parse_submission(body.encode())
    assert (found.old, len(found.proof)) == (20852014, 4)
    assert found.note.text.startswith("example.com/behind-the-sofa\n20852163\n")
    assert found.encode() == body.encode()


@pytest.mark.parametrize(
    "head",
    [
        "",
        "old\n\n",
        "old -1\n\n",
        "old 01\n\n",
        "old 1\n",
        "old  1\n\n",
        "Old 1\n\n",
        "old 1\nnot base64\n\n",
        "old 1\n" + f"{'A' * 43}=\n" * 64 + "\n",
        "old 1\r\n\r\n",
        "old ١\n\n",
        "\nold 1\n\n",
    ],
)
def test_a_request_that_is_none_is_refused(head: str) -> None:
    note = SmallLog(numbered(3)).note()
    with pytest.raises(SubmissionMalformed):
        parse_submission(head.encode() + note.encode())


def test_spoilt_requests_are_refused_by_name_and_nothing_else_is_cosigned(
    tmp_path: Path, clock: Clock
) -> None:
    log = SmallLog(numbered(300))
    witness = witness_in(tmp_path, clock)
    ask(witness, submission(log, 0, 100))
    good = replace(submission(log, 100), note=log.note(ED25519)).encode()
    (file,) = (tmp_path / "logs").iterdir()
    before = file.read_bytes()
    rng = random.Random(9)
    for _ in range(300):
        spoilt = bytearray(good)
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(len(spoilt))
            match rng.randrange(3):
                case 0:
                    spoilt[at] ^= 1 << rng.randrange(8)
                case 1:
                    del spoilt[at : at + rng.randrange(1, 40)]
                case _:
                    spoilt[at:at] = rng.choice((b"\n", b"\n\n", b" ", b"=", rng.randbytes(4)))
        try:
            witness.add_checkpoint(bytes(spoilt))
        except BellwireError:
            continue
        # Only what no signature covers can differ; so the state is that of the good request.
        with pytest.raises(OldSizeDiffers) as refused:
            witness.add_checkpoint(good)
        assert refused.value.size == 300
        file.write_bytes(before)
    witness.add_checkpoint(good)


def test_an_oversized_request_is_refused() -> None:
    with pytest.raises(SubmissionMalformed, match="bytes"):
        parse_submission(b"old 0\n\n" + b"x" * 300_000)
    checkpoint = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert parse_submission(Submission(0, (), signed(checkpoint, ED25519)).encode()).old == 0
