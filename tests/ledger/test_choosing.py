"""What somebody wants of a log is filtered before it is counted, and how far was looked is told."""

import pytest
from tests.ledger.logs import SmallLog
from tests.ledger.store.logs import entry
from tests.ledger.test_monitor import files_of, reader_of

from bellwire.ledger.choosing import Chosen, choose
from bellwire.ledger.entries.model import Entry
from bellwire.ledger.errors import InclusionMismatch

SIZE = 700
LOG = SmallLog([entry(at + 1, "rare" if at % 200 == 3 else "site-a") for at in range(SIZE)])
FILES = files_of(LOG)


def rare(one: Entry) -> bool:
    return one.writer == "rare"


def numbers(
    count: int, *, start: int | None = None, among: int = 10_000
) -> tuple[list[int], Chosen]:
    checkpoint = LOG.checkpoint()
    found = choose(reader_of(FILES), checkpoint, rare, start=start, count=count, among=among)
    return [number for number, _ in found.entries], found


def test_the_last_that_fit_are_found_wherever_they_are() -> None:
    found, chosen = numbers(2)
    assert (found, chosen.first <= 403, chosen.end, chosen.cut) == ([403, 603], True, SIZE, False)
    assert numbers(1)[0] == [603]
    found, chosen = numbers(100)
    assert (found, chosen.first, chosen.cut) == ([3, 203, 403, 603], 0, False)


def test_from_a_number_on_the_first_that_fit_are_found() -> None:
    found, chosen = numbers(2, start=4)
    assert (found, chosen.first, 403 < chosen.end <= 603, chosen.cut) == (
        [203, 403],
        4,
        True,
        False,
    )
    assert numbers(9, start=700)[0] == numbers(9, start=9_999)[0] == []
    assert numbers(3, start=603)[0] == [603]


@pytest.mark.parametrize(("start", "first", "end"), [(None, 440, SIZE), (10, 10, 270)])
def test_no_more_is_looked_at_than_was_said(start: int | None, first: int, end: int) -> None:
    found, chosen = numbers(3, start=start, among=260)
    assert (chosen.first, chosen.end, chosen.cut) == (first, end, True)
    assert found == [at for at in (3, 203, 403, 603) if first <= at < end]


def test_what_is_passed_over_is_proved_too() -> None:
    files = dict(FILES)
    (name,) = (each for each in files if each.startswith("tile/entries/002"))
    files[name] = files[name].replace(b"rare", b"free")
    with pytest.raises(InclusionMismatch):
        choose(reader_of(files), LOG.checkpoint(), rare, start=None, count=1, among=10_000)


def test_a_log_without_entries_has_none() -> None:
    empty = SmallLog([])
    found = choose(
        reader_of(files_of(empty)), empty.checkpoint(), rare, start=None, count=5, among=9
    )
    assert found == Chosen((), 0, 0, cut=False)
