"""Ways from pages to a real relay: who has one, what goes by it, and when it ends."""

import asyncio
import base64
import contextlib
import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.chat.accounts.people import house_at
from tests.chat.relay.running import OWNER, mailbox, payload, right, token
from tests.web.doors import Loop
from tests.web.pages import Console, console

from bellwire.chat.accounts.line import OFFER_BYTES
from bellwire.chat.relay.frames import (
    DROP_BYTES,
    Challenge,
    Deliver,
    Done,
    Drop,
    FromAccounts,
    Listen,
    Login,
    Open,
    Reason,
    Refused,
    Request,
    ToAccounts,
    encode,
    read_answer,
)
from bellwire.chat.session import PAYLOAD_SIZES
from bellwire.console.browsers import UNTIL_S
from bellwire.console.views_chat import MAX_FRAME, MAX_FRAMES, OWN, OWN_LINES, SessionUnfolds
from bellwire.crypto.labels import CHAT_RELAY
from bellwire.etsi014.record import SessionNow, StepTime
from bellwire.web.console_ways import OWN_LINES_BURST, WAYS_OF_ACCOUNT

AWAY = "ws://127.0.0.1:9"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with Loop(asyncio.new_event_loop) as loop:
        relay = house_at(tmp_path_factory.mktemp("relay"))
        url = loop.wait(relay.__aenter__()).url
        try:
            with console(tmp_path_factory.mktemp("ways"), relays=[url, AWAY]) as found:
                yield found
        finally:
            loop.wait(relay.__aexit__(None, None, None))


@pytest.fixture(autouse=True)
def fresh(site: Console) -> None:
    """Sign-ins of the tests before do not count."""
    site.clock[0] += 1000.0


class Way:
    """A page's way, and what came by it."""

    def __init__(self, page: httpx.Client, answer: httpx.Response) -> None:
        assert answer.status_code == 200
        self._page = page
        self._lines = answer.iter_lines()
        self._frames: dict[int, deque[Any]] = defaultdict(deque)
        self.name = str(self.next("opened")["way"])

    def next(self, name: str) -> dict[str, Any]:
        """The next event of a name; those of others are passed over."""
        found = ""
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                found = value
            elif field == "data" and found == name:
                content: dict[str, Any] = json.loads(value)
                return content
        raise AssertionError(f"the stream has ended without {name}")

    def frame(self, line: int) -> Any:
        """The next frame of a line."""
        while not self._frames[line]:
            event = self.next("frame")
            self._frames[event["line"]].append(read_answer(base64.b64decode(event["frame"])))
        return self._frames[line].popleft()

    def send(self, line: int, *requests: Request) -> int:
        frames = [base64.b64encode(encode(each)).decode() for each in requests]
        body = {"way": self.name, "line": line, "frames": frames}
        return self._page.post("/api/chat/frames", json=body).status_code


def test_frames_go_both_ways_and_a_payload_comes_to_its_owner(site: Console) -> None:
    with (
        site.signed_in(site.sites.tokens["alice@a"]) as page,
        page.stream("GET", "/api/chat/way") as answer,
    ):
        way = Way(page, answer)
        challenge = way.frame(0)
        assert isinstance(challenge, Challenge)
        text = challenge.nonce + challenge.relay_id
        login = Login(1, OWNER.public.public_bytes, OWNER.sign(text, CHAT_RELAY))
        box = Open(2, mailbox(1), hashlib.sha256(right(1)).digest())
        assert way.send(0, login, box, Listen(3)) == 200
        assert {way.frame(0).request for _ in range(3)} == {1, 2, 3}
        assert isinstance(way.frame(1), Challenge)
        assert way.send(1, Drop(1, right(1), token(1), 60, payload(5, 16_384))) == 200
        delivered = way.frame(0)
        assert isinstance(delivered, Deliver)
        assert delivered.payload == payload(5, 16_384)
        assert way.send(1, Drop(2, right(9), token(2), 60, payload(6))) == 200
        answers = {each.request: each for each in (way.frame(1), way.frame(1))}
        assert answers == {1: Done(1), 2: Refused(2, Reason.NO_MAILBOX)}


