"""The console over the wire: who may ask, codes, shapes, garbage, limits; two doors, one model."""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from tests.console.model import RED, Sites
from tests.patience import PATIENCE_S
from tests.web.described import answers_as_described
from tests.web.doors import Loop, request

from bellwire.base.errors import UsageError
from bellwire.console.accounts import AccountBook, Role, accounts_file
from bellwire.console.status import Status
from bellwire.console.views import EveView
from bellwire.link.attacks import KINDS, any_eve
from bellwire.web.api import ApiServer
from bellwire.web.console import CONSOLE_LIMITS, ConsoleApi
from bellwire.web.errors import DoorUnusable
from bellwire.web.settings import DoorLimits

LIMITS = replace(CONSOLE_LIMITS, linger_s=0.1, requests_per_s=1e5, burst=1e5)


class ModelLab:
    """Remembers Eve."""

    kinds = KINDS

    def __init__(self) -> None:
        self.eve: EveView | None = None

    async def let_in(self, eve: EveView) -> EveView | None:
        any_eve(eve.kind, eve.share)
        self.eve = eve
        return eve

    async def send_away(self) -> EveView | None:
        self.eve = None
        return None

    async def look(self) -> EveView | None:
        return self.eve


@dataclass
class Consoles:
    """Two doors before the model of `tests.console.model`."""

    folder: Path
    sites: Sites
    loop: Loop
    servers: dict[str, ApiServer]
    urls: dict[str, str]
    lab: ModelLab
    operator: str

    def post(self, who: str, path: str, body: object = None, **more: str) -> httpx.Response:
        """A request of NAME@SITE at his own site."""
        token = self.sites.tokens.get(who, self.operator)
        headers = {"Authorization": f"Bearer {token}", **more}
        site = who.partition("@")[2]
        return httpx.post(
            self.urls[site] + path, json=body, headers=headers, trust_env=False, timeout=PATIENCE_S
        )

    def get(self, who: str, path: str) -> httpx.Response:
        """The same, of what is only read."""
        token = self.sites.tokens.get(who, self.operator)
        headers = {"Authorization": f"Bearer {token}"}
        site = who.partition("@")[2]
        return httpx.get(
            self.urls[site] + path, headers=headers, trust_env=False, timeout=PATIENCE_S
        )

    def session(self, who: str, peer: str) -> httpx.Response:
        name = who.partition("@")[0]
        return self.post(who, "/get_session_key", {"client_id": name, "peer_id": peer})

    @contextlib.contextmanager
    def wire(self) -> Iterator[socket.socket]:
        host, _, port = self.urls["a"].removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as found:
            yield found


@contextlib.contextmanager
def consoles(folder: Path, *, lab: bool = True, limits: DoorLimits = LIMITS) -> Iterator[Consoles]:
    sites = Sites(folder, {"a": ["alice", "carol"], "b": ["bob"]})
    operator = AccountBook(folder / "console-a").add("boss", Role.OPERATOR)
    hand = ModelLab()

    async def status() -> Status:
        link = sites.world.link
        return Status(link.status, link.qber, (0.02, 0.03), link.reason)

    with Loop(asyncio.new_event_loop) as loop:
        servers, urls = {}, {}
        for site in "ab":
            api = ConsoleApi(
                sites.accounts[site],
                sites.consoles[site],
                status,
                hand if lab else None,
                limits=limits,
            )
            server = ApiServer(api.answer, limits)
            host, port = loop.wait(server.start("127.0.0.1", 0, None))
            servers[site], urls[site] = server, f"http://{host}:{port}"
        try:
            yield Consoles(folder, sites, loop, servers, urls, hand, operator)
        finally:
            for each in servers.values():
                loop.wait(each.stop(1.0))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    with consoles(tmp_path_factory.mktemp("c")) as found:
        yield found


def refused(answer: httpx.Response, code: int) -> str:
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) <= {"message", "details"}
    return str(answer.json()["message"])


def test_two_members_get_the_same_session_in_the_shape_of_old_clients(both: Consoles) -> None:
    one, other = both.session("alice@a", "bob"), both.session("bob@b", "alice")
    assert one.status_code == other.status_code == 200
    assert one.json() == other.json()
    assert set(one.json()) == {"session_id", "aes_key", "qber", "link_status", "source"}
    assert re.fullmatch("[0-9a-f]{64}", one.json()["aes_key"])
    assert (one.json()["qber"], one.json()["link_status"]) == (0.02, "GREEN")
    assert one.headers["cache-control"] == "no-store"
    assert both.session("alice@a", "carol").json()["source"] == "local"


