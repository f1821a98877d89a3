"""Whatever comes to a node, from whomever: it goes on, and its honest work goes on."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from tests.network.in_process import InProcessBus
from tests.patience import PATIENCE_S
from tests.simulators.mesh import End, LinkPool, Mesh, identities, running, until

from bellwire.base.secret import Secret
from bellwire.crypto.signatures import SigningKey
from bellwire.keys.errors import KeyGone, StoreError
from bellwire.keys.status import Status
from bellwire.network.carrier import Carrier, HopFailed
from bellwire.network.control import (
    Check,
    Confirm,
    Control,
    Done,
    Failed,
    Heard,
    Reason,
    Received,
    hear,
    meeting_id,
    tell,
)
from bellwire.network.errors import Malformed, MessageRefused, NoRoute, NotAuthentic
from bellwire.network.hop import LinkKey, ShareHeader, key_bytes, read_frame, seal_share
from bellwire.network.identity import sign
from bellwire.network.meetings import KEPT, Meetings
from bellwire.network.wire import Kind

DIAMOND = [("a", "m"), ("m", "b"), ("a", "x"), ("x", "b")]
KEYS, ROSTER = identities(("a", "b", "m", "x"))
TRANSFER = b"t" * 16
HEADER = ShareHeader(TRANSFER, 0, ("a", "m", "b"), 1)
SHARE = Secret(bytes(100))


def story(attack: Callable[[Mesh], Awaitable[None]]) -> None:
    """Run the attack, then see that everybody still does what they should."""

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), running(DIAMOND, InProcessBus()) as mesh:
            await attack(mesh)
            record = await mesh.nodes["a"].make("b", 100, routes=2)
            await until(lambda: record.transfer in mesh.shelves["b"].is_ready)
            assert [len(shelf.blocks) for shelf in mesh.shelves.values()] == [1, 1, 0, 0]

    asyncio.run(run())


async def deliver(mesh: Mesh, node: str, body: bytes) -> None:
    await mesh.nodes[node]._take(None, body)


def test_noise_in_inbox_and_topic_changes_nothing() -> None:
    draw = random.Random(1)

    async def attack(mesh: Mesh) -> None:
        for _ in range(300):
            noise = draw.randbytes(draw.randrange(0, 200))
            first = bytes([draw.choice((0, Kind.SHARE, Kind.CONTROL, 255))])
            await deliver(mesh, "b", first + noise)
            await mesh.nodes["b"]._take("links", noise)
        await deliver(mesh, "b", b"")

    story(attack)


def test_spoilt_frames_of_a_real_transfer_change_nothing() -> None:
    draw = random.Random(2)

    async def attack(mesh: Mesh) -> None:
        await mesh.nodes["a"].make("b", 100, routes=1)
        for node, body in list(mesh.bus.seen) * 3:
            spoilt = bytearray(body)
            for _ in range(draw.randint(1, 3)):
                spoilt[draw.randrange(len(spoilt))] ^= 1 << draw.randrange(8)
            await deliver(mesh, node, bytes(spoilt[: draw.randrange(1, len(spoilt) + 1)]))
            await deliver(mesh, node, body)
        shelves = mesh.shelves.values()
        await until(lambda: all(set(each.blocks) == each.is_ready for each in shelves))
        for shelf in shelves:
            shelf.blocks.clear()
            shelf.is_ready.clear()

    story(attack)


def carrier_of_m() -> tuple[Carrier, LinkPool, LinkPool]:
    """The relay m between a and b, and the pools of its two links."""
    near, far = LinkPool(1, 10_000), LinkPool(2, 10_000)
    return Carrier("m", ROSTER, {"a": End(near, "m", "a"), "b": End(far, "m", "b")}), near, far


def sealed_by_a(pool: LinkPool, header: ShareHeader, short: int = 0) -> bytes:
    """A frame of the neighbour a, which seals as much as it likes with what it has drawn."""
    size = key_bytes(len(SHARE))
    drawn = pool.draw("a", size - short)
    return seal_share(header, SHARE, LinkKey(drawn.ids, Secret(drawn.key.reveal().ljust(size))))


@pytest.mark.parametrize(
    "header",
    [
        ShareHeader(TRANSFER, 0, ("a", "m", "nobody"), 1),
        ShareHeader(TRANSFER, 0, ("a", "b"), 1),
        ShareHeader(TRANSFER, 0, ("a", "m", "b"), 2),
        ShareHeader(TRANSFER, 0, ("x", "m", "b"), 1),
    ],
)
def test_a_frame_that_is_not_for_us_from_a_neighbour_spends_none_of_our_key(
    header: ShareHeader,
) -> None:
    carrier, pool, _ = carrier_of_m()
    with pytest.raises(MessageRefused):
        asyncio.run(carrier.open(sealed_by_a(pool, header)))
    assert pool.fetched == 0


@pytest.mark.parametrize("short", [1, 100, 120])
def test_a_neighbour_that_draws_less_key_than_it_seals_with_is_refused(short: int) -> None:
    carrier, pool, _ = carrier_of_m()
    with pytest.raises(NotAuthentic, match=r"expected link key of 132 bytes"):
        asyncio.run(carrier.open(sealed_by_a(pool, HEADER, short)))


def test_a_frame_counts_once_and_a_node_carries_one_share_of_a_transfer() -> None:
    async def run() -> None:
        carrier, pool, _ = carrier_of_m()
        frame = sealed_by_a(pool, HEADER)
        opened = await carrier.open(frame)
        assert opened is not None
        assert opened[1] == SHARE
        assert await carrier.open(frame) is None
        other = ShareHeader(TRANSFER, 1, ("a", "m", "x", "b"), 1)
        with pytest.raises(MessageRefused, match="one share of a transfer"):
            await carrier.open(sealed_by_a(pool, other))
        ids = read_frame(frame).ids
        with pytest.raises(KeyGone):
            await carrier.open(seal_share(HEADER, SHARE, LinkKey(ids, Secret(bytes(132)))))

    asyncio.run(run())


def test_a_hop_without_key_says_why() -> None:
    async def reason(header: ShareHeader, share: Secret) -> Reason:
        with pytest.raises(HopFailed) as failed:
            await carrier.seal(header, share)
        return failed.value.reason

    async def run() -> None:
        onward = HEADER.forward()
        assert await reason(ShareHeader(TRANSFER, 0, ("a", "m", "x"), 2), SHARE) is Reason.NO_LINK
        assert await reason(onward, Secret(bytes(20_000))) is Reason.NO_KEY
        far.status = Status.RED
        assert await reason(onward, SHARE) is Reason.RED
        far.status = Status.GREEN
        far.draw = broken  # type: ignore[method-assign]
        assert await reason(onward, SHARE) is Reason.STORE

    def broken(end: str, size: int) -> LinkKey:
        raise StoreError("the disk failed")

    carrier, _, far = carrier_of_m()
    asyncio.run(run())


@pytest.mark.parametrize(
    "message",
    [
        Received(TRANSFER, ((0, "m"),)),
        Check(TRANSFER, 100, (("m", "b"),), bytes(16), (bytes(16),)),
        Confirm(TRANSFER, ()),
        Done(TRANSFER),
        Failed(TRANSFER, 0, "a", "m", Reason.RED),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_member_that_speaks_out_of_turn_is_not_heard(message: Control) -> None:
    async def attack(mesh: Mesh) -> None:
        for node in ("a", "b"):
            told = tell(KEYS["m"], "m", node, message, None)
            await deliver(mesh, node, bytes([Kind.CONTROL]) + told)

    story(attack)


def test_a_node_can_blame_hops_of_its_own_only() -> None:
    async def run() -> None:
        links = [("a", "m"), ("m", "n"), ("n", "b"), ("a", "x")]
        async with running(links, InProcessBus(), patience_s=60.0) as mesh:
            mesh.bus.misbehave = lambda node, body: []
            outgoing = mesh.nodes["a"]._outgoing
            make = asyncio.create_task(mesh.nodes["a"].make("b", 100, routes=1))
            await until(lambda: bool(outgoing._attempts))
            (transfer,) = outgoing._attempts
            for sender, index, hop in (
                ("x", 0, ("a", "m")),
                ("n", 0, ("a", "m")),
                ("m", 0, ("n", "b")),
                ("m", 0, ("m", "a")),
                ("m", 1, ("m", "n")),
            ):
                with pytest.raises(MessageRefused):
                    outgoing.failed(sender, Failed(transfer, index, hop[0], hop[1], Reason.RED))
            outgoing.failed("m", Failed(transfer, 0, "m", "n", Reason.RED))
            with pytest.raises(NoRoute):
                await make

    asyncio.run(run())


def told(
    message: Control,
    *,
    identity: SigningKey = KEYS["a"],
    sender: str = "a",
    receiver: str = "b",
    meeting: Secret | None = None,
) -> Heard:
    return hear(ROSTER, "b", tell(identity, sender, receiver, message, meeting))


def test_a_control_message_is_its_signers_and_for_its_receiver() -> None:
    assert told(Done(TRANSFER)).sender == "a"
    for spoilt in ({"identity": KEYS["m"]}, {"receiver": "m"}, {"sender": "nobody"}):
        with pytest.raises(NotAuthentic):
            told(Done(TRANSFER), **spoilt)


@pytest.mark.parametrize(
    "message",
    [
        Check(TRANSFER, 100, (("a", "b"),), bytes(16), (bytes(16), bytes(16))),
        Check(TRANSFER, 0, (("a", "b"),), bytes(16), (bytes(16),)),
        Check(TRANSFER, 100, (), bytes(16), ()),
        Check(TRANSFER, 100, (("a", "b"),), bytes(15), (bytes(16),)),
        Confirm(b"short", ()),
        Confirm(TRANSFER, (8,)),
        Confirm(TRANSFER, tuple(range(9))),
        Received(TRANSFER, ((0, "m"),) * 65),
        Failed(TRANSFER, 0, "a b", "m", Reason.RED),
    ],
)
def test_a_control_message_out_of_bounds_is_refused(message: Control) -> None:
    with pytest.raises(Malformed):
        told(message)


def test_a_signed_message_of_another_purpose_or_version_is_refused() -> None:
    with pytest.raises(NotAuthentic):
        hear(ROSTER, "b", sign(KEYS["a"], "a", b"links", b"anything"))
    with pytest.raises(Malformed):
        hear(ROSTER, "b", sign(KEYS["a"], "a", b"transfer", b"anything"))
    with pytest.raises(Malformed):
        hear(ROSTER, "b", bytes(40_000))
    data = tell(KEYS["a"], "a", "b", Done(TRANSFER), None)
    assert data[1] == 1, "the version is the first field"
    with pytest.raises(Malformed, match="of version 1, got 2"):
        hear(ROSTER, "b", data[:1] + b"\2" + data[2:])


def test_a_meeting_key_is_asked_for_once_it_was_used_and_never_given_up() -> None:
    meetings = Meetings()
    key, other = Secret(b"k" * 32), Secret(b"o" * 32)
    assert meetings.check(told(Done(TRANSFER))) is None
    meetings.offered("a", key)
    assert meetings.certain("a") is None, "it may not have it yet"
    assert meetings.check(told(Done(TRANSFER))) is None
    assert meetings.check(told(Done(TRANSFER), meeting=key)) == key
    assert meetings.certain("a") == key
    for refused in (None, other):
        with pytest.raises(NotAuthentic):
            meetings.check(told(Done(TRANSFER), meeting=refused))
    assert meetings.check(told(Done(TRANSFER)), (None,)) is None, "begun before"
    meetings.agreed("a", other)
    assert meetings.certain("a") == other
    assert meetings.check(told(Done(TRANSFER), meeting=key)) == key, "the last word may be lost"
    assert meetings.certain("a") == other
    for number in range(KEPT):
        meetings.agreed("a", Secret(bytes([number]) * 32))
    with pytest.raises(NotAuthentic):
        meetings.check(told(Done(TRANSFER), meeting=other))


def test_a_meeting_keys_name_without_the_key_is_no_proof() -> None:
    key = Secret(b"k" * 32)
    meetings = Meetings()
    meetings.offered("a", key)
    heard = told(Done(TRANSFER), meeting=Secret(b"z" * 32))
    forged = Heard(heard.sender, heard.message, meeting_id(key), heard._mac, heard._text)
    with pytest.raises(NotAuthentic):
        meetings.check(forged)
