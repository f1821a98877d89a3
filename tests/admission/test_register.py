"""The file of registrations: who is in it, what lets in, and that it stays so."""

import contextlib
import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bellwire.admission import recording
from bellwire.admission.assessment import Assessment, Verdict
from bellwire.admission.errors import (
    HandleTaken,
    NotAdmitted,
    RegisterUnusable,
    RegistrationUnknown,
    TokenUnusable,
)
from bellwire.admission.register import MAX_WAITING_S, Entry, Gate, Register, Registration, Standing
from bellwire.base.errors import BellwireError
from bellwire.base.private import PathExposed
from bellwire.ledger.entries import model as ledger
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.outbox.outbox import Outbox

GOOD = Assessment(Verdict.SECURE, (), 0.0, "local")
BAD = Assessment(Verdict.INSECURE, ("it drifts",), 0.9, "local")
KEYS = {"ed25519": b"k" * 32}
OTHERS = {"ed25519": b"o" * 32}


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    found = Register(tmp_path / "r")
    yield found
    found.close()


def enter(
    register: Register,
    handle: str = "alice",
    keys: dict[str, bytes] = KEYS,
    *,
    judged: Assessment = GOOD,
    gate: Gate = Gate.EITHER,
    token: str | None = None,
    now: int = 1000,
) -> Registration:
    (found,) = register.enter([Entry(handle, keys, judged, gate, token, now)])
    if isinstance(found, BellwireError):
        raise found
    return found


@pytest.mark.parametrize(
    ("gate", "has_token", "standing", "by"),
    [
        (Gate.EITHER, True, Standing.ADMITTED, "token"),
        (Gate.EITHER, False, Standing.WAITING, "assessor"),
        (Gate.TOKEN, True, Standing.ADMITTED, "token"),
        (Gate.OPERATOR, True, Standing.WAITING, "assessor"),
        (Gate.OPERATOR, False, Standing.WAITING, "assessor"),
        (Gate.OPEN, False, Standing.ADMITTED, "open"),
    ],
)
def test_what_lets_in_is_the_gate(
    register: Register, gate: Gate, has_token: bool, standing: Standing, by: str
) -> None:
    token = register.make_token("", 60, 1000) if has_token else None
    found = enter(register, gate=gate, token=token)
    assert (found.standing, found.by) == (standing, by)
    assert register.find("alice") == found
    assert len(register.tokens(1000)) == (has_token and by != "token")


def test_a_token_lets_in_one_newcomer_in_its_time(register: Register) -> None:
    token = register.make_token("for alice", 60, 1000)
    assert register.tokens(1000) == [("for alice", 1060)]
    for bad in ("", "x", token.upper() + "0", token[:-1]):
        with pytest.raises(TokenUnusable):
            enter(register, token=bad)
    with pytest.raises(TokenUnusable):
        enter(register, token=token, now=1061)
    assert enter(register, token=token, now=1060).standing is Standing.ADMITTED
    with pytest.raises(TokenUnusable):
        enter(register, "bobby", OTHERS, token=token, now=1060)
    with pytest.raises(TokenUnusable, match="got none"):
        enter(register, "bobby", OTHERS, gate=Gate.TOKEN)
    assert register.find("bobby") is None


def test_a_refused_newcomer_has_not_used_its_token_up(register: Register) -> None:
    token = register.make_token("", 60, 1000)
    with pytest.raises(NotAdmitted, match="it drifts"):
        enter(register, judged=BAD, token=token)
    enter(register, "alice", OTHERS)
    with pytest.raises(HandleTaken):
        enter(register, "alice", KEYS, token=token)
    assert enter(register, "bobby", KEYS, token=token).by == "token"


@pytest.mark.parametrize("gate", Gate)
def test_an_insecure_newcomer_is_let_in_by_nothing(register: Register, gate: Gate) -> None:
    token = register.make_token("", 60, 1000)
    with pytest.raises(NotAdmitted):
        enter(register, judged=BAD, gate=gate, token=token)
    assert register.all() == []


@pytest.mark.parametrize("name", ["alice", "a1ice", "al1ce"])
def test_a_name_and_what_looks_like_it_have_one_holder(register: Register, name: str) -> None:
    enter(register, gate=Gate.OPEN)
    with pytest.raises(HandleTaken):
        enter(register, name, OTHERS, gate=Gate.OPEN)
    register.decide("alice", Standing.REVOKED, 2000)
    with pytest.raises(HandleTaken):
        enter(register, name, OTHERS, gate=Gate.OPEN)


