"""The history of a link's status: what is kept, for how long, and over restarts."""

import random
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.keys.stores import new_store, open_store

from bellwire.keys.status import Status, StatusView
from bellwire.keys.status_log import DAY_S, EVERY_S, HOUR_S, StatusRecord, thinned

NOW = 2e9
GREEN = StatusView(
    status=Status.GREEN,
    reason="mean QBER 2.0%",
    qber=0.02,
    last_qber=0.02,
    last_chsh=None,
    since=NOW,
    stale=False,
    history=(),
)
RED = replace(GREEN, status=Status.RED, reason="QBER 26.0% of one block", qber=None)


def test_every_change_is_kept_over_restarts_and_sameness_once_a_minute(folder: Path) -> None:
    store = new_store(folder)
    log = store.status_log()
    for second in range(150):
        log.note(RED if 70 <= second < 79 else GREEN, NOW + second)
    log.flush()
    log.flush()
    store.close()
    store = open_store(folder)
    log = store.status_log()
    found = [(each.at - NOW, each.status) for each in log.read(0.0, 100)]
    changes = [(70.0, Status.RED), (79.0, Status.GREEN)]
    assert found == [(0.0, Status.GREEN), (EVERY_S, Status.GREEN), *changes, (139.0, Status.GREEN)]
    assert [each.at - NOW for each in log.read(NOW + 70, 2)] == [79.0, 139.0]
    assert log.read(0.0, 100)[2].reason == RED.reason
    # A node that starts knows nothing, and says so.
    log.note(replace(GREEN, status=Status.YELLOW, stale=True), NOW + 134)
    log.flush()
    assert log.read(0.0, 1)[0].stale
    store.close()


records = st.builds(
    StatusRecord,
    st.floats(NOW - 400 * DAY_S, NOW),
    st.sampled_from(list(Status)),
    st.booleans(),
    st.none(),
    st.just("why"),
)


@given(st.lists(records, max_size=60))
def test_an_alarm_is_thinned_only_into_another_near_it(given: list[StatusRecord]) -> None:
    kept = thinned(given, NOW)
    assert kept == sorted(kept, key=lambda each: each.at)
    assert all(any(each is other for other in given) for each in kept)
    assert thinned(kept, NOW) == kept
    for record in given:
        age = NOW - record.at
        if record.status is Status.RED and age < 365 * DAY_S:
            near = 5.0 if age <= HOUR_S else 300.0 if age <= DAY_S else DAY_S
            assert any(
                each.status is Status.RED and abs(each.at - record.at) <= near for each in kept
            )


def test_whatever_a_link_does_the_records_stay_few(folder: Path) -> None:
    chance = random.Random(3)
    flapping = [
        StatusRecord(NOW - age, chance.choice(list(Status)), False, None, "")
        for age in [chance.expovariate(1 / (10 * DAY_S)) for _ in range(40_000)]
        + [0.1 * step for step in range(36_000)]
    ]
    kept = thinned(flapping, NOW)
    assert len(kept) <= 4_200
    store = new_store(folder)
    log = store.status_log()
    for step in range(3_000):
        log.note(RED if step % 2 else GREEN, NOW + 0.5 * step)
        if step % 50 == 49:
            log.flush()
    # 25 minutes in stretches of 5 s, and what came since they were thinned last.
    assert len(log.read(0.0, 5_000)) <= 602 + 16 * 50
    store.close()


def test_what_could_not_be_kept_waits_and_is_bounded(folder: Path) -> None:
    store = new_store(folder)
    log = store.status_log()
    for step in range(1_000):
        log.note(RED if step % 2 else GREEN, NOW + step)
    log.flush()
    found = log.read(0.0, 5_000)
    assert found[-1].at == NOW + 999
    assert len(found) <= 256
    store.close()
