"""A session over datagrams: every order, every copy, every loss, while keys step and are refreshed.

Two ends of one session. Whoever has the wire keeps every record that was ever sent, and gives any
of them to its end whenever it likes, as often as it likes, or never; also back to who sent it, and
under the number of another epoch or as another kind. In every state, left alone, both ends come
through to each other.
"""

from collections.abc import Callable, Hashable
from copy import copy

import pytest
from tests.channel.models.exploring import Move, Pieces, Violation, explore
from tests.channel.models.toys import Lots, ToyAead, drawing, use

from bellwire.base.secret import Secret
from bellwire.channel.datagram_chain import DatagramChain, DatagramRecord
from bellwire.channel.datagram_epochs import ReceivedEpochs
from bellwire.channel.datagrams import DatagramOpened, DatagramSession, SendAgain
from bellwire.channel.errors import RecordDropped, SessionEnded
from bellwire.channel.messages import Direction, Kind, Policy, Transport
from bellwire.channel.options import RekeyLimits, SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.records import Chain
from bellwire.channel.refresh import RefreshAnswered, RefreshOffered
from bellwire.channel.session import Session
from bellwire.channel.symmetric import SessionSecrets
from bellwire.channel.terms import QkdKey
from bellwire.channel.window import Dropped, Window

KEY = QkdKey(b"i" * 16, Secret(b"q" * 32), "simulated")
ENDS = {"up": ("device", "cloud"), "down": ("cloud", "device")}


class Still:
    """A clock that stands."""

    def __call__(self) -> float:
        return 0.0


OPTIONS = SessionOptions(clock=Still(), rekey=RekeyLimits(records=2), transport=Transport.UDP)


def end(sending: Direction) -> DatagramSession:
    return Session(
        SessionSecrets(*(Secret(bytes([byte]) * 32) for byte in b"udrt")),
        sending=sending,
        session_id=b"S" * 16,
        peer=b"P" * 32,
        protections=Protections(None),
        policy=Policy.PREFER,
        options=OPTIONS,
    ).over_datagrams()