def test_who_asks_again_gets_what_there_is(register: Register) -> None:
    first = enter(register, now=1000)
    assert enter(register, now=1500) == first
    register.decide("alice", Standing.ADMITTED, 2000)
    again = enter(register, judged=BAD, gate=Gate.TOKEN, now=2500)
    assert (again.standing, again.since, again.changed) == (Standing.ADMITTED, 1000, 2000)


def test_who_waits_is_let_in_by_a_token_that_comes_later(register: Register) -> None:
    enter(register, now=1000)
    token = register.make_token("", 60, 1500)
    found = enter(register, token=token, now=1500)
    assert (found.standing, found.since, found.changed) == (Standing.ADMITTED, 1000, 1500)


def test_the_operator_decides_about_who_waits_and_revokes_who_is_in(register: Register) -> None:
    enter(register)
    with pytest.raises(RegistrationUnknown):
        register.decide("alice", Standing.REVOKED, 2000)
    register.decide("alice", Standing.ADMITTED, 2000)
    for standing in (Standing.ADMITTED, Standing.REFUSED):
        with pytest.raises(RegistrationUnknown):
            register.decide("alice", standing, 2000)
    assert register.decide("alice", Standing.REVOKED, 3000).by == "operator"
    with pytest.raises(NotAdmitted, match="revoked"):
        enter(register, gate=Gate.OPEN)
    with pytest.raises(RegistrationUnknown):
        register.decide("nobody", Standing.ADMITTED, 2000)


def test_a_refused_name_is_free_again_and_so_is_one_that_waited_too_long(
    register: Register,
) -> None:
    enter(register)
    register.decide("alice", Standing.REFUSED, 2000)
    assert register.all() == []
    enter(register, keys=OTHERS, now=3000)
    assert enter(register, now=3001 + MAX_WAITING_S).keys == KEYS


def test_it_is_there_after_a_restart_and_two_processes_may_use_it(tmp_path: Path) -> None:
    one, other = Register(tmp_path / "r"), Register(tmp_path / "r")
    enter(one)
    other.decide("alice", Standing.ADMITTED, 2000)
    found = one.find("alice")
    assert found is not None
    assert found.standing is Standing.ADMITTED
    token = other.make_token("", 60, 2000)
    one.close()
    other.close()
    again = Register(tmp_path / "r")
    assert again.find("alice") == found
    assert enter(again, "bobby", OTHERS, token=token, now=2000).by == "token"
    again.close()
    again.close()


