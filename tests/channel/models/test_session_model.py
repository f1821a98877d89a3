"""A session's records in every order: messages, steps of epochs, fresh keys and closes that cross.

Two ends of one session, each with a queue towards the other. Whoever has the wire interferes once,
when the ends have said what they say: leaves out a record, gives one again, swaps two, sends one
back, or ends the transport. Until it does, everything that was sent arrives; after it did, what
arrived is the beginning of what was sent.
"""

from collections.abc import Callable, Collection, Hashable
from copy import copy

import pytest
from tests.channel.models.exploring import Move, Pieces, Violation, explore
from tests.channel.models.toys import Lots, ToyAead, drawing, use

from bellwire.base.secret import Secret
from bellwire.channel.errors import SessionEnded, Truncated
from bellwire.channel.messages import Direction, Kind, Policy
from bellwire.channel.options import RekeyLimits, SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.records import Chain
from bellwire.channel.refresh import FreshSecrets, RefreshAnswered, Refresher, RefreshOffered
from bellwire.channel.session import Session
from bellwire.channel.symmetric import SessionSecrets
from bellwire.channel.terms import QkdKey
from bellwire.crypto.errors import AuthenticationFailed

KEY = QkdKey(b"i" * 16, Secret(b"q" * 32), "simulated")
ENDS = {"up": ("device", "cloud"), "down": ("cloud", "device")}


class Still:
    """A clock that stands."""

    def __call__(self) -> float:
        return 0.0


OPTIONS = SessionOptions(clock=Still(), rekey=RekeyLimits(records=2))


def session(sending: Direction) -> Session:
    secrets = SessionSecrets(*(Secret(bytes([byte]) * 32) for byte in b"udrt"))
    return Session(
        secrets,
        sending=sending,
        session_id=b"S" * 16,
        peer=b"P" * 32,
        protections=Protections(None),
        policy=Policy.PREFER,
        options=OPTIONS,
    )