class Talk:
    """Two ends, and all that was ever on the wire between them.

    Args:
        up: How many messages the device has, at most.
        down: How many the cloud has.
        refreshes: How often the device asks for fresh keys.
    """

    def __init__(self, up: int, down: int, refreshes: int) -> None:
        self.most = {"up": up, "down": down}
        self.refreshes = refreshes
        self.ends = Pieces()
        self.ends.put("device", end(Direction.TO_RESPONDER))
        self.ends.put("cloud", end(Direction.TO_INITIATOR))
        self.wire: dict[str, tuple[bytes, ...]] = {"up": (), "down": ()}
        self.sent = {"up": 0, "down": 0}
        self.got: dict[str, frozenset[bytes]] = {"up": frozenset(), "down": frozenset()}
        self.refreshed = 0
        self.asked = False
        self.sealed: frozenset[tuple[bytes, bytes]] = frozenset()

    def fork(self) -> "Talk":
        other = copy(self)
        other.ends = self.ends.fork()
        for name in ("wire", "sent", "got"):
            setattr(other, name, getattr(self, name).copy())
        return other

    def key(self) -> Hashable:
        seen = (*self.wire.values(), *self.sent.values(), *self.got.values())
        return self.ends.key(), seen, self.refreshed, self.asked

    def moves(self) -> list[Move]:
        found: list[Move] = [
            ("give", way, place) for way in ENDS for place in range(len(self.wire[way]))
        ]
        found += [("say", way) for way in ENDS if self.sent[way] < self.most[way]]
        device = self.ends["device"]
        idle = device._fresh is None and device._refresher.may_offer
        if self.refreshed < self.refreshes and idle:
            found.append(("offer",))
        elif device._offer and self._offers < self.refreshed + 1:
            found.append(("offer_again",))
        if self.asked:
            found += [("answer", True), ("answer", False)]
        return found

    @property
    def _offers(self) -> int:
        return sum(record[0] == Kind.REFRESH_OFFER for record in self.wire["up"])

    def do(self, move: Move) -> None:
        before = len(ToyAead.sealed)
        with drawing(Lots(f"{move} {self.refreshed}")):
            getattr(self, f"_{move[0]}")(*move[1:])
        new = ToyAead.sealed[before:]
        del ToyAead.sealed[before:]
        assert not self.sealed & set(new), "a nonce serves twice"
        assert len(set(new)) == len(new), "a nonce serves twice"
        self.sealed |= set(new)

    def _put(self, way: str, record: bytes) -> None:
        self.wire[way] += (record,)

    def _say(self, way: str) -> None:
        text = f"{way} {self.sent[way]}".encode()
        self._put(way, self.ends.touch(ENDS[way][0]).seal(text))
        self.sent[way] += 1

    def _offer(self) -> None:
        self.refreshed += 1
        self._put("up", self.ends.touch("device").offer_refresh(KEY))

    def _offer_again(self) -> None:
        self._put("up", self.ends.touch("device").offer_again())

    def _answer(self, reachable: bool) -> None:
        self.asked = False
        self._put("down", self.ends.touch("cloud").answer_refresh(KEY if reachable else None))

    def _give(self, way: str, place: int) -> None:
        record = self.wire[way][place]
        sender, receiver = ENDS[way]
        self._refused(sender, record)
        self._refused(receiver, bytes([record[0], record[1] + 1 & 0xFF]) + record[2:])
        self._refused(receiver, bytes([Kind.CLOSE]) + record[1:])
        opened = self._open(receiver, record)
        match opened:
            case bytes():
                assert opened.startswith(way.encode()), "a record came back"
                assert opened not in self.got[way], "a record counts twice"
                self.got[way] |= {opened}
            case RefreshOffered(key_id):
                assert key_id == KEY.key_id
                self.asked = True
            case RefreshAnswered(switch):
                self._put("up", switch)
            case SendAgain(answer):
                # What is said again adds nothing but a record; one of them is enough to look at.
                if sum(each[0] == Kind.REFRESH_ANSWER for each in self.wire["down"]) < 2:
                    self._put("down", answer)

    def _open(self, name: str, record: bytes) -> DatagramOpened:
        receiver = self.ends.touch(name)
        try:
            return receiver.open(record)  # type: ignore[no-any-return] # it is a DatagramSession
        except RecordDropped:
            return None
        except SessionEnded as error:
            raise AssertionError(f"the session suffers: {error}") from error
        finally:
            receiver.dropped = Dropped()  # counts without end, and nothing hangs on it

    def _refused(self, name: str, record: bytes) -> None:
        """What is reflected, or under another header, does not count."""
        assert self._open(name, record) is None, "what nobody sent so is taken"

    def check(self) -> None:
        self.fork().check_next_words()
        device, cloud = self.ends["device"], self.ends["cloud"]
        if device._fresh is None and cloud._fresh is None and not device._offer:
            assert device.protections == cloud.protections, "the ends do not agree on QKD keys"

    def check_next_words(self) -> None:
        """Left alone, each end comes through to the other, twice."""
        for way in ("down", "up", "down"):
            for _ in range(2):
                self._say(way)
                self._give(way, len(self.wire[way]) - 1)
                text = f"{way} {self.sent[way] - 1}".encode()
                assert text in self.got[way], "the session does not go on"


TALKS = {"steps": (5, 1, 0), "fresh keys": (1, 0, 1)}


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    use(monkeypatch)
    return monkeypatch


@pytest.mark.parametrize("talk", TALKS)
def test_no_order_of_datagrams_breaks_a_session(talk: str, patch: pytest.MonkeyPatch) -> None:
    assert explore(Talk(*TALKS[talk]), most=20_000) > 200


def _same_key_again(chain: Chain) -> None:
    chain._enter(Secret(chain._secret.reveal()), chain.epoch + 1)


