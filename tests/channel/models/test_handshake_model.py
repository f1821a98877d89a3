"""Handshakes over a wire that belongs to another: every order, every copy, every mix-up.

A device calls twice, a cloud answers two hellos and may restart once. Whoever has the wire
gives any message that was ever sent to any end that may take it, never, or as often as it likes. It
knows both public keys, and calls as the device itself under the highest number there is.
"""

from collections.abc import Callable, Hashable
from copy import copy
from typing import NamedTuple, NoReturn

import pytest
from tests.channel.models.exploring import Move, Pieces, Violation, clone, explore, freeze
from tests.channel.models.toys import Lots, ToyKey, drawing, use

from bellwire.base.secret import Secret
from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.handshake import (
    Gate,
    Initiator,
    Policy,
    QkdKey,
    Responder,
    Retry,
    SessionOptions,
    fingerprint,
)
from bellwire.channel.messages import MAX_COUNTER, Direction, Kind
from bellwire.channel.protections import Protections
from bellwire.channel.session import Session
from bellwire.channel.terms import Event

NAME = "cloud.test"
DEVICE, CLOUD = ToyKey(b"device"), ToyKey(b"cloud")
CALLS = 2
VISITS = 2


class Still:
    """A clock that stands."""

    def __call__(self) -> float:
        return 0.0


OPTIONS = SessionOptions(clock=Still())


class Impostor(ToyKey):
    """Says the device's public key, and has another."""

    def __init__(self) -> None:
        super().__init__(b"impostor")
        self.public_bytes = DEVICE.public_bytes

    def decapsulate(self, ciphertext: bytes) -> Secret:
        """What it can make of a ciphertext for the device."""
        return Secret(bytes(32))


def key_of(key_id: bytes) -> QkdKey:
    return QkdKey(key_id, Secret(key_id * 2), "simulated")


class Cloud:
    """What outlives a handshake: the list, the last number, the source of QKD keys."""

    def __init__(self) -> None:
        self.last = 0
        self.fetched: list[bytes] = []

    def public_of(self, device: bytes) -> bytes | None:
        """Of the only device on the list."""
        return DEVICE.public_bytes if device == fingerprint(DEVICE.public_bytes) else None

    def last_number(self, _: bytes) -> int:
        """That the device confirmed."""
        return self.last

    def confirmed(self, number: int) -> None:
        """A confirmation came."""
        self.last = max(self.last, number)

    def taken(self, number: int) -> None:
        """A hello came, which proves nothing."""

    def restart(self) -> None:
        """Numbers are on disk."""

    def answer(self, responder: Responder, key_id: bytes | None) -> bytes:
        """The source gives a key once, and refuses it after that."""
        if key_id is None:
            return responder.answer(None)
        if key_id in self.fetched:
            return responder.refuse()
        self.fetched.append(key_id)
        return responder.answer(key_of(key_id))


def _spent(_: bytes) -> NoReturn:
    raise AssertionError("expected one question about a hello, got another")


class Agreed(NamedTuple):
    """What both ends of a session must agree on."""

    session_id: bytes
    up: bytes
    down: bytes
    psk: bytes
    protections: Protections


def agreed(session: Session) -> Agreed:
    up, down = (session._send._secret.reveal(), session._receive._secret.reveal())
    if session._sending is Direction.TO_INITIATOR:
        up, down = down, up
    return Agreed(session.session_id, up, down, session.ticket.psk.reveal(), session.protections)