class Talk:
    """Two ends and what is on its way between them.

    Args:
        up: How many messages the device has, at most.
        down: How many the cloud has.
        refreshes: How often the device asks for fresh keys.
        closing: The ways that may be closed.
    """

    def __init__(self, up: int, down: int, refreshes: int, closing: Collection[str]) -> None:
        self.closing = closing
        self.most = {"up": up, "down": down}
        self.refreshes = refreshes
        self.ends = Pieces()
        self.ends.put("device", session(Direction.TO_RESPONDER))
        self.ends.put("cloud", session(Direction.TO_INITIATOR))
        self.wire: dict[str, tuple[bytes, ...]] = {"up": (), "down": ()}
        self.sent = {"up": 0, "down": 0}
        self.got = {"up": 0, "down": 0}
        self.refreshed = 0
        self.asked = False
        self.disturbed = False
        self.sealed: frozenset[tuple[bytes, bytes]] = frozenset()

    def fork(self) -> "Talk":
        other = copy(self)
        other.ends = self.ends.fork()
        for name in ("wire", "sent", "got"):
            setattr(other, name, getattr(self, name).copy())
        return other

    def key(self) -> Hashable:
        counts = (*self.wire.values(), *self.sent.values(), *self.got.values())
        return self.ends.key(), counts, self.refreshed, self.asked, self.disturbed

    def moves(self) -> list[Move]:
        found: list[Move] = [("carry", way) for way in ENDS if self.wire[way]]
        if self.disturbed:
            return found
        for way, (sender, _) in ENDS.items():
            end = self.ends[sender]
            if not end._ended and not end._we_closed:
                if self.sent[way] < self.most[way]:
                    found.append(("seal", way))
                if way in self.closing:
                    found.append(("close", way))
            if self.wire[way]:
                found += [("drop", way), ("double", way), ("return", way)]
            if len(self.wire[way]) > 1:
                found.append(("swap", way))
            found.append(("cut", way))
        device = self.ends["device"]
        closed = device._ended or device._we_closed or device._peer_closed
        if self.refreshed < self.refreshes and device._refresher.may_offer and not closed:
            found.append(("offer",))
        cloud = self.ends["cloud"]
        if self.asked and not cloud._ended and not cloud._we_closed:
            found += [("answer", True), ("answer", False)]
        return found

    def do(self, move: Move) -> None:
        before = len(ToyAead.sealed)
        with drawing(Lots(f"{move} {self.refreshed}")):
            getattr(self, f"_{move[0]}")(*move[1:])
        new = ToyAead.sealed[before:]
        del ToyAead.sealed[before:]
        assert not self.sealed & set(new), "a nonce serves twice"
        assert len(set(new)) == len(new), "a nonce serves twice"
        self.sealed |= set(new)

    def _say(self, way: str, record: bytes) -> None:
        if record:
            self.wire[way] += (record,)

    def _seal(self, way: str) -> None:
        text = f"{way} {self.sent[way]}".encode()
        self._say(way, self.ends.touch(ENDS[way][0]).seal(text))
        self.sent[way] += 1

    def _close(self, way: str) -> None:
        self._say(way, self.ends.touch(ENDS[way][0]).close())

    def _offer(self) -> None:
        self.refreshed += 1
        self._say("up", self.ends.touch("device").offer_refresh(KEY))

    def _answer(self, reachable: bool) -> None:
        self.asked = False
        self._say("down", self.ends.touch("cloud").answer_refresh(KEY if reachable else None))

    def _carry(self, way: str) -> None:
        record, self.wire[way] = self.wire[way][0], self.wire[way][1:]
        self._give(way, record)

    def _give(self, way: str, record: bytes) -> None:
        end = self.ends.touch(ENDS[way][1])
        ended = end._ended
        try:
            opened = end.open(record)
        except SessionEnded as error:
            if not self.disturbed:
                raise AssertionError(f"nobody interfered, and {error}") from error
            return
        assert not ended, "something opens after the end"
        match opened:
            case bytes():
                assert opened == f"{way} {self.got[way]}".encode(), f"got {opened!r} out of turn"
                self.got[way] += 1
            case RefreshOffered(key_id):
                assert key_id == KEY.key_id
                self.asked = True
            case RefreshAnswered(record):
                self._say("up", record)
            case None:
                assert self.got[way] == self.sent[way], "a close, and something is missing"

    def _drop(self, way: str) -> None:
        self.disturbed = True
        self.wire[way] = self.wire[way][1:]

    def _double(self, way: str) -> None:
        record = self.wire[way][0]
        self._carry(way)
        self.disturbed = True
        self._give(way, record)

    def _swap(self, way: str) -> None:
        self.disturbed = True
        first, second, *rest = self.wire[way]
        self.wire[way] = (second, first, *rest)

    def _return(self, way: str) -> None:
        self.disturbed = True
        other = "down" if way == "up" else "up"
        self.wire[other] = (self.wire[way][0], *self.wire[other])

    def _cut(self, way: str) -> None:
        """The transport ends: the receiver is told so, or knows that nothing is missing."""
        self.disturbed = True
        self.wire[way] = ()
        try:
            self.ends.touch(ENDS[way][1]).transport_ended()
        except Truncated:
            return
        assert self.got[way] == self.sent[way], "the end came early, and was taken for a close"

    def check(self) -> None:
        if self.disturbed or any(self.wire.values()) or self.asked:
            return
        assert self.got == self.sent, "something got lost"
        device, cloud = self.ends["device"], self.ends["cloud"]
        for one, other in ((device._send, cloud._receive), (cloud._send, device._receive)):
            assert one._secret == other._secret, "other keys at either end"
            assert (one.epoch, one.number) == (other.epoch, other.number)
        assert device.protections == cloud.protections


TALKS = {"steps": (3, 1, 0, ENDS), "fresh keys": (1, 1, 1, {"up"})}


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    use(monkeypatch)
    return monkeypatch


@pytest.mark.parametrize("talk", TALKS)
def test_no_order_of_records_breaks_a_session(talk: str, patch: pytest.MonkeyPatch) -> None:
    assert explore(Talk(*TALKS[talk]), most=10_000) > 2000


def _lenient(numbers: tuple[int, ...]) -> Callable[[Chain, bytes, bytes], bytes]:
    """Takes records that are as far from the next one as these."""
    strict = Chain.open

    def open_near(chain: Chain, head: bytes, sealed: bytes) -> bytes:
        expected = chain.number
        for near in (0, *numbers):
            chain.number = expected + near
            try:
                text = strict(chain, head, sealed)
            except (AuthenticationFailed, OverflowError):
                continue
            chain.number = max(chain.number, expected)
            return text
        return strict(chain, head, sealed)

    return open_near


