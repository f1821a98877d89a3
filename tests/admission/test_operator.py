"""An operator at a server of admission: who waits on what evidence, decisions, their record."""

import asyncio
import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.admission.test_register import BAD, GOOD, KEYS, OTHERS, enter
from tests.iot.test_operator import no_socket

from bellwire.admission.evidence import Claim, measured, read_address
from bellwire.admission.operator import REQUESTS, AdmissionOperator, Carried, Carry, OperatorDesk
from bellwire.admission.register import Gate, Register, Standing
from bellwire.admission.service import revoke
from bellwire.admission.waiting import MOST_TURNED_AWAY, Evidence, EvidenceBook
from bellwire.base.errors import UsageError
from bellwire.base.operating import operated
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.outbox.outbox import Outbox

HERE = read_address("192.0.2.7")


def seen(handle: str, at: int = 1000) -> Evidence:
    return Evidence(handle, Claim(20.0, 2.0, HERE), measured([21.0, 23.0] * 4, HERE), GOOD, at)


async def nobody(step: Carry) -> Carried:
    raise AssertionError(f"expected no step, got one of {step.path}")


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with contextlib.closing(Register(tmp_path / "a", recorded=True)) as found:
        yield found


def test_who_waits_is_shown_with_evidence_and_what_is_decided_is_recorded(
    tmp_path: Path, register: Register
) -> None:
    enter(register, "alice", now=1000)
    enter(register, "bobby", OTHERS, now=900)
    enter(register, "carol", {"ed25519": b"c" * 32}, gate=Gate.OPEN, now=800)
    book = EvidenceBook()
    book.waits(seen("alice"))
    book.turned_away(seen("mallory"))

    async def work() -> None:
        desk = OperatorDesk(
            "here",
            "either",
            register,
            asyncio.Lock(),
            evidence=book,
            revoke=lambda handle, now: revoke(register, (), handle, now),
            carry=nobody,
            clock=lambda: 2000.0,
        )
        ask = AdmissionOperator(tmp_path / "a")
        async with operated(tmp_path / "a", REQUESTS, desk.answer, no_socket):
            view = await ask.look()
            assert (view.server, view.gate, view.found) == ("here", "either", 3)
            assert view.counts == {"waiting": 2, "admitted": 1, "refused": 0, "revoked": 0}
            names = [(each.handle, each.standing) for each in view.registrations]
            assert names == [("bobby", "waiting"), ("alice", "waiting"), ("carol", "admitted")]
            bobby, alice, carol = view.registrations
            assert (bobby.evidence, carol.evidence) == (None, None)
            assert set(alice.keys) == {"ed25519"}
            assert len(alice.keys["ed25519"]) == 64
            found = alice.evidence
            assert found is not None
            assert (found.claimed.ping_ms, found.measured.ping_ms) == (20.0, 21.0)
            assert (found.measured.address, found.echoes) == ("192.0.2.7", 8)
            assert found.claimed.colour == found.measured.colour
            assert len(found.measured.circuit.angles) == 4
            assert math.isclose(sum(found.measured.circuit.probabilities), 1.0)
            assert 0 < found.distance < 0.5
            assert [each.handle for each in view.turned_away] == ["mallory"]
            assert [each.handle for each in (await ask.look("ob", 5)).registrations] == ["bobby"]
            assert (await ask.look("", 1)).found == 3

            assert (await ask.decide("@Alice", "admit")).standing is Standing.ADMITTED
            await ask.decide("bobby", "refuse")
            await ask.decide("carol", "revoke")
            assert book.of("alice") is None
            after = {each.handle: each.standing for each in (await ask.look()).registrations}
            assert after == {"alice": "admitted", "carol": "revoked"}
            for handle, decision in (("alice", "admit"), ("nobody", "revoke"), ("!", "admit")):
                with pytest.raises(UsageError):
                    await ask.decide(handle, decision)  # type: ignore[arg-type]

    asyncio.run(work())
    entries = Outbox(register.transaction, "admission").first().entries
    told = [(type(each).__name__, each.handle) for each in map(decode, entries)]  # type: ignore[union-attr]
    assert told == [("Registration", "carol"), ("Registration", "alice"), ("Revocation", "carol")]


def test_evidence_is_bounded_and_of_who_was_turned_away_the_latest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bellwire.admission.waiting.MAX_WAITING", 2)
    book = EvidenceBook()
    for at, handle in enumerate(("alice", "bobby", "alice", "carol")):
        book.waits(seen(handle, at))
    assert book.of("bobby") is None
    assert [one.at for name in ("alice", "carol") if (one := book.of(name))] == [2, 3]
    for at in range(MOST_TURNED_AWAY + 5):
        book.turned_away(seen("mallory", at))
    assert [each.at for each in book.away()][:2] == [MOST_TURNED_AWAY + 4, MOST_TURNED_AWAY + 3]
    assert len(book.away()) == MOST_TURNED_AWAY


def test_names_of_a_server_are_found_by_what_is_in_them(register: Register) -> None:
    enter(register, "alice", KEYS)
    with pytest.raises(Exception, match="INSECURE"):
        enter(register, "bobby", OTHERS, judged=BAD)
    counts, found, rows = register.some("lic", 10)
    assert (counts, found) == ({"waiting": 1}, 1)
    assert [(one.handle, number) for one, number in rows] == [("alice", None)]
    assert register.some("%", 10)[1:] == (0, [])
