"""The site's relay at its console: who sees where it is, who moves it, and what is not there."""

import contextlib
from collections.abc import Iterator

import pytest
from tests.chat.relay.test_moving import moved
from tests.web.pages import Console, console

from bellwire.chat.relay.operator import operator_server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("relay")) as found:
        yield found


@contextlib.contextmanager
def relay_at(site: Console) -> Iterator[None]:
    """A relay in the site's state folder, which can move."""
    folder = site.folder / "relay"

    async def open_() -> contextlib.AsyncExitStack:
        opened = contextlib.AsyncExitStack()
        mover = await opened.enter_async_context(moved(folder))
        await opened.enter_async_context(operator_server(mover, folder))
        return opened

    running = site.loop.wait(open_())
    try:
        yield
    finally:
        site.loop.wait(running.aclose())


def test_where_no_relay_runs_it_is_said_and_members_see_nothing(site: Console) -> None:
    tokens = site.sites.tokens
    with site.signed_in(tokens["boss"]) as boss, site.signed_in(tokens["alice@a"]) as alice:
        assert boss.get("/api/relay").json() == {"relay": None}
        answer = boss.post("/api/relay", json={"level": "port"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert alice.get("/api/relay").status_code == 403
        assert alice.post("/api/relay", json={"level": "port"}).status_code == 403


def test_operators_move_it_up_and_down_the_ladder(site: Console) -> None:
    site.clock[0] += 1000.0
    tokens = site.sites.tokens
    with (
        relay_at(site),
        site.signed_in(tokens["boss"]) as boss,
        site.signed_in(tokens["eyes"]) as eyes,
    ):
        home = eyes.get("/api/relay").json()["relay"]
        assert (home["level"], len(home["places"])) == ("home", 1)
        assert eyes.post("/api/relay", json={"level": "port"}).status_code == 403
        there = boss.post("/api/relay", json={"level": "port"}).json()
        assert there["level"] == "port"
        assert there["places"] != home["places"]
        assert eyes.get("/api/relay").json()["relay"] == there
        for wrong in (
            {"level": "moon"},
            {"level": "port", "places": ["x"]},
            {"level": "port", "places": ["1"] * 17},
            {"level": "address", "places": ["203.0.113.9:1"]},
            {"level": "home", "places": ["1"]},
            {},
        ):
            assert boss.post("/api/relay", json=wrong).status_code == 400
        other = {"origin": "http://evil.example"}
        assert boss.post("/api/relay", json={"level": "home"}, headers=other).status_code == 403
        shut = boss.post("/api/relay", json={"level": "lockdown"}).json()
        assert (shut["level"], shut["places"]) == ("lockdown", [])
        assert shut["sequence"] > there["sequence"]
        assert boss.post("/api/relay", json={"level": "home"}).json()["places"] == home["places"]