def _same_key_ahead(chain: DatagramChain, epochs: int) -> DatagramChain:
    return chain.branch(Secret(chain._secret.reveal()), chain.epoch + epochs)


def _keep_the_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Chain, "step", _same_key_again)
    patch.setattr(DatagramChain, "ahead", _same_key_ahead)


def _on_the_header_s_word(epochs: ReceivedEpochs, record: DatagramRecord, ahead: int) -> bytes:
    stepped = epochs._chain.ahead(ahead)
    epochs._enter(stepped)
    return stepped.open_at(record)


def _without_fresh_keys(epochs: ReceivedEpochs, record: DatagramRecord, ahead: int) -> bytes:
    stepped = epochs._chain.ahead(ahead)
    text = stepped.open_at(record)
    epochs._enter(stepped)
    return text


def _in_its_first_epoch_alone(epochs: ReceivedEpochs, record: DatagramRecord, ahead: int) -> bytes:
    due, epochs.due = epochs.due, None
    if due is not None:
        fresh = epochs._chain.branch(Secret(due.reveal()), epochs.epoch + ahead)
        try:
            text = fresh.open_at(record)
        except RecordDropped:
            epochs.due = due
        else:
            epochs._enter(fresh)
            return text
    return _without_fresh_keys(epochs, record, ahead)


def _at_once(session: DatagramSession, qkd: QkdKey | None) -> bytes:
    session._answer, session._fresh = session._refresher.answer(qkd)
    session._receive.due = session._fresh.up
    record = session._seal(Kind.REFRESH_ANSWER, session._answer)
    session._changed_over()
    return record


def _take_every_offer(session: DatagramSession, offer: bytes) -> DatagramOpened:
    return session._refresher.take_offer(offer)


def _new_window(epochs: ReceivedEpochs, chain: DatagramChain) -> None:
    # The epoch before counts again from its beginning.
    epochs._chain.window = Window()
    epochs._before, epochs._chain = epochs._chain, chain
    epochs._until = 1.0
    epochs.newest, epochs.overtaken = True, False


MUTANTS: dict[str, tuple[str, str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a record that came is not remembered": (
        "steps",
        "counts twice",
        lambda patch: patch.setattr(Window, "check", lambda *_: None),
    ),
    "a step keeps the key": (
        "steps",
        "nonce serves twice",
        _keep_the_key,
    ),
    "an epoch is entered on a header's word": (
        "steps",
        "does not go on|counts twice",
        lambda patch: patch.setattr(ReceivedEpochs, "_open_ahead", _on_the_header_s_word),
    ),
    "the window of the epoch before is forgotten": (
        "steps",
        "counts twice",
        lambda patch: patch.setattr(ReceivedEpochs, "_enter", _new_window),
    ),
    "the header is not under the seal": (
        "steps",
        "suffers",
        lambda patch: patch.setattr(
            ToyAead, "_tag", lambda aead, nonce, text, aad: (aead.key + nonce + text)[:16]
        ),
    ),
    "fresh keys are not looked for": (
        "fresh keys",
        "does not go on",
        lambda patch: patch.setattr(ReceivedEpochs, "_open_ahead", _without_fresh_keys),
    ),
    "fresh keys that have stepped are not looked for": (
        "fresh keys",
        "does not go on",
        lambda patch: patch.setattr(ReceivedEpochs, "_open_ahead", _in_its_first_epoch_alone),
    ),
    "the responder changes over before the initiator": (
        "fresh keys",
        "does not go on",
        lambda patch: patch.setattr(DatagramSession, "answer_refresh", _at_once),
    ),
    "an offer that is repeated counts again": (
        "fresh keys",
        "suffers",
        lambda patch: patch.setattr(DatagramSession, "_take_offer", _take_every_offer),
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_search_finds_what_is_broken_on_purpose(fault: str, patch: pytest.MonkeyPatch) -> None:
    talk, says, breaks = MUTANTS[fault]
    breaks(patch)
    with pytest.raises(Violation, match=says):
        explore(Talk(*TALKS[talk]), most=20_000)
