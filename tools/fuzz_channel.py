"""Fuzz the device channel for as long as you like: `python tools/fuzz_channel.py --cases 1e6`.

Spoils messages of handshakes of every kind, records, datagrams and certificates at random, also
under MACs made anew, and puts those of other runs, directions and kinds in their place. Prints the
seed of each round and stops at anything but a refusal by name, at a session that came of a spoilt
handshake, at a text that was not sent, and at another session that suffers.
"""

import contextlib
import random
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.channel.pair import CLOUD, SOURCE, Pair
from tests.channel.test_certificates import BOTH, CERTIFICATE
from tests.channel.test_datagrams import ends as datagram_ends
from tests.channel.test_resumption import Again
from tests.channel.test_session import ends
from tools.fuzz_rounds import Targets, fuzz

from bellwire.channel.certificates import RevocationList, Role, Trust, read_revoked
from bellwire.channel.datagrams import SendAgain
from bellwire.channel.errors import HandshakeFailed, RecordDropped, SessionEnded
from bellwire.channel.fragments import (
    MIN_DATAGRAM,
    Assembly,
    cookie_for,
    cut,
    knock_of,
    make_knock,
    parse_fragment,
)
from bellwire.channel.handshake import GateLimits, Retry, SessionOptions, Suite
from bellwire.channel.initiating import InitiatingEnd
from bellwire.channel.macs import HELLOS, finish_hello, mac_key
from bellwire.channel.options import RekeyLimits
from bellwire.channel.refresh import RefreshAnswered, RefreshOffered
from bellwire.channel.responding import RespondingEnd
from bellwire.channel.session import Session

Carry = Callable[[bytes], bytes]
"""The way of a message: what arrives in its place."""

Sessions = tuple[Session | None, Session | None]
CLOSED = GateLimits(total_per_s=1e-9, total_burst=0.0)
LIST = RevocationList(7, 1500, frozenset({b"r" * 16})).sign(BOTH)
SIGNED = CERTIFICATE.sign(BOTH)
TRUST = Trust(BOTH.public)
OPTIONS = SessionOptions(rekey=RekeyLimits(records=3))


