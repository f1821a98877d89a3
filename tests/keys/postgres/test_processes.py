"""Several processes of a site on one pool: nothing leaves twice, whatever ends one of them."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import pytest
from tests.keys.postgres.conftest import place_of
from tests.keys.postgres.server import Server
from tests.keys.postgres.worker import shared_pool
from tests.keys.stores import add_ready, add_to, each, leave, pair, pool_of, take
from tests.patience import PATIENCE_S

from bellwire.base.detections import Side
from bellwire.keys.errors import KeyGone, KeyNotReady, NotEnoughKey, StoreError
from bellwire.keys.kme import Delivery
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Leave
from bellwire.keys.store import KeyStore

PLENTY = 2_000_000
FEW = 4096


class Worker:
    """A process of `worker`, and the lines that it printed."""

    def __init__(self, server: Server, folder: Path, known: Path) -> None:
        schemas = [place_of(server, folder, side).schema for side in (Side.ALICE, Side.BOB)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.keys.postgres.worker", server.url, *schemas, str(known)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "ready\n":
                self.ready.set()
            elif line.endswith("\n"):
                self.lines.append(line)

    def wait_for(self, more: int) -> None:
        """Until it has printed so many more lines."""
        wanted = len(self.lines) + more
        give_up_at = time.monotonic() + PATIENCE_S
        while len(self.lines) < wanted:
            assert self.process.poll() is None, "the worker ended"
            assert time.monotonic() < give_up_at
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self._end(-signal.SIGKILL)

    def finish(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._end(0)

    def _end(self, code: int) -> None:
        assert self.process.wait(PATIENCE_S) == code
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def workers(server: Server, folder: Path, known: list[bytes], count: int) -> Iterator[list[Worker]]:
    file = folder / "known"
    file.write_text("\n".join(str(UUID(bytes=key_id)) for key_id in known))
    started = [Worker(server, folder, file) for _ in range(count)]
    try:
        for worker in started:
            assert worker.ready.wait(PATIENCE_S)
        yield started
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.kill()


def check(lines: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Each id was taken once and left once, with the same bits at both sides."""
    said = [line.split() for line in lines]
    took = {key_id: digest for what, key_id, digest in said if what == "took"}
    left = {key_id: digest for what, key_id, digest in said if what == "left"}
    assert len(took) + len(left) == len(said)
    assert len(set(took.values())) == len(took)
    assert {key_id: took[key_id] for key_id in left if key_id in took} == {
        key_id: digest for key_id, digest in left.items() if key_id in took
    }
    return took, left


@pytest.fixture
def stocked(folder: Path) -> tuple[KeyStore, KeyStore]:
    stores = pair(folder)
    for store in stores:
        add_ready(store, 1, PLENTY)
    return stores


def test_processes_at_once_never_get_the_same_key_and_one_that_is_killed_takes_none_along(
    server: Server, folder: Path, stocked: tuple[KeyStore, KeyStore]
) -> None:
    alice, bob = map(pool_of, stocked)
    known = each(take(alice, 256, 40).ids)
    with workers(server, folder, known, 3) as (one, two, three):
        one.wait_for(30)
        two.kill()
        one.wait_for(30)
        three.wait_for(30)
        mine = [take(alice) for _ in range(20)]
        for delivery in mine:
            assert leave(bob, delivery.ids) == delivery
        one.finish()
        three.finish()
    took, left = check(one.lines + two.lines + three.lines)
    names = {str(UUID(bytes=key_id)) for key_id in known}
    assert names <= left.keys()
    assert not names & took.keys()
    assert not {str(UUID(bytes=delivery.ids)) for delivery in mine} & took.keys()
    again = take(alice)
    assert str(UUID(bytes=again.ids)) not in took
    for key_id in left:
        with pytest.raises(KeyGone):
            leave(bob, UUID(key_id).bytes)
    # What was taken and never fetched is there still, unless its answer was lost with a process.
    assert len(took.keys() - left.keys()) <= 5


