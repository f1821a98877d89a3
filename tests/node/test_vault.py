"""The key store as the classical channel sees it."""

import asyncio
from pathlib import Path

import pytest
from tests.node.nodes import open_store

from bellwire.base.detections import Protocol, Side
from bellwire.base.secret import Secret
from bellwire.distill.conversation import BlockAuthentication
from bellwire.distill.report import BlockReport
from bellwire.keys.errors import BlockNumberUsed, StoreUnusable
from bellwire.keys.model import BlockState, KeySourceKind
from bellwire.keys.reserve import SET_BYTES
from bellwire.node.vault import StoreVault

BITS = 8192


def report(number: int) -> BlockReport:
    return BlockReport(
        number=number,
        probe=False,
        protocol=Protocol.BB84,
        pulses=100_000,
        accepted=True,
        qber=0.02,
        extracted_bits=BITS,
        epsilon=1e-10,
    )


def test_both_sides_get_the_same_tag_keys_for_a_block_and_each_pad_once(tmp_path: Path) -> None:
    async def authentication(side: Side) -> BlockAuthentication:
        store = open_store(tmp_path / side, side)
        vault = StoreVault(store, KeySourceKind.SIMULATED, lambda: 1.0)
        assert await vault.last_block() == 0
        keys = await vault.authentication(1)
        assert await vault.last_block() == 1
        with pytest.raises(BlockNumberUsed):
            await vault.authentication(1)
        store.close()
        return keys

    alice = asyncio.run(authentication(Side.ALICE))
    bob = asyncio.run(authentication(Side.BOB))
    assert alice == bob
    assert alice.consumed_bits == 8 * SET_BYTES
    pads = [*alice.received_pads.values(), *alice.transcript_pads.values()]
    assert len({pad.reveal() for pad in pads}) == 4


def test_a_block_is_pending_until_released_and_then_pays_the_reserve(tmp_path: Path) -> None:
    async def work() -> None:
        store = open_store(tmp_path / "a", Side.ALICE)
        vault = StoreVault(store, KeySourceKind.SIMULATED, lambda: 1234.5)
        ready: list[int] = []

        async def released(block: int) -> None:
            ready.append(block)

        vault.released = released
        for number in (1, 2, 3):
            await vault.authentication(number)
            await vault.keep(report(number), Secret(bytes([number]) * (BITS // 8)))
        assert await vault.pending() == [1, 2, 3]
        assert ready == []
        await vault.release(1)
        await vault.discard(2)
        assert await vault.pending() == [3]
        assert await vault.kept([1, 2, 3, 4]) == [1, 3]
        assert ready == [1]
        assert vault.refilled_bits > 0
        assert store.state(2) is BlockState.ABSENT
        kept = store.record(1)
        assert kept is not None
        assert (kept.decided_at, kept.source) == (1234.5, KeySourceKind.SIMULATED)
        store.close()

    asyncio.run(work())


def test_what_blocks_erased_leaves_the_log_with_the_next_tend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path / "a", Side.ALICE)
    (log,) = tmp_path.rglob("*-wal")

    async def work() -> None:
        vault = StoreVault(store, KeySourceKind.SIMULATED, lambda: 1.0)
        store.zeroise()
        assert log.stat().st_size == 0
        await vault.authentication(1)
        await vault.keep(report(1), Secret(bytes([1]) * (BITS // 8)))
        await vault.release(1)
        assert log.stat().st_size > 0
        await vault.tend()
        assert log.stat().st_size == 0

        def fails() -> None:
            raise StoreUnusable("the disk is full")

        await vault.authentication(2)
        with monkeypatch.context() as full:
            full.setattr(store, "zeroise", fails)
            with pytest.raises(StoreUnusable):
                await vault.tend()
        await vault.tend()
        assert log.stat().st_size == 0

    asyncio.run(work())
    store.close()