def test_nobody_gets_a_session_without_his_own_token_at_his_own_site(both: Consoles) -> None:
    body = {"client_id": "alice", "peer_id": "bob"}
    url = both.urls["a"] + "/get_session_key"
    bob, carol = both.sites.tokens["bob@b"], both.sites.tokens["carol@a"]
    for value in ("", "Bearer", "Bearer x y", f"Bearer {bob}", "Basic YTpi", f"Token {carol}"):
        answer = httpx.post(
            url, json=body, headers={"Authorization": value}, trust_env=False, timeout=PATIENCE_S
        )
        refused(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    refused(httpx.post(url, json=body, trust_env=False, timeout=PATIENCE_S), 401)
    twice = [("Authorization", f"Bearer {carol}")] * 2
    refused(httpx.post(url, json=body, headers=twice, trust_env=False, timeout=PATIENCE_S), 401)
    refused(both.post("carol@a", "/get_session_key", body), 403)
    refused(both.post("carol@a", "/get_session_key", {**body, "client_id": "carol@b"}), 403)


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, 400), ({"client_id": "alice"}, 400), ({"client_id": 1, "peer_id": "bob"}, 400),
     ({"client_id": "alice", "peer_id": None}, 400), ([], 400), ("alice", 400),
     ({"client_id": "alice", "peer_id": "x" * 81}, 400),
     ({"client_id": "alice", "peer_id": "nobody"}, 404),
     ({"client_id": "alice", "peer_id": "bob@c"}, 404),
     ({"client_id": "alice", "peer_id": "../bob"}, 404),
     ({"client_id": "alice", "peer_id": ""}, 404),
     ({"client_id": "alice", "peer_id": "alice"}, 400),
     ({"client_id": "alice@a", "peer_id": "bob@b", "more": {"a": [1]}}, 200)],
)  # fmt: skip
def test_what_is_asked_for_is_read_strictly(both: Consoles, body: object, code: int) -> None:
    answer = both.post("alice@a", "/get_session_key", body)
    assert answer.status_code == code
    if code != 200:
        assert refused(answer, code)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 16000, b'{"client_id": "\xff"}', b"\x00" * 100]
)
def test_bodies_that_are_no_json_are_refused(both: Consoles, content: bytes) -> None:
    headers = {"Authorization": f"Bearer {both.sites.tokens['alice@a']}"}
    url = both.urls["a"] + "/get_session_key"
    refused(
        httpx.post(url, content=content, headers=headers, trust_env=False, timeout=PATIENCE_S), 400
    )


def test_paths_and_verbs_that_are_not_there_are_said_so(both: Consoles) -> None:
    for path in ("/", "/docs", "/get_session_key/", "/%2e%2e", "/link_status/x"):
        refused(httpx.get(both.urls["a"] + path, trust_env=False, timeout=PATIENCE_S), 404)
    answer = httpx.get(both.urls["a"] + "/get_session_key", trust_env=False, timeout=PATIENCE_S)
    refused(answer, 405)
    assert answer.headers["allow"] == "POST"
    refused(httpx.delete(both.urls["a"] + "/link_status", trust_env=False, timeout=PATIENCE_S), 405)
    assert (
        httpx.head(both.urls["a"] + "/link_status", trust_env=False, timeout=PATIENCE_S).status_code
        == 405
    )


def test_anybody_may_poll_the_status_which_is_public(both: Consoles) -> None:
    answer = httpx.get(both.urls["b"] + "/link_status?x=1", trust_env=False, timeout=PATIENCE_S)
    assert answer.json() == {
        "status": "GREEN", "qber": 0.02, "history": [0.02, 0.03], "reason": "all is well",
    }  # fmt: skip


def test_on_red_there_is_503_and_no_key(both: Consoles) -> None:
    green = both.sites.world.link
    both.sites.world.link = RED
    try:
        for who, peer in (("alice@a", "bob"), ("bob@b", "alice"), ("alice@a", "carol")):
            answer = both.session(who, peer)
            assert "Eve is there" in refused(answer, 503)
            assert answer.json()["details"] == [{"link_status": "RED"}]
        assert (
            httpx.get(both.urls["a"] + "/link_status", trust_env=False, timeout=PATIENCE_S).json()[
                "status"
            ]
            == "RED"
        )
    finally:
        both.sites.world.link = green


