"""Nodes that meet by signatures: over real sockets and stores, with crashes, losses and Eve."""

import asyncio
import contextlib
import secrets
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keys.stores import IN_MEMORY, some_bytes
from tests.node.nodes import Pair, key_at_both, open_store, two_nodes
from tests.patience import PATIENCE_S

from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import BellwireError, UnreachableError
from bellwire.base.frames import FrameTooLarge, read_frame, write_frame
from bellwire.base.secret import Secret
from bellwire.crypto.randomness.source import OperatingSystem
from bellwire.crypto.signatures import SigningKey, fingerprint
from bellwire.distill.contact_frames import MAX_FRAME, is_first_contact
from bellwire.distill.errors import (
    ContactRefused,
    MalformedMessage,
    ParameterError,
    PeerMismatch,
    Refusal,
)
from bellwire.distill.first_contact import Alice
from bellwire.distill.line import Line, Sync
from bellwire.distill.report import SIGNED_CONTACT_ASSUMPTION, BlockReport
from bellwire.keys.errors import PreplacedKeyInvalid
from bellwire.keys.model import ContactMethod, FirstContact
from bellwire.keys.reserve import preplaced_bytes
from bellwire.keys.store import KeyStore
from bellwire.node import signed_contact
from bellwire.node.signed_contact import SignedContact

IDENTITY = {side: SigningKey(bytes([n]) * 32) for n, side in enumerate(Side, 1)}
EVE = SigningKey(bytes([9]) * 32)
NAME = {side: fingerprint(key.public_bytes) for side, key in IDENTITY.items()}
BY_HAND = Secret(some_bytes(preplaced_bytes(4), 1))


def contact(side: Side, store: KeyStore) -> SignedContact:
    return SignedContact(side, store, IDENTITY[side], NAME[side.peer], OperatingSystem())


class Crash(Exception):
    """The process ends here, as far as the other side can tell."""


class Dying:
    """A store whose owner dies as it takes the key in: just before, or just after."""

    def __init__(self, store: KeyStore, *, after: bool) -> None:
        self._store = store
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def install_preplaced(self, *arguments: Any, **more: Any) -> None:
        if self._after:
            self._store.install_preplaced(*arguments, **more)
        raise Crash


class Slow(Dying):
    """A store whose disk takes its time."""

    def __init__(self, store: KeyStore) -> None:
        super().__init__(store, after=True)
        self.entered, self.released = threading.Event(), threading.Event()

    def install_preplaced(self, *arguments: Any, **more: Any) -> None:
        self.entered.set()
        self.released.wait()
        self._store.install_preplaced(*arguments, **more)


Stores = dict[Side, KeyStore]
Ends = dict[Side, SignedContact]
Outcome = dict[Side, BaseException | bytes | None]
Tamper = Callable[[Side, int, bytes], bytes | None]
"""(sender, number among the sender's, frame) → what arrives; None ends the connection."""


def unharmed(sender: Side, number: int, frame: bytes) -> bytes:
    return frame


class Connection:
    """A connection in memory, between two sides, with Eve on it."""

    def __init__(self, tamper: Tamper = unharmed) -> None:
        self.readers = {side: asyncio.StreamReader() for side in Side}
        self._sent = dict.fromkeys(Side, 0)
        self._tamper = tamper

    def writer(self, side: Side) -> asyncio.StreamWriter:
        async def drain() -> None:
            await asyncio.sleep(0)

        told = SimpleNamespace(
            write=lambda data: self._write(side, data), drain=drain, is_closing=lambda: False
        )
        return cast(asyncio.StreamWriter, told)

    def _write(self, side: Side, data: bytes) -> None:
        frame = self._tamper(side, self._sent[side], data[4:])
        self._sent[side] += 1
        reader = self.readers[side.peer]
        if frame is None:
            self.end()
        elif not reader.at_eof() and not self._ended:
            reader.feed_data(len(frame).to_bytes(4, "big") + frame)

    _ended = False

    def end(self) -> None:
        self._ended = True
        for reader in self.readers.values():
            reader.feed_eof()


async def meet(ends: Ends, tamper: Tamper = unharmed) -> Outcome:
    """One connection: what `meet` gave, or raised, at each side; Alice then begins the line."""
    outcome: Outcome = {}
    connection = Connection(tamper)

    async def run(side: Side) -> None:
        writer = connection.writer(side)
        try:
            outcome[side] = await ends[side].meet(connection.readers[side], writer, None)
            if side is Side.ALICE:
                await write_frame(writer, b"the line")
        except Exception as error:
            outcome[side] = error
            connection.end()

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(run(side) for side in Side))
    return outcome


