"""A console comes to its relays wherever they are, by what they have signed."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.chat.relay.running import relay_at, run
from tests.chat.relay.test_moving import RELAY_ID, SEED, moved, shut

from bellwire.channel.places import Level, Notice, Place, sign
from bellwire.chat.following import KnownRelays
from bellwire.chat.relay.frames import Challenge, read_answer
from bellwire.chat.store.relays import KeptRelay
from bellwire.console.errors import RelaysDamaged
from bellwire.crypto import ed25519, signatures
from bellwire.crypto.composite import CompositeKey
from bellwire.web.console_ways import Rider, Ways
from bellwire.web.relay_lines import RelayBook, RelayLines, hang_up

ANNA = Rider("anna", None)


def lines(folder: Path) -> RelayLines:
    return RelayLines(KnownRelays(RelayBook(folder / "relays").shelf, time.time))


async def challenges(way: AsyncGenerator[bytes, None]) -> AsyncGenerator[Challenge, None]:
    """Those of the owner's line."""
    async for words in way:
        for event in words.decode().split("\n\n"):
            fields = dict(each.split(": ", 1) for each in event.splitlines() if ": " in each)
            if fields.get("event") != "frame":
                continue
            content = json.loads(fields["data"])
            frame = read_answer(base64.b64decode(content["frame"]))
            if content["line"] == 0 and isinstance(frame, Challenge):
                yield frame


def test_a_page_is_at_its_relay_again_after_it_moved_and_so_is_a_console_started_anew(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with moved(tmp_path, now=time.time()) as mover:
            home = mover.whereabouts().places[0]
            way = Ways([home], lines(tmp_path)).open(ANNA, lambda: True)
            seen = challenges(way)
            assert (await anext(seen)).relay_id == RELAY_ID
            await mover.move(Level.PORT, ())
            assert (await anext(seen)).relay_id == RELAY_ID
            await seen.aclose()
            await way.aclose()
            await shut(home)
            line = await lines(tmp_path).reach(home)
            assert line is not None
            assert line.relay_id.result() == RELAY_ID
            await hang_up(line.transport)

    run(story())


def test_another_relay_is_believed_nothing_and_passed_over_where_it_is_not_at_home(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with moved(tmp_path, now=time.time()) as mover, relay_at(tmp_path / "o") as other:
            home = mover.whereabouts().places[0]
            now = int(time.time())
            raw, cut = SEED.reveal(), ed25519.SEED_BYTES
            key = CompositeKey(ed25519.Ed25519Key(raw[:cut]), signatures.SigningKey(raw[cut:]))
            there = sign(Notice(1, now, now + 600, Level.PORT, (Place.of_url(other),)), key)
            book = RelayBook(tmp_path / "relays")
            book.put(home, KeptRelay(RELAY_ID, 1, there))
            line = await lines(tmp_path).reach(home)
            assert line is not None
            assert line.relay_id.result() == RELAY_ID  # not who is at the place
            await hang_up(line.transport)

            # The page says that it is another than at first, and no word of it counts here.
            book.put(home, KeptRelay(bytes(32)))
            known = KnownRelays(RelayBook(tmp_path / "relays").shelf, time.time)
            line = await RelayLines(known).reach(home)
            assert line is not None
            learning = asyncio.create_task(RelayLines(known).learn(line))
            line.notices.put_nowait(there)
            await line.notices.join()
            learning.cancel()
            await asyncio.gather(learning, return_exceptions=True)
            assert known.known(home).places == (home,)
            await hang_up(line.transport)

    run(story())


def test_nothing_is_there_where_no_place_answers(tmp_path: Path) -> None:
    async def story() -> None:
        async with moved(tmp_path, now=time.time()) as mover:
            home = mover.whereabouts().places[0]
        assert await lines(tmp_path).reach(home) is None

    run(story())


def test_what_this_program_did_not_write_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "relays"
    file.touch(0o600)
    file.write_bytes(b"\xff")
    with pytest.raises(RelaysDamaged):
        RelayBook(file)