def take_at_last(alice: Pool, bob: Pool) -> Delivery:
    """A key at both, once both can reach the server."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        with suppress(StoreError):
            taken = take(alice)
            assert leave(bob, taken.ids) == taken
            return taken
        time.sleep(0.1)
    raise AssertionError("the server was not reached in time")


def test_a_server_that_crashes_under_load_has_every_mark_that_it_confirmed(
    server: Server, folder: Path, stocked: tuple[KeyStore, KeyStore]
) -> None:
    alice, bob = map(pool_of, stocked)
    with workers(server, folder, [], 2) as (one, two):
        one.wait_for(20)
        server.stop("immediate")
        with pytest.raises(StoreError):
            take(alice)
        server.start()
        one.wait_for(20)
        two.wait_for(20)
        one.finish()
        two.finish()
    took, left = check(one.lines + two.lines)
    again = take_at_last(alice, bob)  # both connect again by themselves
    assert str(UUID(bytes=again.ids)) not in took
    for key_id in list(left)[-20:]:
        with pytest.raises(KeyGone):
            leave(bob, UUID(key_id).bytes)


def test_a_process_sees_what_another_took_fetched_gave_up_and_made_ready(
    server: Server, folder: Path
) -> None:
    stores = pair(folder)
    for store in stores:
        add_ready(store, 1, FEW)
    alice, bob = map(pool_of, stores)
    alice2, bob2 = (
        shared_pool(server.url, place_of(server, folder, side).schema, side)[1]
        for side in (Side.ALICE, Side.BOB)
    )
    first, second = take(alice), take(alice2)
    assert first.ids != second.ids
    assert alice.free_bits == 64 * 20  # it has not asked since
    alice.clean()
    alice2.clean()
    assert alice.free_bits == alice2.free_bits == 64 * 16
    assert leave(bob2, first.ids) == first
    with pytest.raises(KeyGone):
        leave(bob, first.ids)
    assert leave(bob, second.ids) == second
    take(alice, 64, 16)
    with pytest.raises(NotEnoughKey):
        take(alice2, 64)
    add_to(alice, stores[0], 2, FEW)
    late = take(alice)
    with pytest.raises(KeyNotReady):
        leave(bob2, late.ids)
    add_to(bob, stores[1], 2, FEW)
    assert leave(bob2, late.ids) == late
    with pytest.raises(NotEnoughKey):
        take(alice2, 64)  # nobody told it that the peer numbers block 2 alike
    given = bob.exchange.offer(24)
    assert alice.exchange.take_over(given) == given
    assert leave(alice, take(bob2, 64, 24).ids)
    with pytest.raises(NotEnoughKey):
        take(bob2, 64)
    alice2.confirm(alice2.marks.next_unit)
    last = take(alice2, 64, 20 + 24)
    assert leave(bob2, last.ids) == last
    assert alice.clean()
    assert alice.free_bits == 0


def test_a_fence_of_the_node_is_seen_by_every_process(server: Server, folder: Path) -> None:
    stores = pair(folder)
    for store in stores:
        add_ready(store, 1, FEW)
    alice, bob = map(pool_of, stores)
    _, bob2 = shared_pool(server.url, place_of(server, folder, Side.BOB).schema, Side.BOB)
    old = take(alice)
    _, (place,) = bob2.read_ids(Side.ALICE, old.ids)
    assert place is not None
    alice.fence(1, 100)
    bob.fence(1, 100)
    for pool, store in ((alice, stores[0]), (bob, stores[1])):
        add_to(pool, store, 2, FEW)
    # Read before the fence, committed after it: other bits lie there now.
    (outcome,) = bob2.commit([Leave(old.ids, [place], "", [("",)], 0)], 1000.0)
    assert isinstance(outcome, KeyGone)
    new = take(alice)
    assert leave(bob2, new.ids) == new