@contextlib.contextmanager
def stores_in(folder: Path) -> Iterator[Stores]:
    folder.mkdir(exist_ok=True)
    stores = {side: open_store(folder / side, side, b"") for side in Side}
    try:
        yield stores
    finally:
        for store in stores.values():
            store.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
        yield Path(place)


def agree(stores: Stores) -> None:
    """Both stores hold one key of one exchange, and the line proves it."""
    alice, bob = (stores[side] for side in Side)
    held = {side: store.first_contact() for side, store in stores.items()}
    assert all(each is not None and each.method is ContactMethod.SIGNED for each in held.values())
    assert [each and each.peer for each in held.values()] == [NAME[Side.BOB], NAME[Side.ALICE]]
    assert len({each and each.exchange for each in held.values()}) == 1
    assert alice.authentication_keys() == bob.authentication_keys()
    assert alice.reserve_sets_left() == bob.reserve_sets_left() == 256
    lines = {
        side: Line(side, store.authentication_keys().mac_key, bytes([n]) * 32)
        for n, (side, store) in enumerate(stores.items())
    }
    for side in Side:
        lines[side].receive_hello(lines[side.peer].hello())
    assert lines[Side.BOB].open(lines[Side.ALICE].seal(Sync(0, []))) == Sync(0, [])
    assert alice.burn(1).data == bob.burn(1).data


def ends(
    stores: Stores, dying: Side | None = None, *, after: bool = False
) -> dict[Side, SignedContact]:
    def store(side: Side) -> Any:
        return Dying(stores[side], after=after) if side is dying else stores[side]

    return {side: contact(side, store(side)) for side in Side}


def test_two_nodes_without_a_key_come_to_one_and_go_on_to_the_line(folder: Path) -> None:
    with stores_in(folder) as stores:
        outcome = asyncio.run(meet(ends(stores)))
        assert outcome == {Side.ALICE: None, Side.BOB: b"the line"}
        agree(stores)


def test_with_a_key_at_both_sides_the_line_begins_at_once(folder: Path) -> None:
    with stores_in(folder) as stores:
        asyncio.run(meet(ends(stores)))
        before = {side: store.first_contact() for side, store in stores.items()}
        seen: list[bytes] = []

        def look(sender: Side, number: int, frame: bytes) -> bytes:
            seen.append(frame)
            return frame

        assert asyncio.run(meet(ends(stores), look))[Side.BOB] == b"the line"
        assert seen == [b"the line"]
        assert before == {side: store.first_contact() for side, store in stores.items()}


# -- crashes and losses ------------------------------------------------------------------------

LOST = [(Side.ALICE, 0), (Side.BOB, 0), (Side.ALICE, 1), (Side.BOB, 1)]
"""The four messages of the exchange: sender, and number among the sender's."""

DEATHS = [(side, after) for side in Side for after in (False, True)]


Point = tuple[Side, int] | tuple[Side, bool]


def fail(stores: Stores, point: Point) -> Outcome:
    """One attempt that ends at a lost message, or at a death as a key is taken in."""
    side, where = point
    if isinstance(where, bool):
        return asyncio.run(meet(ends(stores, side, after=where)))

    def lose(sender: Side, number: int, frame: bytes) -> bytes | None:
        return None if (sender, number) == (side, where) else frame

    return asyncio.run(meet(ends(stores), lose))


@pytest.mark.parametrize("point", [*LOST, *DEATHS], ids=str)
def test_a_crash_or_a_loss_at_any_point_is_made_good_by_the_next_connection(
    folder: Path, point: Point
) -> None:
    with stores_in(folder) as stores:
        outcome = fail(stores, point)
        failed = Crash if isinstance(point[1], bool) else BellwireError
        assert isinstance(outcome[point[0]] or outcome[point[0].peer], failed)
        alice, bob = (stores[side].first_contact() for side in Side)
        # A key of Alice's is always one that Bob holds.
        assert alice is None or (bob is not None and alice.exchange == bob.exchange)
    with stores_in(folder) as stores:  # both start anew, from what the disk has
        assert asyncio.run(meet(ends(stores)))[Side.BOB] == b"the line"
        agree(stores)


@settings(max_examples=15, deadline=None)
@given(points=st.lists(st.sampled_from([*LOST, *DEATHS]), max_size=4))
def test_any_row_of_failures_ends_in_one_key_at_both_sides(points: list[Point]) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
        for point in points:
            with stores_in(Path(place)) as stores:
                fail(stores, point)
        with stores_in(Path(place)) as stores:
            assert asyncio.run(meet(ends(stores)))[Side.BOB] == b"the line"
            agree(stores)