def test_without_keys_there_is_503_and_when_to_ask_again(both: Consoles) -> None:
    stock, both.sites.world.stock = both.sites.world.stock, 0
    try:
        answer = both.session("bob@b", "alice")
        refused(answer, 503)
        assert answer.headers["retry-after"] == "1"
    finally:
        both.sites.world.stock = stock


def test_only_an_operator_lets_eve_in_and_out(both: Consoles) -> None:
    for path in ("/force_attack", "/reset"):
        refused(both.post("alice@a", path), 403)
        refused(httpx.post(both.urls["a"] + path, trust_env=False, timeout=PATIENCE_S), 401)
    answer = both.post("boss@a", "/force_attack").json()
    assert (answer["attack"], answer["simulated"]) == (
        {"kind": "intercept-resend", "share": 1.0}, True,
    )  # fmt: skip
    half = both.post("boss@a", "/force_attack", {"kind": "ghz", "share": 0.5}).json()
    assert half["attack"] == {"kind": "ghz", "share": 0.5}
    bad: tuple[object, ...] = ({"kind": "magic"}, {"share": 2}, {"share": True}, {"share": "1"}, [])
    for body in bad:
        refused(both.post("boss@a", "/force_attack", body), 400)
    assert both.post("boss@a", "/reset").json()["attack"] is None
    assert both.lab.eve is None


def test_without_the_lab_not_even_an_operator_does(tmp_path: Path) -> None:
    with consoles(tmp_path, lab=False) as found:
        for path in ("/force_attack", "/reset"):
            assert "lab is not enabled" in refused(found.post("boss@a", path), 403)
            refused(found.post("alice@a", path), 403)


def test_messages_between_consoles_are_taken_from_the_other_console_alone(both: Consoles) -> None:
    url = both.urls["a"] + "/peer"
    for body in (b"", b"{}", b'{"version":1,"key_id":"x","sealed":"AAAA"}', b"\xff" * 9):
        refused(httpx.post(url, content=body, trust_env=False, timeout=PATIENCE_S), 403)


def test_damaged_accounts_are_a_fault_of_ours_that_says_nothing(tmp_path: Path) -> None:
    with consoles(tmp_path) as found:
        accounts_file(tmp_path / "console-a").write_bytes(b"{")
        assert refused(found.session("alice@a", "carol"), 500) == "the console failed"
        assert str(tmp_path) not in found.session("alice@a", "carol").text


def test_who_asks_too_often_waits_and_no_other_does(tmp_path: Path) -> None:
    with consoles(tmp_path, limits=replace(LIMITS, requests_per_s=1e-3, burst=3.0)) as found:
        codes = [found.session("alice@a", "nobody@a").status_code for _ in range(5)]
        assert codes == [404, 404, 404, 429, 429]
        last = found.session("alice@a", "nobody@a")
        assert int(last.headers["retry-after"]) > 1
        assert found.session("carol@a", "nobody@a").status_code == 404
        guesses = [
            httpx.post(
                found.urls["a"] + "/reset",
                headers={"Authorization": "Bearer x"},
                trust_env=False,
                timeout=PATIENCE_S,
            ).status_code
            for _ in range(5)
        ]
        assert guesses == [401, 401, 401, 429, 429]
        assert found.session("carol@a", "nobody@a").status_code == 404


# Bytes


