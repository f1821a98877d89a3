"""Pads for who talks in a browser: from whom, for whom, how often, and what is said without one."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chat.messenger.servers import Link, Server
from tests.web.pages import Console, console

from bellwire.base.errors import UnreachableError
from bellwire.chat.content import PART_BYTES
from bellwire.chat.pads import OVERHEAD_BYTES, POINT_BYTES
from bellwire.console.views_chat import MAX_LEAST, AskedSession, SessionUnfolds
from bellwire.etsi014.record import SessionNow, StepTime
from bellwire.web.console_pads import DRAWS_BURST, PagePads


class Site:
    """A console whose pages have a key server, and the other end of the link."""

    def __init__(self, found: Console, link: Link) -> None:
        self.console = found
        self.link = link
        self.other = Server(link, "app-b")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    link = Link()
    pads = PagePads(Server(link, "pages-a"), "pages-a", clock=lambda: clock[0])
    clock = [0.0]
    with console(tmp_path_factory.mktemp("pads"), pads=pads) as found:
        clock = found.clock
        yield Site(found, link)


@pytest.fixture
def site(shared: Site) -> Site:
    """Sign-ins and pads of the tests before do not count, and the link is well."""
    shared.console.clock[0] += 1000.0
    shared.link.eve, shared.link.down = False, ""
    return shared


def test_a_page_draws_what_the_other_side_fetches(site: Site) -> None:
    with site.console.signed_in(site.console.sites.tokens["alice@a"]) as page:
        assert page.get("/api/chat").json()["sae"] == "pages-a"
        drawn = page.post("/api/chat/pads", json={"peer": "app-b", "least": 33}).json()
        keys = asyncio.run(site.other.get_keys_with_ids("pages-a", drawn["key_ids"]))
        pad = b"".join(each.key.reveal() for each in keys)
        assert base64.b64decode(drawn["pad"]) == pad
        assert (drawn["source"], len(pad)) == ("simulated", 4096)
    assert MAX_LEAST == PART_BYTES + OVERHEAD_BYTES + POINT_BYTES


def test_a_page_fetches_what_was_drawn_for_it_once(site: Site) -> None:
    keys = asyncio.run(site.other.get_keys("pages-a", 2))
    body = {"peer": "app-b", "ids": [each.key_id for each in keys]}
    with site.console.signed_in(site.console.sites.tokens["alice@a"]) as page:
        fetched = page.post("/api/chat/pads/keys", json=body).json()
        assert base64.b64decode(fetched["pad"]) == b"".join(each.key.reveal() for each in keys)
        assert page.post("/api/chat/pads/keys", json=body).status_code == 404


def test_a_page_has_the_pad_of_a_session_and_what_was_measured(site: Site) -> None:
    made = asyncio.run(site.other.fresh("pages-a", 800))
    site.link.eve = True
    aborted = site.link.record("00000000-0000-4000-8000-000000000001", "app-b", "pages-a", 800)
    with site.console.signed_in(site.console.sites.tokens["alice@a"]) as page:
        body = {"peer": "app-b", "session": made.pad_id}
        found = page.post("/api/chat/pads/session", json=body).json()
        assert base64.b64decode(found["pad"]) == made.pad.reveal()
        assert found["record"]["s"] == 2.72
        body["session"] = aborted.session
        found = page.post("/api/chat/pads/session", json=body).json()
        assert (found["pad"], found["record"]["qber"]) == (None, 0.14)


def test_a_page_makes_a_session_and_is_told_of_one_that_was_aborted(site: Site) -> None:
    with site.console.signed_in(site.console.sites.tokens["alice@a"]) as page:
        asked = {"peer": "app-b", "bytes": 40}
        made = page.post("/api/chat/pads/fresh", json=asked).json()
        theirs = asyncio.run(site.other.pad("pages-a", made["session"]))
        assert base64.b64decode(made["pad"]) == theirs.pad.reveal()
        assert (len(theirs.pad), made["record"]["s"]) == (40, 2.72)
        site.link.eve = True
        made = page.post("/api/chat/pads/fresh", json=asked).json()
        assert (made["pad"], made["record"]["verdict"]) == (None, "abort")
        assert made["session"] == made["record"]["session"]


def test_what_cannot_be_had_now_is_told_from_what_never_can(site: Site) -> None:
    with site.console.signed_in(site.console.sites.tokens["alice@a"]) as page:
        site.link.down = "pages-a"
        asked = {"peer": "app-b", "least": 33}
        assert page.post("/api/chat/pads", json=asked).status_code == 503
        asked = {"peer": "app-b", "bytes": 40}
        assert page.post("/api/chat/pads/fresh", json=asked).status_code == 503
        site.link.down = ""
        asked = {"peer": "app-b", "ids": ["nobody-drew-it"]}
        assert page.post("/api/chat/pads/keys", json=asked).status_code == 404


def test_one_member_takes_no_more_than_a_share_of_the_stock(site: Site) -> None:
    asked = {"peer": "app-b", "least": 33}
    with site.console.signed_in(site.console.sites.tokens["carol@a"]) as page:
        codes = [page.post("/api/chat/pads", json=asked).status_code for _ in range(9)]
        assert codes == [200] * int(DRAWS_BURST) + [429]
    with site.console.signed_in(site.console.sites.tokens["alice@a"]) as page:
        assert page.post("/api/chat/pads", json=asked).status_code == 200


def test_pads_are_for_members_and_operators_of_our_own_pages(site: Site) -> None:
    asked = {"peer": "app-b", "least": 33}
    with site.console.signed_in(site.console.sites.tokens["eyes"]) as auditor:
        assert auditor.post("/api/chat/pads", json=asked).status_code == 403
    with site.console.signed_in(site.console.sites.tokens["alice@a"]) as page:
        evil = {"origin": "http://evil.example"}
        assert page.post("/api/chat/pads", json=asked, headers=evil).status_code == 403
        for wrong in ({"least": 32}, {"least": MAX_LEAST + 1}, {"peer": ""}, {"peer": "x" * 256}):
            assert page.post("/api/chat/pads", json={**asked, **wrong}).status_code == 400


def test_pages_that_are_nobody_to_the_key_server_have_no_pads(tmp_path: Path) -> None:
    with console(tmp_path) as alone, alone.signed_in(alone.sites.tokens["alice@a"]) as page:
        assert page.get("/api/chat").json()["sae"] == ""
        asked = {"peer": "app-b", "least": 33}
        assert page.post("/api/chat/pads", json=asked).status_code == 404


def test_a_session_is_told_on_the_ways_of_who_asked_while_it_goes_on(tmp_path: Path) -> None:
    """And the pad comes all the same where nobody says how sessions go on."""
    now = SessionNow(
        "00000000-0000-4000-8000-000000000001", False, "test", [StepTime("opening", 1.0)],
        pairs=9000, coincidences=8000, sifted_bits=0, test_pairs=0, s=None, qber=None,
        leaked_bits=0, public_bytes=70,
    )  # fmt: skip
    link, told = Link(), list[tuple[str, SessionUnfolds]]()
    server = Server(link, "pages-a")
    follows = asyncio.Event()

    async def follow(mark: str, after: int) -> tuple[int, SessionNow | None]:
        if after == 2:
            follows.set()
            raise UnreachableError("the node has gone")
        return after + 1, None if after else now

    async def followed(_: str) -> None:
        await follows.wait()

    server.followed = followed
    pads = PagePads(server, "pages-a", follow=follow, tell=lambda *words: told.append(words))
    made = asyncio.run(pads.make("alice", AskedSession("app-b", 40, "a mark")))
    assert told == 2 * [("alice", SessionUnfolds("a mark", now))]  # the second: as it ended
    assert made.pad is not None
    server.followed = None
    assert asyncio.run(pads.make("alice", AskedSession("app-b", 40))).pad is not None
    assert len(told) == 2
