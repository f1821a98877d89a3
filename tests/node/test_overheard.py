"""What a passive Eve hears of sessions: every message, in the lab alone, and no bit of a pad."""

import asyncio
import uuid
from pathlib import Path

import pytest
from tests.node.test_door import doors
from tests.node.test_fresh import make, run

from bellwire.base.detections import Side
from bellwire.base.errors import RefusedError
from bellwire.node import overheard
from bellwire.node.operator import OperatorClient, operator_server
from bellwire.node.overheard import Overheard


def test_the_lab_overhears_every_message_and_nothing_of_the_pad(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            alice = kmes.pair.alice
            alice.sessions.overheard = Overheard()
            path = tmp_path / "o"
            path.mkdir(mode=0o700)
            async with operator_server(path / "operator.sock", alice):
                client = OperatorClient(path / "operator.sock")
                assert await client.overheard() == []
                made = await make(kmes, "alice", "bob")
                heard = await client.overheard()
                assert [each.number for each in heard] == list(range(1, len(heard) + 1))
                assert {each.session for each in heard} == {made.pad_id}
                for side in Side:
                    steps = [each.step for each in heard if each.sender is side]
                    assert steps == list(range(len(steps)))
                assert {"slots", "settings", "test", "reconciliation"} <= {
                    each.phase for each in heard
                }
                assert made.record is not None
                crossed = sum(each.size for each in heard)
                assert 0.9 * crossed < made.record.public_bytes <= 1.1 * crossed
                pad = made.pad.reveal()
                assert not any(pad[:16] in each.beginning for each in heard)
                assert await client.overheard(heard[-3].number) == heard[-2:]
                assert await client.overheard(heard[-3].number, made.pad_id) == heard[-2:]
                assert await client.overheard(session=str(uuid.UUID(int=0))) == []

    run(test)


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overheard, "KEPT", 5)

    async def test() -> None:
        async with doors(tmp_path) as kmes:
            ear = kmes.pair.bob.sessions.overheard = Overheard()
            await make(kmes, "bob", "alice", 8192)
            await asyncio.sleep(0)
            heard = ear.after(0)
            assert len(heard) == 5
            assert heard[0].number > 1
            assert all(len(each.beginning) <= overheard.SHOWN_BYTES for each in heard)

    run(test)


def test_outside_the_lab_nothing_is_overheard_and_that_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            path = tmp_path / "o"
            path.mkdir(mode=0o700)
            async with operator_server(path / "operator.sock", kmes.pair.bob):
                await make(kmes, "alice", "bob")
                with pytest.raises(RefusedError, match="outside the lab"):
                    await OperatorClient(path / "operator.sock").overheard()

    run(test)
