"""A relay's figures: what they count is what happened."""

import asyncio
from pathlib import Path

import pytest
from tests.chat.relay.running import HOUR, owner_at, payload, relay_on, right, run, token
from tests.web.scraping import scraped

from bellwire.channel.places import Level
from bellwire.chat.errors import RelayRefused, RelayUnreachable
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.figures import RelayFigures
from bellwire.chat.relay.ladder import Whereabouts
from bellwire.chat.relay.server import RelayLimits
from bellwire.chat.relay.store import RelayStore, StoreLimits
from bellwire.web.loopback import shown


def test_figures_count_what_was_taken_stored_delivered_and_refused(tmp_path: Path) -> None:
    there = Whereabouts(Level.PORT, ("ws://127.0.0.1:1",), 3, None)

    found: dict[str, float] = {}

    async def story() -> None:
        store = RelayStore(tmp_path, StoreLimits(mailbox_bytes=1024))
        limits = RelayLimits(source_connections=2)
        async with relay_on(store, limits) as (url, relay), await owner_at(url) as owner:
            async with await RelayClient.connect(url) as sender:
                for number in (1, 2):
                    await sender.drop(right(1), token(number), HOUR, payload(number))
                with pytest.raises(RelayRefused):
                    await sender.drop(right(1), token(3), HOUR, payload(3))
                with pytest.raises(RelayRefused):
                    await sender.drop(right(9), token(4), HOUR, payload(4))
                with pytest.raises(RelayUnreachable):
                    await RelayClient.connect(url)
                await owner.listen()
                for _ in range(2):
                    owner.safe((await owner.next()).number)
                while relay.counted.delivered < 2:
                    await asyncio.sleep(0.01)
                await sender.drop(right(1), token(5), HOUR, payload(5))
            with shown(RelayFigures(relay.counted, relay.condition, lambda: there), 0) as port:
                assert port
                found.update(await asyncio.to_thread(scraped, port))

    run(story())
    told = {name.removeprefix("bellwire_relay_"): value for name, value in found.items()}
    assert (told["payloads_total"], told["payload_bytes_total"]) == (5, 5 * 512)
    assert (told["payloads_stored_total"], told["payloads_delivered_total"]) == (3, 2)
    assert told["payloads_refused_total full"] == 1
    assert told["payloads_refused_total no_mailbox"] == 1
    assert told["connections_refused_total"] == 1
    assert (told["listeners"], told["store_works"], told["level"]) == (1, 1, 1)
    assert "others_heard" not in told