def test_a_proof_that_eve_kept_back_does_not_undo_a_later_exchange(folder: Path) -> None:
    """She delivers it to a connection that is still open, after another has ended well."""

    async def test(stores: Stores) -> None:
        both, old = ends(stores), Connection()
        waiting = asyncio.create_task(
            both[Side.BOB].meet(old.readers[Side.BOB], old.writer(Side.BOB), None)
        )
        alice = Alice(IDENTITY[Side.ALICE], NAME[Side.BOB], secrets.token_bytes)
        await write_frame(old.writer(Side.ALICE), alice.hello())
        answer = await read_frame(old.readers[Side.ALICE], MAX_FRAME)
        proof = alice.receive_answer(answer)
        assert (await meet(both))[Side.BOB] == b"the line"
        await write_frame(old.writer(Side.ALICE), proof)
        with pytest.raises(PreplacedKeyInvalid):
            await waiting

    with stores_in(folder) as stores:
        asyncio.run(test(stores))
        agree(stores)


@pytest.mark.parametrize("times", [1, 2])
def test_losing_patience_never_leaves_a_key_half_taken_in(folder: Path, times: int) -> None:
    """Alice gives the connection up while her disk works: the key is there all the same.

    Whoever stops her while her time is up anyway gives it up twice.
    """

    async def test(stores: Stores) -> None:
        slow = Slow(stores[Side.ALICE])
        both = ends(stores)
        both[Side.ALICE] = contact(Side.ALICE, cast(KeyStore, slow))
        connection = Connection()
        bob, alice = (
            asyncio.create_task(
                both[side].meet(connection.readers[side], connection.writer(side), None)
            )
            for side in (Side.BOB, Side.ALICE)
        )
        assert await asyncio.to_thread(slow.entered.wait, PATIENCE_S)
        waits = []
        for _ in range(times):
            alice.cancel()
            for _ in range(10):  # turns of the loop
                await asyncio.sleep(0)
            waits.append(not alice.done())
        slow.released.set()
        with pytest.raises(asyncio.CancelledError):
            await alice
        assert all(waits)
        connection.end()
        with pytest.raises(BellwireError):
            await bob

    with stores_in(folder) as stores:
        asyncio.run(test(stores))
        agree(stores)


# -- who must not get in -----------------------------------------------------------------------


@pytest.mark.parametrize("stranger", list(Side))
def test_a_stranger_is_refused_by_name_and_nothing_is_stored(folder: Path, stranger: Side) -> None:
    with stores_in(folder) as stores:
        both = ends(stores)
        both[stranger] = SignedContact(
            stranger, stores[stranger], EVE, NAME[stranger.peer], OperatingSystem()
        )
        outcome = asyncio.run(meet(both))
        refusing = outcome[stranger.peer]
        assert isinstance(refusing, ContactRefused)
        assert fingerprint(EVE.public_bytes).hex() in str(refusing)
        assert refusing.reason is Refusal.IDENTITY
        assert not any(store.has_preplaced() for store in stores.values())
        if stranger is Side.ALICE:  # Bob tells the caller why
            told = outcome[Side.ALICE]
            assert isinstance(told, ContactRefused)
            assert "another identity than ours" in str(told)


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"", ContactRefused),
        (b"\x93\x01\x02", ContactRefused),
        (b"bwfc", MalformedMessage),
        (b"bwfc\x01\x01" + bytes(3200), ContactRefused),
        (b"bwfc\x02\x01" + bytes(3200), PeerMismatch),
        (b"bwfc\x01\x03" + bytes(3341), MalformedMessage),
        (bytes(MAX_FRAME + 1), FrameTooLarge),
    ],
    ids=["empty", "line", "short", "nobody", "version", "proof first", "long"],
)
def test_whatever_a_stranger_says_first_bob_refuses_and_stores_nothing(
    folder: Path, frame: bytes, error: type[BellwireError]
) -> None:
    def say(sender: Side, number: int, sent: bytes) -> bytes:
        return frame if sender is Side.ALICE else sent

    with stores_in(folder) as stores:
        outcome = asyncio.run(meet(ends(stores), say))
        assert type(outcome[Side.BOB]) is error
        assert isinstance(outcome[Side.ALICE], BellwireError)
        assert not any(store.has_preplaced() for store in stores.values())


@pytest.mark.parametrize("side", list(Side))
def test_a_peer_that_stays_silent_is_given_up(
    folder: Path, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed_contact, "CONTACT_TIMEOUT_S", 0.05)

    async def test(stores: Stores) -> None:
        silence = Connection()
        with pytest.raises(TimeoutError):
            await ends(stores)[side].meet(silence.readers[side], silence.writer(side), None)

    with stores_in(folder) as stores:
        asyncio.run(test(stores))
        assert not stores[side].has_preplaced()


