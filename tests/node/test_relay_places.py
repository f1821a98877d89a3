"""What a node tells of a relay: what the relay has signed, and nothing else."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.guard.notices import OTHER, RELAY_ID, signed
from tests.patience import PATIENCE_S

from bellwire.base.errors import UsageError
from bellwire.base.private import write_whole
from bellwire.channel.places import Level
from bellwire.node.assemble import _follow_relay
from bellwire.node.relay_places import open_places, told_places
from bellwire.node.settings import Settings
from bellwire.node.settings_kme import KmeSettings
from bellwire.web.push import Document

HOME, NEAR, NAMED = "ws://10.0.0.2:8765", "ws://10.0.0.2:9001", "wss://relay.example:443"
NOTHING: Document = {
    "level": None,
    "places": (),
    "sequence": 0,
    "problem": "",
    "at_home": True,
    "open": [],
    "fenced": [],
}


def settings(folder: Path, grace_s: float = 0.0) -> KmeSettings:
    return KmeSettings(
        relay_places=str(folder / "notice"), relay_id=RELAY_ID.hex(), relay_grace_s=grace_s
    )


def test_what_is_told_follows_the_notices_that_count_and_outlives_the_node(tmp_path: Path) -> None:
    def says(data: bytes) -> Document:
        write_whole(tmp_path / "notice", data, replace=True)
        follower = open_places(settings(tmp_path), tmp_path)
        asyncio.run(follower.ask())
        return told_places(follower)

    assert told_places(open_places(settings(tmp_path), tmp_path)) == NOTHING
    says(signed(1, Level.HOME, HOME))
    says(signed(2, Level.PORT, NEAR))
    told = says(signed(3, Level.ADDRESS, NAMED))
    away = [{"address": "10.0.0.2", "port": port} for port in (8765, 9001)]
    assert (told["level"], told["sequence"], told["at_home"]) == ("address", 3, False)
    assert (told["open"], told["fenced"]) == ([{"address": None, "port": 443}], away)
    for refused in (signed(9, Level.HOME, HOME, key=OTHER), signed(2, Level.PORT, NEAR), b"GREEN"):
        later = says(refused)
        assert later["problem"]
        assert {**later, "problem": ""} == told


def test_a_running_node_learns_of_a_move_by_itself(tmp_path: Path) -> None:
    found = Settings(kme=settings(tmp_path, grace_s=60.0))

    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack, asyncio.timeout(PATIENCE_S):
            assert _follow_relay(Settings(), tmp_path, stack) is None
            told = _follow_relay(found, tmp_path, stack)
            assert told is not None
            assert told() == NOTHING
            write_whole(tmp_path / "notice", signed(1, Level.PORT, NEAR), replace=True)
            while told()["level"] != "port":
                await asyncio.sleep(0.01)
            assert told()["at_home"]  # for the grace

    asyncio.run(test())


def test_settings_that_cannot_be_are_named(tmp_path: Path) -> None:
    for half in ({"relay_places": "x"}, {"relay_id": RELAY_ID.hex()}):
        with pytest.raises(UsageError, match=r"kme\.relay_places together with kme\.relay_id"):
            open_places(KmeSettings.model_validate(half), tmp_path)
    with pytest.raises(UsageError, match=r"kme\.relay_places: expected a file, or a URL"):
        open_places(KmeSettings(relay_places="ftp://x", relay_id=RELAY_ID.hex()), tmp_path)
    for wrong in ("5f3c", "x" * 64, RELAY_ID.hex() + "\n"):
        with pytest.raises(ValidationError):
            KmeSettings(relay_id=wrong)
