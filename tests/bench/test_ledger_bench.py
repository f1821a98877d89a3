"""`bench ledger`: the names of the reference, and what they count."""

import pytest

from bellwire.bench import ledger
from bellwire.ledger.entries.codec import decode

NAMES = [
    "entries_per_s_batched",
    "entries_per_s_single",
    "proofs_per_s",
    "proofs_entries",
    "process_mb",
    "sync_ms",
]


def test_figures_are_those_of_the_reference_and_say_what_they_are_compared_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = ledger._Size(batches=1, singles=3, rounds=1, proofs=20, entries=9000)
    monkeypatch.setattr(ledger, "_QUICK", small)
    figures = {each.name: each for each in ledger.run(quick=True)}
    assert list(figures) == NAMES
    assert all(each.value > 0 for each in figures.values())
    assert figures["proofs_entries"].value == 3 * ledger.BATCH
    for name in NAMES[:3]:
        assert figures[name].ratio is not None
        assert figures[name].against


def test_what_is_measured_are_entries_that_a_log_takes() -> None:
    entries = ledger._entries(7, 3)
    assert [decode(each).sequence for each in entries] == [7, 8, 9]
