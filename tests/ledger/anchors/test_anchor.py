"""The 76 bytes, and what a log must be that they are of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.logs import ORIGIN, SmallLog, numbered

from bellwire.ledger.anchors.anchor import Anchor, anchor_of, parse_anchor, verify_anchor
from bellwire.ledger.anchors.chain import chain_number, check_chain, hive_id
from bellwire.ledger.anchors.errors import AnchorMalformed, AnchorMismatch, AnchorUnusable
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.tiles import Tile, TileHashes


def test_an_anchor_is_76_bytes_and_reads_back() -> None:
    anchor = anchor_of(Checkpoint(ORIGIN, 700, bytes(range(32))))
    assert len(anchor.encode()) == 76
    expected = "62776131" + anchor.log.hex() + "00000000000002bc" + bytes(range(32)).hex()
    assert anchor.encode().hex() == expected
    assert parse_anchor(anchor.encode()) == anchor


@given(data=st.binary(max_size=90))
def test_bytes_are_an_anchor_in_one_form_or_refused(data: bytes) -> None:
    for each in (data, b"bwa1" + data, (b"bwa1" + data).ljust(76, b"\0")[:76]):
        try:
            anchor = parse_anchor(each)
        except AnchorMalformed:
            continue
        assert anchor.encode() == each


def test_a_log_begins_with_what_was_anchored_or_is_refused() -> None:
    log = SmallLog(numbered(700))
    other = SmallLog([*numbered(299), b"another", *numbered(400)])
    anchor = anchor_of(log.checkpoint(300))

    def tile(each: Tile) -> TileHashes:
        return log._read(each)

    for size in (300, 301, 512, 700):
        verify_anchor(anchor, log.checkpoint(size), tile)
    verify_anchor(anchor, log.checkpoint(300), None)
    with pytest.raises(AnchorMismatch, match="checkpoint of 300"):
        verify_anchor(anchor, log.checkpoint(700), None)
    with pytest.raises(AnchorMismatch, match="another history"):
        verify_anchor(anchor, other.checkpoint(300), None)
    with pytest.raises(AnchorMismatch, match="another history"):
        verify_anchor(anchor, other.checkpoint(700), other._read)
    with pytest.raises(AnchorMismatch, match="another history"):  # tiles of one, root of the other
        verify_anchor(anchor, other.checkpoint(700), tile)
    with pytest.raises(AnchorMismatch, match="at least the 300"):
        verify_anchor(anchor, log.checkpoint(299), tile)
    with pytest.raises(AnchorMismatch, match="another log"):
        verify_anchor(Anchor(bytes(32), 300, anchor.root), log.checkpoint(300), None)


def test_what_an_anchor_would_leave_out_is_not_anchored() -> None:
    for checkpoint in (Checkpoint(ORIGIN, 0, bytes(32)), Checkpoint(ORIGIN, 1, bytes(32), ("x",))):
        with pytest.raises(AnchorUnusable):
            anchor_of(checkpoint)


def test_chains_have_one_name() -> None:
    assert chain_number(check_chain("eip155:1")) == 1
    assert hive_id(check_chain("hive")) == "beeab0de" + "0" * 56
    assert check_chain(check_chain("hive")) == check_chain("hive")
    for text in ("", "eip155:0", "eip155:01", "eip155:-1", "hive:", "hive:BE", "bitcoin"):
        with pytest.raises(AnchorUnusable, match="expected a chain"):
            check_chain(text)