def test_others_cannot_read_it_and_no_token_is_in_it(tmp_path: Path) -> None:
    register = Register(tmp_path / "r")
    token = register.make_token("label", 60, 1000)
    enter(register)
    register.close()
    files = list((tmp_path / "r").iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    for path in files:
        assert token.encode() not in path.read_bytes()
        assert bytes.fromhex(token) not in path.read_bytes()
    (tmp_path / "r").chmod(0o755)
    with pytest.raises(PathExposed):
        Register(tmp_path / "r")


def test_a_file_of_another_kind_or_version_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir(0o700)
    path = folder / "registrations.sqlite"
    for statement in ("CREATE TABLE x (y)", "PRAGMA user_version = 99"):
        path.unlink(missing_ok=True)
        path.touch(0o600)
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
        before = path.read_bytes()
        with pytest.raises(RegisterUnusable, match="got another"):
            Register(folder)
        assert path.read_bytes() == before
    path.write_bytes(os.urandom(4096))
    with pytest.raises(RegisterUnusable):
        Register(folder)


@pytest.mark.parametrize(
    ("label", "lasts"), [("x" * 81, 60), ("a\nb", 60), ("", 0), ("", 91 * 86_400)]
)
def test_tokens_that_cannot_be_are_refused(register: Register, label: str, lasts: int) -> None:
    with pytest.raises(TokenUnusable):
        register.make_token(label, lasts, 1000)


def test_of_a_group_each_has_its_own_outcome_and_token(register: Register) -> None:
    token = register.make_token("", 60, 1000)
    group = [
        Entry("alice", KEYS, GOOD, Gate.EITHER, None, 1000),
        Entry("a1ice", OTHERS, GOOD, Gate.EITHER, token, 1000),
        Entry("bobby", OTHERS, BAD, Gate.EITHER, token, 1000),
        Entry("carol", OTHERS, GOOD, Gate.EITHER, token, 1000),
        Entry("david", KEYS, GOOD, Gate.EITHER, token, 1000),
    ]
    found = register.enter(group)
    assert [type(each) for each in found] == [
        Registration, HandleTaken, NotAdmitted, Registration, TokenUnusable
    ]  # fmt: skip
    assert [each.handle for each in register.all(Standing.ADMITTED)] == ["carol"]
    assert [each.handle for each in register.all()] == ["alice", "carol"]


def test_who_is_admitted_and_whose_keys_hold_no_more_is_told_to_a_log_once(tmp_path: Path) -> None:
    register = Register(tmp_path / "r", recorded=True)
    token = register.make_token("", 60, 1000)
    keys = {"p-256": b"p" * 65, "ed25519": b"k" * 32}
    enter(register, keys=keys, gate=Gate.TOKEN, token=token)
    enter(register, keys=keys)  # an answer was lost
    enter(register, "bobby", OTHERS)
    enter(register, "carla", OTHERS)
    with pytest.raises(NotAdmitted):
        enter(register, "david", judged=BAD)
    register.decide("bobby", Standing.ADMITTED, 2000)
    register.decide("carla", Standing.REFUSED, 2000)
    register.decide("alice", Standing.REVOKED, 3000)
    register.close()
    register = Register(tmp_path / "r")  # the log may be switched off; what waits, waits
    found = [decode(each) for each in Outbox(register.transaction, "admission").first().entries]
    first, second, third = found
    assert isinstance(first, ledger.Registration)
    assert isinstance(second, ledger.Registration)
    assert isinstance(third, ledger.Revocation)
    assert (first.handle, first.at, first.verdict) == ("alice", 1_000_000, "secure")
    assert [(each.algorithm, each.key) for each in first.keys] == sorted(keys.items())
    assert (second.handle, second.at) == ("bobby", 2_000_000)
    digests = sorted(hashlib.sha256(key).hexdigest() for key in keys.values())
    assert (third.handle, third.keys, third.at) == ("alice", tuple(digests), 3_000_000)
    assert [each.sequence for each in found] == [1, 2, 3]
    register.close()


def test_who_decides_beside_a_server_tells_the_log_that_the_server_tells(tmp_path: Path) -> None:
    with contextlib.closing(Register(tmp_path / "r", recorded=None)) as beside:
        assert beside.told_to_log() is None
    with contextlib.closing(Register(tmp_path / "r", recorded=True)) as server:
        enter(server, gate=Gate.OPERATOR)
        with contextlib.closing(Register(tmp_path / "r", recorded=None)) as beside:
            beside.decide("alice", Standing.ADMITTED, 2000)
            told = beside.told_to_log()
            assert told is not None
            assert told.waiting == 1
    Register(tmp_path / "r", recorded=False).close()
    with contextlib.closing(Register(tmp_path / "r", recorded=None)) as beside:
        assert beside.told_to_log() is None


def test_a_registration_is_there_with_its_entry_or_neither_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    register = Register(tmp_path / "r", recorded=True)
    with monkeypatch.context() as patch:
        patch.setattr(recording, "put", fail)
        with pytest.raises(RegisterUnusable):
            enter(register, gate=Gate.OPEN)
    assert register.all() == []
    enter(register, gate=Gate.OPEN)
    assert Outbox(register.transaction, "admission").state().waiting == 1
    register.close()


def test_a_file_of_before_there_were_logs_is_brought_on(tmp_path: Path) -> None:
    register = Register(tmp_path / "r")
    enter(register, gate=Gate.OPEN)
    register.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "r" / "registrations.sqlite")) as file:
        for statement in ("outbox", "outbox_state", "outbox_salts", "serials", "told"):
            file.execute(f"DROP TABLE {statement}")
        file.execute("ALTER TABLE registrations DROP COLUMN number")
        file.execute("PRAGMA user_version = 1")
        file.commit()
    register = Register(tmp_path / "r", recorded=True)
    assert [each.handle for each in register.all()] == ["alice"]
    with pytest.raises(RegistrationUnknown):
        register.number("alice")  # that log was never told
    register.decide("alice", Standing.REVOKED, 2000)
    assert Outbox(register.transaction, "admission").state().waiting == 1
    register.close()


def test_where_a_log_has_a_registration_is_kept_as_it_goes_from_the_outbox(tmp_path: Path) -> None:
    register = Register(tmp_path / "r", recorded=True)
    enter(register, gate=Gate.OPEN)
    enter(register, "bobby", OTHERS)  # waits for the operator
    assert register.number("alice") is None
    for name in ("bobby", "carla"):
        with pytest.raises(RegistrationUnknown):
            register.number(name)
    register.decide("alice", Standing.REVOKED, 2000)
    outbox = Outbox(register.transaction, "admission", recording.noted)
    outbox.taken(outbox.first(), [41, 42])
    assert (register.number("alice"), outbox.state().waiting) == (41, 0)
    register.decide("bobby", Standing.ADMITTED, 3000)
    assert register.number("bobby") is None
    with pytest.raises(ValueError, match="shorter"):
        outbox.taken(outbox.first(), [])
    assert outbox.state().waiting == 1
    register.close()