def flip(data: bytes, rng: random.Random) -> bytes:
    """One bit is another."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def truncate(data: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data))]


def extend(data: bytes, rng: random.Random) -> bytes:
    """There is more behind it."""
    return data + rng.randbytes(rng.choice([1, 16, 1000]))


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """A piece is zeros, ones or random."""
    at, length = rng.randrange(len(data)), rng.choice([1, 4, 32, 1120])
    filling = rng.choice([bytes(length), b"\xff" * length, rng.randbytes(length)])
    return (data[:at] + filling + data[at + length :])[: len(data)]


def move(data: bytes, rng: random.Random) -> bytes:
    """It begins elsewhere."""
    at = rng.randrange(len(data))
    return data[at:] + data[:at]


def other_kind(data: bytes, rng: random.Random) -> bytes:
    """Its first byte is another."""
    return bytes([rng.randrange(32)]) + data[1:]


def foreign(data: bytes, rng: random.Random) -> bytes:
    """It is a message of another run."""
    return rng.choice(recorded())


SPOILS = [flip, flip, truncate, extend, overwrite, move, other_kind, foreign]


def in_full(
    carry: Carry,
    *,
    closed: bool = False,
    certificate: bytes = b"",
    suite: Suite = Suite.AES_256_GCM,
) -> Sessions:
    """A handshake in full, perhaps after a retry, perhaps by a certificate."""
    pair = Pair(suite=suite, gate_limits=CLOSED if closed else None)
    initiator, responder = pair.initiator, pair.responder
    if certificate:
        initiator._certificate = certificate
        responder._certified = lambda data: TRUST.check(data, Role.DEVICE, 1500.0).public
    verdict = pair.gate.admit(carry(initiator.hello()), SOURCE, 0.0)
    if isinstance(verdict, Retry):
        again, _ = initiator.receive(carry(verdict.message))
        verdict = pair.gate.admit(carry(again), SOURCE, 0.0)
    if isinstance(verdict, Retry):
        raise HandshakeFailed("expected a hello with a cookie, got one without")
    try:
        offer = responder.receive_hello(verdict)
    except HandshakeFailed as error:
        initiator.receive(carry(error.alert or b""))
        raise AssertionError("an alert was taken for an answer") from error
    answer = responder.answer(None if offer.key_id is None else pair.fetched)
    return finish(initiator, responder, answer, carry)


def resumed(carry: Carry) -> Sessions:
    """A handshake by a ticket."""
    again = Again()
    answer = again.answer(carry(again.resumer.hello()))
    return finish(again.resumer, again.responder, answer, carry)


def forgotten(carry: Carry) -> Sessions:
    """A handshake by a ticket that the responder does not know."""
    again = Again()
    hello = again.admit(carry(again.resumer.hello()))
    again.resumer.receive(carry(again.gate.unknown(hello)))
    raise AssertionError("a session without a ticket")


def finish(
    initiator: InitiatingEnd, responder: RespondingEnd, answer: bytes, carry: Carry
) -> Sessions:
    """From the answer on."""
    confirm, session = initiator.receive(carry(answer))
    try:
        return session, responder.receive_confirmation(carry(confirm))
    except HandshakeFailed:
        return session, None


KINDS: dict[str, Callable[[Carry], Sessions]] = {
    "in full": in_full,
    "chacha": partial(in_full, suite=Suite.CHACHA20_POLY1305),
    "with a cookie": partial(in_full, closed=True),
    "certified": partial(in_full, certificate=SIGNED),
    "resumed": resumed,
    "forgotten": forgotten,
}


@cache
def recorded() -> list[bytes]:
    """The messages of other handshakes and sessions, of all kinds."""
    heard: list[bytes] = []

    def listen(message: bytes) -> bytes:
        heard.append(message)
        return message

    for kind in KINDS.values():
        try:
            initiator, responder = kind(listen)
        except HandshakeFailed:
            continue
        assert initiator is not None
        assert responder is not None
        heard += [initiator.seal(b"up"), responder.seal(b"down"), initiator.close()]
    return heard


def handshakes(rng: random.Random) -> None:
    """A handshake one of whose messages is spoilt ends without a session at the responder."""
    kind, which = KINDS[rng.choice(list(KINDS))], rng.randrange(5)
    passed: list[bytes] = []
    spoilt = False

    def carry(message: bytes) -> bytes:
        nonlocal spoilt
        passed.append(message)
        if len(passed) - 1 != which:
            return message
        instead = rng.choice([*SPOILS, lambda *_: rng.choice(passed)])(message, rng)
        if message[0] in HELLOS and len(instead) > 40 and rng.random() < 0.5:
            instead = finish_hello(instead[:-32], mac_key(CLOUD.public_bytes), None)
        spoilt = instead != message
        return instead

    initiator, responder = kind(carry)
    if spoilt:
        assert responder is None, "a session of a handshake that was spoilt"
        assert initiator is None or passed[-1][0] == 3, "a session of an answer that was spoilt"
        raise HandshakeFailed("expected a handshake as it was sent, got a spoilt one")
    assert initiator is not None
    assert responder is not None
    assert responder.open(initiator.seal(b"text")) == b"text"


def records(rng: random.Random) -> None:
    """Of a session that is spoilt, the beginning arrives and no more; another goes on."""
    one, other = ends(OPTIONS), ends(OPTIONS)
    sender, receiver = one if rng.random() < 0.5 else one[::-1]
    texts = [rng.randbytes(rng.randrange(40)) for _ in range(rng.randrange(1, 12))]
    sealed = [sender.seal(text) for text in texts]
    beside = other[0].seal(b"beside")
    at, what = rng.randrange(len(sealed)), rng.randrange(6)
    if what == 0:
        sealed[at] = rng.choice(SPOILS)(sealed[at], rng)
    elif what == 1:
        sealed.insert(at, rng.choice(sealed))
    elif what == 2:
        del sealed[at]
    elif what == 3:
        rng.shuffle(sealed)
    elif what == 4:
        sealed.insert(at, receiver.seal(b"reflected"))
    got: list[object] = []
    ended: SessionEnded | None = None
    for record in sealed:
        try:
            got.append(receiver.open(record))
        except SessionEnded as error:
            ended = error
            break
    assert got == texts[: len(got)], "a text that was not sent, or not now"
    assert other[1].open(beside) == b"beside", "another session suffers"
    if ended is not None:
        raise ended


def datagrams(rng: random.Random) -> None:
    """Whatever becomes of datagrams, a text arrives once or not at all, and the session goes on."""
    sender, receiver = datagram_ends(rekey=RekeyLimits(records=5))
    texts = [bytes([number]) * 3 for number in range(rng.randrange(1, 20))]
    wire = [sender.seal(text) for text in texts]
    wire += [rng.choice(SPOILS)(rng.choice(wire), rng) for _ in range(5)] + rng.choices(wire, k=3)
    rng.shuffle(wire)
    got: list[object] = []
    dropped: RecordDropped | None = None
    for datagram in wire:
        try:
            got.append(receiver.open(datagram))
        except RecordDropped as error:
            dropped = error
    assert len(set(got)) == len(got), "a text arrives twice"
    assert set(got) <= set(texts), "a text that was not sent"
    assert receiver.open(sender.seal(b"last")) == b"last", "the session suffers"
    if dropped is not None:
        raise dropped


def fragments(rng: random.Random) -> None:
    """A handshake in datagrams that are spoilt stops, and goes on when they are said again."""
    pair = Pair()
    hello = pair.initiator.hello()
    knock = knock_of(hello)
    first = make_knock(knock, CLOUD.public_bytes)
    spoilt = [rng.choice(SPOILS)(first, rng) for _ in range(2)]
    for each in spoilt:
        if each != first:
            with contextlib.suppress(HandshakeFailed):
                pair.gate.knock(each, SOURCE, 0.0)
                raise AssertionError("a spoilt knock is answered")
    retry = pair.gate.knock(first, SOURCE, 0.0)
    cookie = cookie_for(knock, retry, CLOUD.public_bytes)
    proved, _ = pair.initiator.receive(retry)
    assembly, refused = Assembly(), 0

    def arrive(datagrams: list[bytes]) -> list[bytes]:
        nonlocal refused
        messages = []
        for datagram in datagrams:
            try:
                fragment = parse_fragment(datagram)
                pair.gate.recognise(fragment, SOURCE, 0.0)
                messages.append(assembly.add(fragment))
            except HandshakeFailed:
                refused += 1
        return [message for message in messages if message is not None]

    pieces = cut(proved, knock.digest, cookie, MIN_DATAGRAM)
    wire = pieces + [rng.choice(SPOILS)(rng.choice(pieces), rng) for _ in range(4)]
    wire += rng.choices(pieces, k=2)
    rng.shuffle(wire)
    for message in arrive(wire):
        if message != proved:
            with contextlib.suppress(HandshakeFailed):
                pair.gate.admit(message, SOURCE, 0.0)
                raise AssertionError("a hello that was put together wrongly passes the gate")
    assert proved in arrive(pieces + pieces), "what is said again does not come through"
    answer = pair.answer(proved)
    confirm, session = pair.establish(answer)
    at_responder = pair.responder.receive_confirmation(confirm)
    assert at_responder.open(session.seal(b"text")) == b"text"
    if refused:
        raise HandshakeFailed("expected datagrams as they were sent, got spoilt ones")


def refreshes(rng: random.Random) -> None:
    """Fresh keys over datagrams that are lost, doubled, reordered and spoilt: all comes through."""
    # Not so few that more than MAX_EPOCHS_AHEAD epochs could be lost.
    device, cloud = datagram_ends(rekey=RekeyLimits(records=rng.randrange(8, 12)))
    ways: dict[bool, list[bytes]] = {True: [], False: []}
    got: dict[bool, list[bytes]] = {True: [], False: []}
    dropped = 0

    def give(up: bool, datagram: bytes) -> None:
        nonlocal dropped
        try:
            opened = (cloud if up else device).open(datagram)
        except RecordDropped:
            dropped += 1
            return
        match opened:
            case bytes():
                got[up].append(opened)
            case RefreshOffered():
                ways[False].append(cloud.answer_refresh(None))
            case RefreshAnswered() | SendAgain():
                ways[not up].append(opened.record)

    sent: dict[bool, list[bytes]] = {True: [], False: []}
    for number in range(12):
        up = rng.random() < 0.5
        text = bytes([number])
        sent[up].append(text)
        ways[up].append((device if up else cloud).seal(text))
        if rng.random() < 0.3 and device._fresh is None and device._refresher.may_offer:
            ways[True].append(device.offer_refresh(None))
        elif rng.random() < 0.3 and (again := device.offer_again()):
            ways[True].append(again)
        for way, wire in ways.items():
            while wire and rng.random() < 0.6:
                datagram = wire.pop(rng.randrange(len(wire)))
                give(way, rng.choice(SPOILS)(datagram, rng) if rng.random() < 0.2 else datagram)
                if rng.random() < 0.2:
                    give(way, datagram)
    for way, texts in got.items():
        assert len(set(texts)) == len(texts), "a text arrives twice"
        assert set(texts) <= set(sent[way]), "a text that was not sent"
    for way in (False, True, False):
        text = b"last %d" % len(got[way])
        give(way, (device if way else cloud).seal(text))
        assert got[way][-1] == text, "the session does not go on"
    if dropped:
        raise RecordDropped("expected records as they were sent, got others")


def certificates(rng: random.Random) -> None:
    """A certificate or a list of revoked ones that is spoilt does not count."""
    if rng.random() < 0.5:
        data = rng.choice(SPOILS)(SIGNED, rng)
        assert TRUST.check(data, Role.DEVICE, 1500.0) == CERTIFICATE
    else:
        data = rng.choice(SPOILS)(LIST, rng)
        read_revoked(data, BOTH.public)
    assert data in (SIGNED, LIST), "a signature over what was not signed"


TARGETS: Targets = {
    "handshakes": (handshakes, 20),
    "records": (records, 30),
    "datagrams": (datagrams, 10),
    "fragments": (fragments, 5),
    "refreshes": (refreshes, 10),
    "certificates": (certificates, 20),
}
"""What is fuzzed, and how often in each round."""


if __name__ == "__main__":
    fuzz("Fuzz the device channel.", TARGETS)