def test_a_key_that_was_used_or_brought_by_hand_is_not_given_up(folder: Path) -> None:
    used = FirstContact(ContactMethod.SIGNED, NAME[Side.ALICE], b"once")
    for number, held in enumerate((used, FirstContact())):
        with stores_in(folder / str(number)) as stores:
            stores[Side.BOB].install_preplaced(BY_HAND, held)
            if held is used:
                stores[Side.BOB].burn(1)
            outcome = asyncio.run(meet(ends(stores)))
            refused, told = outcome[Side.BOB], outcome[Side.ALICE]
            assert isinstance(refused, ContactRefused)
            assert refused.reason is Refusal.KEY_HELD
            assert "keys fence" in (refused.hint or "")
            assert isinstance(told, ContactRefused)
            assert "holds a key already" in str(told)
            assert stores[Side.BOB].first_contact() == held
            assert not stores[Side.ALICE].has_preplaced()


def test_a_bob_who_lost_his_key_says_so_and_takes_no_other(folder: Path) -> None:
    with stores_in(folder) as stores:
        stores[Side.ALICE].install_preplaced(BY_HAND)
        refused = asyncio.run(meet(ends(stores)))[Side.BOB]
        assert isinstance(refused, ContactRefused)
        assert "this node has none" in str(refused)
        assert not stores[Side.BOB].has_preplaced()


def test_a_node_is_never_its_own_peer(folder: Path) -> None:
    with stores_in(folder) as stores, pytest.raises(ParameterError, match="our own"):
        SignedContact(
            Side.BOB, stores[Side.BOB], IDENTITY[Side.BOB], NAME[Side.BOB], OperatingSystem()
        )


# -- whole nodes -------------------------------------------------------------------------------


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())


async def block(pair: Pair) -> BlockReport:
    """One good block; waits for the connection."""
    while True:
        try:
            report = await pair.alice.distil(Protocol.BB84, 60_000)
        except UnreachableError:
            await asyncio.sleep(0.01)
        else:
            assert report.accepted
            return report


def test_two_nodes_meet_by_signatures_and_distil_a_key(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path, contact=contact) as pair:
            report = await block(pair)
            assert report.first_contact == "ML-DSA-65 signed exchange"
            assert SIGNED_CONTACT_ASSUMPTION in report.assumptions
            await key_at_both(pair)
            drawn = await pair.alice.keys.draw(256)
            assert (await pair.bob.keys.fetch(drawn.key_id)).key == drawn.key
            for node in (pair.alice, pair.bob):
                accounts = await node.accounts()
                assert accounts.first_contact == "ML-DSA-65 signed exchange"

    run(test)


def test_a_block_after_a_brought_key_assumes_no_exchange(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            report = await block(pair)
            assert report.first_contact == "pre-placed key"
            assert SIGNED_CONTACT_ASSUMPTION not in report.assumptions

    run(test)


def test_nodes_whose_exchange_is_disturbed_at_first_meet_in_the_end(tmp_path: Path) -> None:
    async def test() -> None:
        spoiled: set[tuple[Side, int]] = set()

        def spoil(sender: Side, number: int, frame: bytes) -> bytes:
            """Alters each message of an exchange once."""
            if is_first_contact(frame) and (sender, number) not in spoiled:
                spoiled.add((sender, number))
                return frame[:-1] + bytes([frame[-1] ^ 1])
            return frame

        async with two_nodes(tmp_path, contact=contact) as pair:
            pair.wire.tamper = spoil
            await block(pair)
            assert spoiled >= set(LOST)

    run(test)


def test_nodes_that_have_met_need_no_exchange_after_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path, contact=contact) as pair:
            await block(pair)
            before = pair.stores[Side.BOB].first_contact()
        async with two_nodes(tmp_path, contact=contact) as pair:
            await block(pair)
            assert pair.stores[Side.BOB].first_contact() == before
        # The setting matters at first contact only.
        async with two_nodes(tmp_path) as pair:
            assert (await block(pair)).first_contact == "ML-DSA-65 signed exchange"
            assert (await pair.alice.accounts()).first_contact == "ML-DSA-65 signed exchange"

    run(test)


def test_a_node_without_a_key_runs_and_says_that_it_has_none(tmp_path: Path) -> None:
    async def test() -> None:
        def stranger(side: Side, store: KeyStore) -> SignedContact:
            key = EVE if side is Side.ALICE else IDENTITY[side]
            return SignedContact(side, store, key, NAME[side.peer], OperatingSystem())

        async with two_nodes(tmp_path, contact=stranger) as pair:
            while pair.wire.connections < 2:
                await asyncio.sleep(0.01)
            for node in (pair.alice, pair.bob):
                accounts = await node.accounts()
                assert accounts.first_contact is None
                assert accounts.reserve_sets == 0
                assert not node.keys.status().keys_may_flow

    run(test)
