"""Two stores against a dict: the same blocks on both sides, pads once, crashes at will."""

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
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
from bellwire.keys.carving import plan
from bellwire.keys.errors import ReserveExhausted
from bellwire.keys.model import BlockState
from bellwire.keys.store import KeyStore

SIDES = st.sampled_from(list(Side))


class TwoStores(RuleBasedStateMachine):
    """The model: state and bits of each block at each side, the pads to come, the units in all."""

    @initialize()
    def start(self) -> None:
        self.place = tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY)
        self.copies = itertools.count()
        self.folder: dict[Side, Path] = {}
        self.stores: dict[Side, KeyStore] = {}
        self.states: dict[Side, dict[int, BlockState]] = {side: {} for side in Side}
        self.units = dict.fromkeys(Side, 0)
        self.bits: dict[int, int] = {}
        self.sets: dict[Side, list[bytes]] = {}
        self.last = dict.fromkeys(Side, 0)
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
            expected = replace(
                plan(block, self.bits[block], len(self.sets[side]) - block),
                first_unit=self.units[side],
            )
            assert self.stores[side].mark_ready(block) == expected
            self.states[side][block] = BlockState.READY
            data = secret(block, self.bits[block]).reveal()
            self.sets[side] += [data[64 * i : 64 * i + 64] for i in range(expected.refill_sets)]
            self.units[side] += expected.units

    @rule(side=SIDES)
    def crash(self, side: Side) -> None:
        target = Path(self.place.name) / f"{next(self.copies)}-{side.value}"
        copy = crash_copy(self.folder[side], target)
        self.stores[side].close()
        self.folder[side] = copy
        self.stores[side] = open_store(copy, side)

    @invariant()
    def stores_hold_what_the_model_holds(self) -> None:
        for side, store in getattr(self, "stores", {}).items():
            assert store.last_block() == self.last[side]
            assert store.reserve_sets_left() == len(self.sets[side]) - self.last[side]
            pending = [b for b, s in self.states[side].items() if s is BlockState.PENDING]
            assert store.pending() == sorted(pending)
            with store._database.transaction() as cursor:
                (units,) = cursor.execute("SELECT TOTAL(units) FROM marks").fetchone()
            assert units == self.units[side]


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