class Ends:
    """A device, a cloud, and a wire that is another's."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        self.ends = Pieces()
        self.numbers: dict[Hashable, int] = {}
        self.wire: dict[str, bytes] = {}
        self.answered: frozenset[bytes] = frozenset()
        self.at_device: dict[Hashable, Agreed] = {}
        self.at_cloud: dict[Hashable, Agreed] = {}
        self.confirmed: frozenset[int] = frozenset()
        self.restarted = False
        self.tried: set[Hashable] = set()

    def fork(self) -> "Ends":
        other = copy(self)
        other.cloud, other.ends = clone(self.cloud), self.ends.fork()
        for name in ("numbers", "wire", "at_device", "at_cloud"):
            setattr(other, name, getattr(self, name).copy())
        return other

    def key(self) -> Hashable:
        return (
            freeze(self.cloud),
            self.ends.key(),
            frozenset(self.wire.items()),
            freeze(self.at_device),
            freeze(self.at_cloud),
            self.confirmed,
            self.restarted,
        )

    def moves(self) -> list[Move]:
        def sent(*kinds: Kind) -> list[str]:
            return [name for name, message in self.wire.items() if message[0] in kinds]

        found: list[Move] = [
            ("call", number) for number in range(1, CALLS + 1) if f"call {number}" not in self.ends
        ]
        if "call forged" not in self.ends:
            found.append(("call", "forged"))
        if not self.restarted and self.numbers:
            found.append(("restart",))
        if len(self.numbers) < VISITS:
            found += [("hello", name) for name in sent(Kind.HELLO)]
        for end in self.ends.names():
            if isinstance(self.ends[end], Initiator):
                found += [("answer", end, name) for name in sent(Kind.ANSWER, Kind.ALERT)]
            elif self._waits(end):
                found += [("confirm", end, name) for name in sent(Kind.CONFIRM)]
        return found

    def _waits(self, name: Hashable) -> bool:
        return isinstance(self.ends[name], Responder)

    def do(self, move: Move) -> None:
        getattr(self, f"_{move[0]}")(*move[1:])

    def _call(self, number: int | str) -> None:
        name = f"call {number}"
        forged = number == "forged"
        initiator = Initiator(
            identity=Impostor() if forged else DEVICE,  # type: ignore[arg-type] # a toy
            responder_name=NAME,
            responder_public=CLOUD.public_bytes,
            policy=Policy.PREFER,
            qkd=key_of(name.ljust(16).encode()),
            counter=MAX_COUNTER if forged else int(number),
            options=OPTIONS,
        )
        with drawing(Lots(name)):
            self.wire[name] = initiator.hello()
        self.ends.put(name, initiator)

    def _hello(self, call: str) -> None:
        name = f"visit {sum(1 for each in self.numbers if str(each).endswith(call))} of {call}"
        self.numbers[name] = 0
        responder = Responder(
            identity=CLOUD,  # type: ignore[arg-type] # a toy
            name=NAME,
            initiators=self.cloud.public_of,
            policy=Policy.PREFER,
            last_counter=self.cloud.last_number,
            options=OPTIONS,
        )
        hello = Gate(CLOUD.public_bytes).admit(self.wire[call], "192.0.2.7", 0.0)
        assert not isinstance(hello, Retry)
        with drawing(Lots(name)):
            try:
                offer = responder.receive_hello(hello)
            except HandshakeFailed as error:
                self.ends.put(name, "refused")
                self.wire[f"alert to {name}"] = error.alert or b""
                return
            self.numbers[name] = offer.counter
            assert offer.counter not in self.confirmed, "what was confirmed is worked on again"
            self.cloud.taken(offer.counter)
            answer = self.cloud.answer(responder, offer.key_id)
        self.wire[f"answer to {name}"] = answer
        if answer[0] == Kind.ALERT:
            self.ends.put(name, "refused")
            return
        self.answered |= {responder._session_id}
        responder._initiators = responder._last_counter = _spent
        self.ends.put(name, responder)

    def _answer(self, call: str, answer: str) -> None:
        initiator = self.ends.touch(call)
        try:
            confirm, session = initiator.receive(self.wire[answer])
        except HandshakeFailed:
            self.ends.put(call, "failed")
            return
        self.ends.put(call, "established")
        self.wire[f"confirm of {answer}"] = confirm
        if call != "call forged":
            self.at_device[call] = agreed(session)
            assert session.session_id in self.answered, "the cloud did not answer the device"
            assert session.protections.qkd_source, "talked out of a QKD key"

    def _confirm(self, visit: str, confirm: str) -> None:
        responder = self.ends.touch(visit)
        try:
            session = responder.receive_confirmation(self.wire[confirm])
        except HandshakeFailed:
            self.ends.put(visit, "failed")
            return
        self.ends.put(visit, "established")
        self.at_cloud[visit] = agreed(session)
        self.cloud.confirmed(self.numbers[visit])
        self.confirmed |= {self.numbers[visit]}

    def _restart(self) -> None:
        self.restarted = True
        self.cloud.restart()
        for name in self.ends.names():
            if self._waits(name):
                self.ends.put(name, "forgotten")

    def check(self) -> None:
        at_device = list(self.at_device.values())
        for session in self.at_cloud.values():
            assert session in at_device, "the cloud has a session, and the device has not"
            assert session.up != session.down, "one key for both directions"
        served = [session.session_id for session in self.at_cloud.values()]
        assert len(set(served)) == len(served), "one call, two sessions"
        state = freeze(self.cloud)
        if state not in self.tried:
            self.tried.add(state)
            self.fork().check_next_call()

    def check_next_call(self) -> None:
        """Left alone with the cloud, the device comes to a session."""
        self._call(CALLS + 1)
        call = f"call {CALLS + 1}"
        self._hello(call)
        visit = f"visit 0 of {call}"
        assert self._waits(visit), "the device is locked out"
        self._answer(call, f"answer to {visit}")
        self._confirm(visit, f"confirm of answer to {visit}")
        assert self.at_device[call] == self.at_cloud[visit], "the device is locked out"


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    use(monkeypatch)
    return monkeypatch


def test_no_order_of_messages_breaks_a_handshake(patch: pytest.MonkeyPatch) -> None:
    assert explore(Ends(), most=20_000) > 1000


def _any_confirmation(responder: Responder, message: bytes) -> Session:
    with responder._progress.attempt(Event.TAKE_CONFIRM):
        state = responder._state
        state.mix_hash(message[:4])
        state.mix_hash(message[4:])
        return Session(
            state.split(),
            sending=Direction.TO_INITIATOR,
            session_id=responder._session_id,
            peer=responder._peer,
            protections=Protections.of(responder._qkd, responder._hello.suite),
            policy=responder._policy,
            options=responder._options,
        )


def _leave_out(cloud: Cloud, responder: Responder, key_id: bytes | None) -> bytes:
    if key_id is None or key_id in cloud.fetched:
        return responder.answer(None)
    cloud.fetched.append(key_id)
    return responder.answer(key_of(key_id))


def _without_the_initiators_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Responder,
        "_seal_grant",
        lambda end, used: end._state.seal(bytes(1120) + used),
    )
    patch.setattr(Initiator, "_take_grant", lambda end, grant: grant[-1])


def _forget(cloud: Cloud) -> None:
    cloud.last = 0


MUTANTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a number counts as soon as its hello comes": (
        "locked out",
        lambda patch: patch.setattr(Cloud, "taken", Cloud.confirmed),
    ),
    "numbers are not looked at": (
        "worked on again",
        lambda patch: patch.setattr(Cloud, "last_number", lambda *_: 0),
    ),
    "the last number passes once more": (
        "worked on again",
        lambda patch: patch.setattr(Cloud, "last_number", lambda cloud, _: cloud.last - 1),
    ),
    "a restart forgets the numbers": (
        "worked on again",
        lambda patch: patch.setattr(Cloud, "restart", _forget),
    ),
    "any confirmation will do": (
        "the device has not",
        lambda patch: patch.setattr(Responder, "receive_confirmation", _any_confirmation),
    ),
    "a key that is refused is left out": (
        "talked out",
        lambda patch: patch.setattr(Cloud, "answer", _leave_out),
    ),
    "the initiator's key takes no part": ("the device has not", _without_the_initiators_key),
    "both directions have one key": (
        "one key for both",
        lambda patch: patch.setattr(
            "bellwire.channel.symmetric._cut",
            lambda okm: (
                [Secret(okm[at % 64 : at % 64 + 32]) for at in (0, 64, 32, 96)]
                if len(okm) == 128
                else [Secret(okm[at : at + 32]) for at in range(0, len(okm), 32)]
            ),
        ),
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_search_finds_what_is_broken_on_purpose(fault: str, patch: pytest.MonkeyPatch) -> None:
    says, breaks = MUTANTS[fault]
    breaks(patch)
    with pytest.raises(Violation, match=says):
        explore(Ends(), most=20_000)
