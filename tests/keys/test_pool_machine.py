"""Two stores against a dict: the same blocks on both sides, crashes at will, each bit once."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)
from tests.keys.stores import (
    IN_MEMORY,
    PREPLACED,
    SETS,
    crash_copy,
    new_store,
    open_store,
    record,
    secret,
)

from bellwire.base.detections import Side
from bellwire.keys import store as sqlite
from bellwire.keys.errors import KeyGone, KeyNotReady, NotEnoughKey, ReserveExhausted
from bellwire.keys.model import BlockState, DeliveredKey, KeyId
from bellwire.keys.pool import master_units, plan
from bellwire.keys.store import KeyStore

SIDES = st.sampled_from(list(Side))
UNIT = 256


class TwoStores(RuleBasedStateMachine):
    """The model: which units each side still has to give, by block, and what its state is."""

    keys = Bundle("keys")

    @initialize()
    def start(self) -> None:
        self.place = tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY)
        self.copies = itertools.count()
        self.folder: dict[Side, Path] = {}
        self.stores: dict[Side, KeyStore] = {}
        self.states: dict[Side, dict[int, BlockState]] = {side: {} for side in Side}
        self.units: dict[Side, dict[int, dict[Side, list[int]]]] = {side: {} for side in Side}
        self.bits: dict[int, int] = {}
        self.sets: dict[Side, list[bytes]] = {}
        self.last = dict.fromkeys(Side, 0)
        self.settled = 0
        data = PREPLACED.reveal()[64:]
        for side in Side:
            self.folder[side] = Path(self.place.name) / f"first-{side.value}"
            self.stores[side] = new_store(self.folder[side], side)
            self.sets[side] = [data[64 * i : 64 * i + 64] for i in range(SETS)]

    def teardown(self) -> None:
        if hasattr(self, "place"):
            for store in self.stores.values():
                store.close()
            self.place.cleanup()

    @rule(skip=st.integers(0, 1), bits=st.integers(200, 6000))
    def distil(self, skip: int, bits: int) -> None:
        block = max(self.last.values()) + 1 + skip
        for side, store in self.stores.items():
            if block > len(self.sets[side]):
                with pytest.raises(ReserveExhausted):
                    store.burn(block)
                return
            pads = store.burn(block)
            assert pads.data.reveal() == self.sets[side][block - 1]
            self.last[side] = block
            store.put_pending(record(block, bits), secret(block, bits))
            self.states[side][block] = BlockState.PENDING
        self.bits[block] = bits

    @rule(ready=st.booleans(), first=SIDES, both=st.booleans())
    def settle(self, ready: bool, first: Side, both: bool) -> None:
        """Settle the oldest open block at one side or both, as the protocol would."""
        open_blocks = sorted(
            {b for side in Side for b, s in self.states[side].items() if s is BlockState.PENDING}
        )
        if not open_blocks:
            return
        block = open_blocks[0]
        if BlockState.READY in (self.states[side].get(block) for side in Side):
            ready = True
        elif any(block not in self.states[side] for side in Side):
            ready = False
        for side in (first, first.peer) if both else (first,):
            if self.states[side].get(block) is not BlockState.PENDING:
                continue
            if not ready:
                self.stores[side].discard(block)
                del self.states[side][block]
                continue
            expected = plan(block, self.bits[block], len(self.sets[side]) - block)
            assert self.stores[side].mark_ready(block) == expected
            self.states[side][block] = BlockState.READY
            data = secret(block, self.bits[block]).reveal()
            self.sets[side] += [data[64 * i : 64 * i + 64] for i in range(expected.refill_sets)]
            self.units[side][block] = {
                master: list(master_units(master, block, expected.units)) for master in Side
            }

    @rule(target=keys, side=SIDES, size=st.integers(1, 128).map(lambda n: 8 * n))
    def draw(self, side: Side, size: int) -> tuple[Side, DeliveredKey[KeyId] | None]:
        count = -(-size // UNIT)
        own = {block: units[side] for block, units in self.units[side].items()}
        block = next((b for b in sorted(own) if len(own[b]) >= count), None)
        if block is None:
            with pytest.raises(NotEnoughKey) as caught:
                self.stores[side].draw(size)
            assert caught.value.there == UNIT * max(map(len, own.values()), default=0)
            return side, None
        drawn = self.stores[side].draw(size)
        assert block == drawn.key_id.block
        assert list(drawn.key_id.units) == own[block][:count]
        del own[block][:count]
        self.check_bits(drawn)
        return side, drawn

    @rule(key=keys)
    def fetch_while_it_may(self, key: tuple[Side, DeliveredKey[KeyId] | None]) -> None:
        self.fetch(*key)

    @rule(key=consumes(keys))
    def fetch_twice(self, key: tuple[Side, DeliveredKey[KeyId] | None]) -> None:
        self.fetch(*key)
        self.fetch(*key)

    def fetch(self, master: Side, key: DeliveredKey[KeyId] | None) -> None:
        if key is None:
            return
        side, block, wanted = master.peer, key.key_id.block, list(key.key_id.units)
        left = self.units[side].get(block, {}).get(master, [])
        try:
            fetched = self.stores[side].fetch(key.key_id)
        except KeyNotReady:
            assert self.states[side][block] is BlockState.PENDING
        except KeyGone:
            assert not set(wanted) <= set(left)
        else:
            assert fetched == key
            for unit in wanted:
                left.remove(unit)

    @rule(side=SIDES)
    def crash(self, side: Side) -> None:
        target = Path(self.place.name) / f"{next(self.copies)}-{side.value}"
        copy = crash_copy(self.folder[side], target)
        self.stores[side].close()
        self.folder[side] = copy
        self.stores[side] = open_store(copy, side)

    def check_bits(self, key: DeliveredKey[KeyId]) -> None:
        block = key.key_id.block
        side = next(side for side in Side if block in self.units[side])
        paid = self.stores[side].mark_ready(block).refill_sets
        start = 64 * paid + 32 * key.key_id.first_unit
        data = secret(block, self.bits[block]).reveal()
        assert key.key.reveal() == data[start : start + key.key_id.bits // 8]

    @invariant()
    def stores_hold_what_the_model_holds(self) -> None:
        for side, store in getattr(self, "stores", {}).items():
            assert store.last_block() == self.last[side]
            assert store.reserve_sets_left() == len(self.sets[side]) - self.last[side]
            pending = [b for b, s in self.states[side].items() if s is BlockState.PENDING]
            assert store.pending() == sorted(pending)
            for master in Side:
                left = sum(len(units[master]) for units in self.units[side].values())
                assert store.stock_bits(master) == UNIT * left


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class TwoStoresOnPages(TwoStores):
    """The same, with pages of three units."""

    @initialize()
    def start(self) -> None:
        self.page_bytes, sqlite.PAGE_BYTES = sqlite.PAGE_BYTES, 3 * 32
        super().start()

    def teardown(self) -> None:
        if hasattr(self, "page_bytes"):
            sqlite.PAGE_BYTES = self.page_bytes
        super().teardown()


TestTwoStoresOnPages = TwoStoresOnPages.TestCase
TestTwoStoresOnPages.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