def test_a_relay_that_is_away_is_said_so_and_takes_nothing(site: Console) -> None:
    with (
        site.signed_in(site.sites.tokens["alice@a"]) as page,
        page.stream("GET", "/api/chat/way") as answer,
    ):
        way = Way(page, answer)
        assert way.next("ended") == {"line": 2}
        assert way.send(2, Listen(1)) == 503
        assert way.send(3, Listen(1)) == 503


def ask_for(page: httpx.Client, way: str, line: int, *, wanted: bool) -> int:
    body = {"way": way, "line": line, "open": wanted}
    return page.post("/api/chat/line", json=body).status_code


def test_a_page_has_lines_of_its_own_for_as_long_as_it_wants_them(site: Console) -> None:
    with (
        site.signed_in(site.sites.tokens["alice@a"]) as page,
        page.stream("GET", "/api/chat/way") as answer,
    ):
        way = Way(page, answer)
        assert way.send(OWN, ToAccounts(1, b"")) == 503  # nobody asked for it
        assert ask_for(page, way.name, OWN, wanted=True) == 200
        first = way.frame(OWN)
        assert isinstance(first, Challenge)
        assert ask_for(page, way.name, OWN, wanted=True) == 409
        assert ask_for(page, way.name, OWN + 1, wanted=True) == 200
        other = way.frame(OWN + 1)
        assert isinstance(other, Challenge)
        assert other.nonce != first.nonce  # another connection
        assert way.send(OWN, ToAccounts(1, b"")) == 200
        offer = way.frame(OWN)
        assert isinstance(offer, FromAccounts)
        assert len(offer.body) == OFFER_BYTES
        assert ask_for(page, way.name, OWN, wanted=False) == 200
        while way.next("ended") != {"line": OWN}:
            pass
        assert way.send(OWN, ToAccounts(2, b"")) == 503
        assert ask_for(page, way.name, OWN, wanted=True) == 200
        assert isinstance(way.frame(OWN), Challenge)


def test_a_pages_own_lines_and_what_goes_by_them_are_bounded(site: Console) -> None:
    with (
        site.signed_in(site.sites.tokens["carol@a"]) as page,
        site.signed_in(site.sites.tokens["alice@a"]) as other,
        page.stream("GET", "/api/chat/way") as answer,
    ):
        way = Way(page, answer)
        assert ask_for(page, way.name, OWN - 1, wanted=True) == 400
        assert ask_for(page, way.name, OWN + OWN_LINES, wanted=True) == 400
        assert ask_for(other, way.name, OWN, wanted=True) == 404
        for _ in range(int(OWN_LINES_BURST)):
            assert ask_for(page, way.name, OWN, wanted=True) == 200
            way.frame(OWN)
            assert ask_for(page, way.name, OWN, wanted=False) == 200
            while way.next("ended") != {"line": OWN}:
                pass
        assert ask_for(page, way.name, OWN, wanted=True) == 429
        site.clock[0] += 10.0
        assert ask_for(page, way.name, OWN, wanted=True) == 200
        way.frame(OWN)
        assert way.send(OWN, *[ToAccounts(1, b"")] * MAX_FRAMES) == 200
        assert way.send(OWN, *[ToAccounts(1, b"")] * MAX_FRAMES) == 429


def test_nobody_sends_by_the_way_of_another(site: Console) -> None:
    with (
        site.signed_in(site.sites.tokens["alice@a"]) as page,
        site.signed_in(site.sites.tokens["carol@a"]) as other,
        site.signed_in(site.sites.tokens["alice@a"]) as again,
        page.stream("GET", "/api/chat/way") as answer,
    ):
        name = Way(page, answer).name
        body = {"way": name, "line": 0, "frames": ["AA=="]}
        assert other.post("/api/chat/frames", json=body).status_code == 404
        assert again.post("/api/chat/frames", json=body).status_code == 404
        evil = {"origin": "http://evil.example"}
        assert page.post("/api/chat/frames", json=body, headers=evil).status_code == 403


