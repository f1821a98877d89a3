"""Deposits: only who has the part reads, makes or answers one; and a part serves once."""

import asyncio
import os
import random
from dataclasses import replace

import msgspec
import pytest

from bellwire.base.secret import Secret
from bellwire.network import deposit
from bellwire.network.deposit import Answer, Header, Outcome
from bellwire.network.errors import Malformed, MessageRefused, NotAuthentic
from bellwire.network.marked_ids import Made, MarkedIds
from bellwire.network.model import RelayedBlock, TransferRecord
from bellwire.network.pads import MAX_OF_PEER, Pads

KEYS = Secret(bytes(range(64)))
PART = Secret(random.Random(1).randbytes(deposit.part_bytes(64)))
HEADER = Header("a", "c", bytes(16), 0, "app-a", ("app-c",), bytes(15) + b"1" + bytes(16), 256)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_who_has_the_part_reads_what_was_sealed_and_nobody_else() -> None:
    sealed = deposit.seal(HEADER, KEYS, PART)
    came = deposit.read(sealed)
    assert came.header == HEADER
    assert came.part_bytes == len(PART)
    assert came.open(PART) == KEYS
    assert KEYS.reveal() not in sealed
    with pytest.raises(NotAuthentic):
        came.open(Secret(os.urandom(len(PART))))


def test_a_deposit_with_any_bit_changed_is_none() -> None:
    sealed = deposit.seal(HEADER, KEYS, PART)
    draw = random.Random(2)
    for bit in draw.sample(range(8 * len(sealed)), 600):
        with pytest.raises(MessageRefused):
            deposit.read(flipped(sealed, bit)).open(PART)


def test_only_who_has_the_part_says_that_keys_are_kept() -> None:
    answer = deposit.read_answer(deposit.kept(HEADER, PART))
    deposit.check_kept(answer, PART)
    for forged in (
        Answer("c", answer.transfer, 0, Outcome.KEPT),
        Answer("c", answer.transfer, 0, Outcome.KEPT, bytes(16)),
        Answer("c", answer.transfer, 1, Outcome.KEPT, answer.tag),
        Answer("d", answer.transfer, 0, Outcome.KEPT, answer.tag),
        Answer("c", bytes(15) + b"1", 0, Outcome.KEPT, answer.tag),
    ):
        with pytest.raises(NotAuthentic):
            deposit.check_kept(forged, PART)
    with pytest.raises(NotAuthentic):
        deposit.check_kept(answer, Secret(os.urandom(len(PART))))
    refused = deposit.read_answer(deposit.refused(HEADER, Outcome.FAILED))
    assert (refused.outcome, refused.tag) == (Outcome.FAILED, b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"bits": 264},
        {"bits": 0},
        {"bits": 12},
        {"bits": 8200},
        {"ids": bytes(32)},
        {"ids": bytes(17)},
        {"ids": b""},
        {"slaves": ()},
        {"slaves": ("x",) * 33},
        {"slaves": ("",)},
        {"slaves": ("x" * 257,)},
        {"master": ""},
        {"at": -1},
        {"at": 2**16},
        {"transfer": bytes(15)},
        {"origin": "a b"},
        {"target": ""},
    ],
    ids=str,
)
def test_a_header_out_of_bounds_is_refused_before_it_is_used(changes: dict[str, object]) -> None:
    told = msgspec.structs.replace(HEADER, **changes)
    part = Secret(bytes(len(PART)))
    with pytest.raises(Malformed):
        deposit.read(deposit.seal(told, KEYS, part))


@pytest.mark.parametrize("read", [deposit.read, deposit.read_answer])
def test_noise_is_no_message(read: object) -> None:
    draw = random.Random(3)
    assert callable(read)
    for length in (0, 1, 2, 30, 3000):
        for _ in range(50):
            with pytest.raises(Malformed):
                read(draw.randbytes(length))
    with pytest.raises(Malformed):
        read(b"\x91" * 5000)


def block(number: int, origin: str, target: str, size: int = 100) -> RelayedBlock:
    record = TransferRecord(
        number.to_bytes(16), origin, target, ((origin, "r", target),), size, met=False
    )
    return RelayedBlock(record, Secret(random.Random(number).randbytes(size)))


def test_parts_of_a_pad_never_overlap_and_are_the_same_at_both_ends() -> None:
    async def story() -> None:
        ours, theirs = Pads("a"), Pads("c")
        made, came = block(1, "a", "c"), block(1, "a", "c")
        await ours.pending(made)
        assert ours.take("c", 1, lambda record: True) is None, "not before both hold it"
        await ours.ready(made.record.transfer)
        await theirs.pending(came)
        whole = random.Random(1).randbytes(100)
        pad = theirs.theirs("a", made.record.transfer)
        assert pad is not None
        for at, size in ((0, 30), (30, 1), (31, 60)):
            part = ours.take("c", size, lambda record: True)
            assert part is not None
            assert (part.at, part.key.reveal()) == (at, whole[at : at + size])
            assert pad.look(at, size) == part.key
            pad.spend(at + size)
            assert pad.look(at, size) is None
            assert pad.look(at + size - 1, 2) is None
        assert ours.left("c") == pad.left == 9
        assert ours.take("c", 10, lambda record: True) is None
        assert pad.look(95, 6) is None
        assert pad.look(91, 0) is None
        assert ours.take("c", 9, lambda record: False) is None
        assert ours.left("c") == 0, "a block whose way is not trusted is given up"

    asyncio.run(story())


def test_pads_are_bounded_and_forgotten() -> None:
    async def story() -> None:
        pads = Pads("a")
        for number in range(MAX_OF_PEER + 3):
            for made in (block(number, "a", "c"), block(1000 + number, "c", "a")):
                await pads.pending(made)
                await pads.ready(made.record.transfer)
        assert pads.left("c") == 100 * MAX_OF_PEER
        assert len(pads.records("c")) == MAX_OF_PEER
        assert pads.theirs("c", (1000).to_bytes(16)) is None
        assert pads.theirs("c", (1003).to_bytes(16)) is not None
        pads.drop("c")
        assert pads.left("c") == 0
        kept = pads.theirs("c", (1003).to_bytes(16))
        assert kept is not None
        pads.wipe()
        assert kept.look(0, 1) is None

    asyncio.run(story())


def test_ids_are_uuids_that_their_maker_alone_knows_again() -> None:
    ours, others = MarkedIds(Secret(bytes(32))), MarkedIds(Secret(bytes(31) + b"1"))
    seen = set()
    for for_here, made in ((True, Made.HERE_FOR_HERE), (False, Made.HERE_FOR_ELSEWHERE)):
        ids = ours.make(500, for_here=for_here)
        for at in range(0, len(ids), 16):
            name = ids[at : at + 16]
            seen.add(name)
            assert (name[6] >> 4, name[8] >> 6) == (4, 2)
            assert ours.read(name) is made
            assert others.read(name) is Made.ELSEWHERE
            assert ours.read(flipped(name, at % 128)) is Made.ELSEWHERE
    assert len(seen) == 1000


def test_a_part_that_was_spent_is_wiped_behind_the_one_after_it() -> None:
    async def story() -> None:
        pads = Pads("c")
        came = block(7, "a", "c")
        await pads.pending(replace(came))
        pad = pads.theirs("a", came.record.transfer)
        assert pad is not None
        pad.spend(50)
        assert pad.look(0, 10) is None
        pad.spend(20)
        assert pad.left == 50
        assert bytes(50) == bytes(pad._bits[:50])

    asyncio.run(story())
