"""What is kept of anchors: whole, or told of."""

from pathlib import Path

import pytest

from bellwire.ledger.anchors.chain import Attempt, Place, Stage
from bellwire.ledger.anchors.errors import AnchorJournalDamaged
from bellwire.ledger.anchors.journal import Journal, Record


def record(size: int, stage: Stage = Stage.SENT, place: Place | None = None) -> Record:
    attempt = Attempt(id="0x" + "ab" * 32, raw="0x02", slot=7, at=1_800_000_000, fee=9, tip=1)
    return Record(
        chain="eip155:1",
        sender="0x" + "12" * 20,
        origin="log.example/one",
        size=size,
        root=bytes(32),
        stage=stage,
        attempts=(attempt,),
        place=place,
    )


def test_what_is_kept_is_read_again_in_order_and_replaced_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for size in (1000, 9, 20):
        journal.keep(record(size))
    place = Place(id="0xab", block=3, block_id="0xcd", time=4, confirmations=5, cost="6")
    journal.keep(record(20, Stage.FINAL, place))
    assert list(Journal(tmp_path).all()) == [
        record(9),
        record(20, Stage.FINAL, place),
        record(1000),
    ]


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 9999, b"\xff", b'{"v":2}'])
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, content: bytes) -> None:
    journal = Journal(tmp_path)
    journal.keep(record(1))
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    with pytest.raises(AnchorJournalDamaged, match=path.name):
        list(journal.all())


def test_an_anchor_in_another_ones_place_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.keep(record(1))
    (path,) = tmp_path.iterdir()
    path.rename(path.with_name(path.name.replace("-0", "-1", 1)))
    with pytest.raises(AnchorJournalDamaged, match="another's"):
        list(journal.all())