def test_ways_are_for_members_and_operators(site: Console) -> None:
    with site.client() as nobody:
        assert nobody.get("/api/chat/way").status_code == 401
        assert nobody.get("/api/about").json()["chat"] is True
    with site.signed_in(site.sites.tokens["eyes"]) as auditor:
        assert auditor.get("/api/chat/way").status_code == 403
        assert auditor.get("/api/chat").status_code == 403
    with site.signed_in(site.sites.tokens["boss"]) as operator:
        assert operator.get("/api/chat").json()["relays"][1:] == [AWAY]


@pytest.mark.parametrize(
    "changed",
    [
        {"line": -1},
        {"line": 9},
        {"frames": []},
        {"frames": ["AA=="] * (MAX_FRAMES + 1)},
        {"frames": [""]},
        {"frames": [base64.b64encode(bytes(MAX_FRAME + 1)).decode()]},
        {"frames": ["no base64!"]},
        {"way": "x" * 65},
        {"way": None},
    ],
)
def test_frames_that_no_relay_takes_are_not_carried(
    site: Console, changed: dict[str, object]
) -> None:
    with site.signed_in(site.sites.tokens["alice@a"]) as page:
        body = {"way": "x", "line": 0, "frames": ["AA=="], **changed}
        assert page.post("/api/chat/frames", json=body).status_code == 400
        assert DROP_BYTES + PAYLOAD_SIZES[-1] == MAX_FRAME  # pages drop one by one


def test_an_account_has_so_many_ways_and_no_more(site: Console) -> None:
    with site.signed_in(site.sites.tokens["carol@a"]) as page, contextlib.ExitStack() as stack:
        opened = [page.stream("GET", "/api/chat/way") for _ in range(WAYS_OF_ACCOUNT + 1)]
        *most, last = [stack.enter_context(each) for each in opened]
        ways = [Way(page, each) for each in most]  # kept: they last as long as somebody reads
        assert len({each.name for each in ways}) == WAYS_OF_ACCOUNT
        assert last.status_code == 429


def test_a_session_is_told_to_the_pages_of_its_account_alone(site: Console) -> None:
    now = SessionNow(
        "00000000-0000-4000-8000-000000000001", False, "test", [StepTime("opening", 1.0)],
        pairs=9000, coincidences=8000, sifted_bits=0, test_pairs=0, s=None, qber=None,
        leaked_bits=0, public_bytes=70,
    )  # fmt: skip

    async def tell(account: str, mark: str) -> None:
        site.ways.tell(account, SessionUnfolds(mark, now))

    alices, carols = (site.signed_in(site.sites.tokens[f"{each}@a"]) for each in ("alice", "carol"))
    with (
        alices as one,
        carols as other,
        one.stream("GET", "/api/chat/way") as heard,
        other.stream("GET", "/api/chat/way") as nothing,
    ):
        way, theirs = Way(one, heard), Way(other, nothing)
        for name, mark in (("alice", "first"), ("carol", "second")):
            site.loop.wait(tell(name, mark))
        told = way.next("session")
        assert (told["mark"], told["now"]["step"], told["now"]["s"]) == ("first", "test", None)
        assert theirs.next("session")["mark"] == "second"


def test_a_way_ends_with_the_session_of_its_browser(site: Console) -> None:
    with (
        site.signed_in(site.sites.tokens["alice@a"]) as page,
        page.stream("GET", "/api/chat/way") as answer,
    ):
        way = Way(page, answer)
        site.clock[0] += UNTIL_S
        assert way.next("signed_out") == {}


def test_a_console_without_relays_has_no_ways(tmp_path: Path) -> None:
    with console(tmp_path) as alone, alone.signed_in(alone.sites.tokens["alice@a"]) as page:
        assert page.get("/api/about").json()["chat"] is False
        assert page.get("/api/chat").json() == {"relays": [], "sae": ""}
        assert page.get("/api/chat/way").status_code == 404
