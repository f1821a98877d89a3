"""`bench ledger`: the names of the reference, and what they count."""

import pytest

from bellwire.bench import ledger
from bellwire.bench.ledger import figures
from bellwire.ledger.entries.codec import decode

NAMES = [
    "entries_per_s_batched",
    "entries_per_s_single",
    "entries_per_s_at_once",
    "entries_per_s_batched_postgres",
    "entries_per_s_single_postgres",
    "entries_per_s_at_once_postgres",
    "proofs_per_s_postgres",
    "proofs_per_s",
    "proofs_entries",
    "log_mb",
    "process_mb",
    "registrations_per_s",
    "registration_cpu_us",
    "sync_ms",
]


def test_figures_are_those_of_the_reference_and_say_what_they_are_compared_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = figures._Size(
        batches=1, singles=3, each=1, rounds=1, proofs=20, entries=9000, newcomers=3
    )
    monkeypatch.setattr(figures, "_QUICK", small)
    found = {each.name: each for each in ledger.run(quick=True)}
    assert list(found) == NAMES
    assert all(each.value > 0 for each in found.values())
    assert found["proofs_entries"].value == 3 * figures.BATCH
    for name in NAMES[:8]:
        assert found[name].ratio is not None
        assert found[name].against


def test_what_is_measured_are_entries_that_a_log_takes() -> None:
    entries = figures._entries(7, 3)
    assert [decode(each).sequence for each in entries] == [7, 8, 9]
