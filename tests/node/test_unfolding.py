"""A session while it goes on: who asked for it with a mark sees each of its real steps."""

import asyncio
from pathlib import Path

import pytest
from tests.node.test_door import doors
from tests.node.test_fresh import BITS, make, run
from tests.patience import PATIENCE_S

from bellwire.distill.conversation import Phase
from bellwire.etsi014.record import MAX_MARK, SessionNow
from bellwire.node import unfolding
from bellwire.node.operator import OperatorClient, operator_server
from bellwire.node.under_way import UnderWay

PHASES = [phase.value for phase in Phase]


@pytest.mark.parametrize(("master", "slave"), [("alice", "bob"), ("bob", "alice")])
def test_a_session_is_told_step_by_step_to_who_asked_with_a_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, master: str, slave: str
) -> None:
    seen: list[SessionNow] = []
    saw = unfolding.Unfolding.saw

    def note(self: unfolding.Unfolding, mark: str, block: UnderWay) -> None:
        saw(self, mark, block)
        seen.append(self._now[mark][1])

    monkeypatch.setattr(unfolding.Unfolding, "saw", note)

    async def test() -> None:
        async with doors(tmp_path) as kmes:
            node = kmes.pair.alice if master == "alice" else kmes.pair.bob
            path = tmp_path / "o"
            path.mkdir(mode=0o700)
            async with operator_server(path / "operator.sock", node):
                client = OperatorClient(path / "operator.sock")
                monkeypatch.setattr(unfolding, "WAIT_S", PATIENCE_S)
                first = asyncio.ensure_future(node.sessions.unfolding.after("a mark", 0))
                await make(kmes, master, slave)
                assert seen == []
                made = await kmes.clients[master].fresh(slave, BITS, "a mark")
                assert (await first)[1] in seen
                number, now = await client.unfolding("a mark")
                assert (number, now) == (len(seen), seen[-1])
                monkeypatch.setattr(unfolding, "WAIT_S", 0.01)
                assert await client.unfolding("a mark", number) == (number, None)
            record = made.record
            assert record is not None
            assert {each.session for each in seen} == {made.pad_id}
            at = [PHASES.index(each.step) for each in seen]
            assert at == sorted(at)
            # Whoever is asked to take part begins behind the opening.
            assert set(PHASES) - {each.step for each in seen} <= {"disclosure", "opening"}
            for each in seen:
                assert [one.step for one in each.steps] == [
                    one for one in PHASES if one in {two.step for two in each.steps}
                ]
                assert (each.s is None) == (PHASES.index(each.step) <= PHASES.index("test"))
            last = seen[-1]
            assert (last.probe, last.pairs, last.s) == (False, record.pairs, record.s)
            assert (last.sifted_bits, last.qber) == (record.sifted_bits, record.qber)
            heard = [each.public_bytes for each in seen]
            assert heard == sorted(heard)
            assert heard[-1] >= record.public_bytes > 0

    run(test)


def test_of_so_many_sessions_the_latest_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfolding, "KEPT", 1)

    async def test() -> None:
        async with doors(tmp_path) as kmes:
            for mark in ("one", "two"):
                await kmes.clients["alice"].fresh("bob", BITS, mark)
            assert list(kmes.pair.alice.sessions.unfolding._now) == ["two"]

    run(test)


def test_a_mark_that_is_none_is_not_met_and_the_pad_comes_all_the_same(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            made = await kmes.clients["alice"].fresh("bob", BITS, "x" * (MAX_MARK + 1))
            assert len(made.pad) == BITS // 8
            assert kmes.pair.alice.sessions.unfolding._now == {}

    run(test)