def answers(wire: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := wire.recv(1 << 16):
            found += data
    return found


@pytest.mark.parametrize(
    ("sent", "code"),
    [(b"\x00" * 50, 400), (b"\x16\x03\x01\x02\x00\x01", 400), (b"NONSENSE\r\n\r\n", 400),
     (request("/x" * 20_000), 431), (request("/", "GET", b"", *["A: b"] * 200), 431),
     (request("/reset", "POST", b"", "Content-Length: 99999999"), 413),
     (request("/reset", "POST", b"", "Content-Length: 1", "Content-Length: 2"), 400),
     (request("/reset", "POST", b"", "Transfer-Encoding: gzip"), 400),
     (b"GET / HTTP/1.1\r\n\r\n", 400)],
    ids=range(9),
)  # fmt: skip
def test_garbage_is_refused_in_the_same_shape(both: Consoles, sent: bytes, code: int) -> None:
    with both.wire() as wire:
        wire.sendall(sent)
        head, _, body = answers(wire).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == code
    assert b"content-type: application/json" in head
    assert set(json.loads(body)) == {"message"}
    assert (
        httpx.get(both.urls["a"] + "/healthz", trust_env=False, timeout=PATIENCE_S).status_code
        == 200
    )


def test_pipelined_requests_are_answered_in_their_order(both: Consoles) -> None:
    many = b"".join(request("/healthz") + request("/nothing") for _ in range(300))
    with both.wire() as wire:
        wire.sendall(many + request("/healthz", "GET", b"", "Connection: close"))
        codes = re.findall(rb"HTTP/1.1 (\d+) ", answers(wire))
    assert codes == [b"200", b"404"] * 300 + [b"200"]


def test_a_request_may_come_byte_by_byte_and_ask_before_it_sends_a_body(both: Consoles) -> None:
    token = f"Authorization: Bearer {both.sites.tokens['alice@a']}"
    body = b'{"client_id": "alice", "peer_id": "carol"}'
    whole = request("/get_session_key", "POST", body, token, "Connection: close")
    with both.wire() as wire:
        for each in whole:
            wire.sendall(bytes([each]))
        assert answers(wire).startswith(b"HTTP/1.1 200 ")
    head = request("/get_session_key", "POST", body, token, "Expect: 100-continue")[: -len(body)]
    with both.wire() as wire:
        wire.sendall(head)
        assert wire.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(body)
        assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_who_is_slow_is_answered_and_ended(tmp_path: Path) -> None:
    limits = replace(LIMITS, head_s=0.2, body_s=0.2)
    with consoles(tmp_path / "slow", limits=limits) as found:
        for part in (b"GET /hea", request("/reset", "POST", b"", "Content-Length: 9") + b"{"):
            with found.wire() as wire:
                wire.sendall(part)
                assert answers(wire).startswith(b"HTTP/1.1 408 ")
    limits = replace(LIMITS, idle_s=0.2)
    with consoles(tmp_path / "idle", limits=limits) as found, found.wire() as wire:
        assert answers(wire) == b""


def test_too_many_connections_of_one_address_cost_the_oldest_idle_one(tmp_path: Path) -> None:
    limits = replace(LIMITS, connections_per_caller=3)
    with consoles(tmp_path, limits=limits) as found, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(found.wire()) for _ in range(4)]
        for wire in wires[1:]:
            wire.sendall(request("/healthz"))
            assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert answers(wires[0]) == b""


def test_a_console_that_stops_answers_what_was_asked(tmp_path: Path) -> None:
    with consoles(tmp_path) as found, found.wire() as wire:
        found.sites.world.held = True
        token = f"Authorization: Bearer {found.sites.tokens['alice@a']}"
        body = b'{"client_id": "alice", "peer_id": "bob"}'
        wire.sendall(request("/get_session_key", "POST", body, token))
        server = found.servers["a"]
        while found.loop.call(lambda: all(each.idle for each in server.connections)):
            pass

        async def stop() -> None:
            stopping = asyncio.create_task(server.stop(20.0))
            await asyncio.sleep(0)
            found.sites.world.held = False
            await stopping

        found.loop.wait(stop())
        answer = answers(wire)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


def test_an_address_that_is_taken_cannot_be_listened_on(both: Consoles) -> None:
    async def handler(*_: object) -> None:
        raise UsageError("never called")

    port = int(both.urls["a"].rpartition(":")[2])
    server = ApiServer(handler, LIMITS)  # type: ignore[arg-type]
    with pytest.raises(DoorUnusable, match=f"port {port}"):
        both.loop.wait(server.start("127.0.0.1", port, None))


def test_what_is_described_is_what_is_answered(both: Consoles, tmp_path: Path) -> None:
    described = httpx.get(
        both.urls["a"] + "/openapi.json", trust_env=False, timeout=PATIENCE_S
    ).json()
    names = described["components"]["schemas"]["SessionRequest"]["properties"]
    # No description can say who there is.
    names["client_id"] = {"type": "string", "enum": ["boss"]}
    names["peer_id"] = {"type": "string", "enum": ["alice", "bob", "carol@a"]}
    kinds = described["components"]["schemas"]["AttackRequest"]["properties"]
    kinds["kind"] = {"type": "string", "enum": ["intercept-resend", "ghz"]}
    both.sites.world.stock = 10**6
    del described["paths"]["/peer"]  # what it takes is sealed
    answers_as_described(
        described,
        both.urls["a"],
        tmp_path,
        *("--header", f"Authorization: Bearer {both.operator}"),
        *("--seed", "8", "--max-examples", "25"),
        least=50,
    )