def _same_key_again(chain: Chain) -> None:
    chain._enter(Secret(chain._secret.reveal()), chain.epoch + 1)


def _keep(chain: Chain, _: Secret) -> None:
    chain._enter(Secret(chain._secret.reveal()), chain.epoch + 1)


def _at_once(session: Session, qkd: QkdKey | None) -> bytes:
    answer, fresh = session._refresher.answer(qkd)
    record = session._seal(Kind.REFRESH_ANSWER, answer)
    session._send.renew(fresh.down)
    session._receive.renew(fresh.up)
    session._note_fresh(fresh.qkd)
    return record


def _too_early(session: Session, answer: bytes) -> RefreshAnswered:
    fresh = session._refresher.take_answer(answer)
    session._receive.renew(fresh.down)
    session._send.renew(fresh.up)
    record = b"" if session._we_closed else session._seal(Kind.REFRESH_SWITCH, b"")
    session._note_fresh(fresh.qkd)
    return RefreshAnswered(record)


def _mix_in_anyway(
    answer: Callable[[Refresher, QkdKey | None], tuple[bytes, FreshSecrets]],
) -> Callable[[Refresher, QkdKey | None], tuple[bytes, FreshSecrets]]:
    def lie(end: Refresher, qkd: QkdKey | None) -> tuple[bytes, FreshSecrets]:
        said, fresh = answer(end, KEY)
        return said[:-1] + bytes([qkd is not None]), fresh

    return lie


class Forgetful(list[tuple[bytes, bytes]]):
    """Stays empty."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        pass


def _one_key_without_direction(patch: pytest.MonkeyPatch) -> None:
    begin = Chain.__init__

    def enter(chain: Chain, suite: object, _: Secret, session_id: bytes, direction: int) -> None:
        begin(chain, suite, Secret(b"u" * 32), session_id, Direction(0))  # type: ignore[arg-type]

    patch.setattr(Chain, "__init__", enter)
    # That repeats nonces as well, which is another fault than the one looked for here.
    patch.setattr(ToyAead, "sealed", Forgetful())


def _trust_the_wire(session: Session) -> None:
    session._peer_closed = True


MUTANTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a record opens twice": (
        "out of turn",
        lambda patch: patch.setattr(Chain, "open", _lenient((-1,))),
    ),
    "a record may be left out": (
        "out of turn|something is missing",
        lambda patch: patch.setattr(Chain, "open", _lenient((1,))),
    ),
    "the end of an epoch may be left out": (
        "out of turn|something is missing",
        lambda patch: patch.setattr(Chain, "_ending", lambda _: b""),
    ),
    "both directions are one": ("out of turn", _one_key_without_direction),
    "a step keeps the key": (
        "nonce serves twice",
        lambda patch: patch.setattr(Chain, "step", _same_key_again),
    ),
    "fresh keys are not taken": (
        "nonce serves twice",
        lambda patch: patch.setattr(Chain, "renew", _keep),
    ),
    "the responder expects fresh keys before the switch": (
        "nobody interfered",
        lambda patch: patch.setattr(Session, "answer_refresh", _at_once),
    ),
    "the switch comes under fresh keys": (
        "nobody interfered",
        lambda patch: patch.setattr(Session, "_take_answer", _too_early),
    ),
    "a QKD key that was left out is mixed in": (
        "other keys at either end",
        lambda patch: patch.setattr(
            Refresher,
            "answer",
            _mix_in_anyway(Refresher.answer),
        ),
    ),
    "the end of the transport is a close": (
        "taken for a close",
        lambda patch: patch.setattr(Session, "transport_ended", _trust_the_wire),
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_search_finds_what_is_broken_on_purpose(fault: str, patch: pytest.MonkeyPatch) -> None:
    says, breaks = MUTANTS[fault]
    breaks(patch)
    talk = TALKS["fresh keys" if "resh" in fault or "QKD" in fault else "steps"]
    with pytest.raises(Violation, match=says):
        explore(Talk(*talk), most=10_000)
