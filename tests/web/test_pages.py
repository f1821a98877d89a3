"""Health, metrics and the status of links: who may see what, and how it is told."""

import asyncio
import contextlib
import json
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.patience import PATIENCE_S
from tests.web.doors import ALICE, BOB, STRANGER, Names, Pair, Site, Wire, doors, request
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from bellwire.base.detections import Protocol
from bellwire.keys.status import BlockOutcome, LinkStatus, StatusView
from bellwire.web.push import Changes, events
from bellwire.web.settings import DoorLimits


def view(qber: float, *, now: float = 100.0) -> StatusView:
    link = LinkStatus(now=now)
    link.decide(
        BlockOutcome(protocol=Protocol.BB84, accepted=qber < 0.11, qber=qber, decided_at=now)
    )
    return link.at(now)


GREEN, RED = view(0.02), view(0.25)


@pytest.fixture(autouse=True)
def links(pair: Pair) -> None:
    pair.views.clear()
    pair.views["a-b"] = GREEN


def change(pair: Pair, to: StatusView) -> None:
    pair.views["a-b"] = to
    pair.loop.call(pair.a.server.changes.tell)


def plain(site: Site, path: str) -> tuple[int, str, bytes]:
    with socket.create_connection(site.loopback, timeout=PATIENCE_S) as found:
        found.sendall(request(path, "GET", b"", "Connection: close"))
        came = b""
        while data := found.recv(1 << 16):
            came += data
    head, _, body = came.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


# Who may see what

SAE_MAY = ["/healthz", "/readyz", "/status", "/status/history", "/openapi.json"]


@pytest.mark.parametrize("path", [*SAE_MAY, "/metrics"])
def test_pages_are_for_saes_and_metrics_for_operators(pair: Pair, path: str) -> None:
    for name, permitted in ((ALICE, path != "/metrics"), ("operator", True), (STRANGER, False)):
        with pair.a.client(name) as client:
            answer = client.get(path)
        assert answer.status_code == (200 if permitted else 401)
        if not permitted:
            assert answer.json() == {"message": "the SAE is not authorised"}


def test_an_operator_is_no_sae(pair: Pair) -> None:
    with pair.a.keys("operator") as operator:
        assert operator.get(f"{BOB}/status").status_code == 401


def test_the_loopback_has_health_and_metrics_alone(pair: Pair) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert plain(pair.a, path)[0] == 200
    for path in ("/status", "/status/events", "/openapi.json", f"/api/v1/keys/{BOB}/enc_keys", "/"):
        code, _, body = plain(pair.a, path)
        assert (code, json.loads(body)) == (404, {"message": "there is nothing at this path"})


@pytest.mark.parametrize("verb", ["POST", "HEAD", "DELETE"])
def test_pages_are_got_and_nothing_else(pair: Pair, verb: str) -> None:
    with pair.a.client(ALICE) as client:
        answer = client.request(verb, "/healthz")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_keys_may_be_asked_for_before_a_page_on_one_connection(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        keys = request(f"/api/v1/keys/{BOB}/enc_keys")
        wire.send(keys + keys + request("/healthz") + keys)
        assert [wire.answer()[0] for _ in range(2)] == [200, 200]
        code, fields, body = wire.answer()
        assert (code, fields["connection"], json.loads(body)) == (200, "close", {"status": "alive"})
        assert wire.ended()


# Health and metrics


def test_a_kme_without_keys_is_alive_and_not_ready(pair: Pair) -> None:
    stock, pair.world.stock = pair.world.stock, 0
    try:
        assert plain(pair.a, "/healthz")[0] == 200
        code, head, body = plain(pair.a, "/readyz")
    finally:
        pair.world.stock = stock
    assert code == 503
    assert "application/json" in head
    assert json.loads(body)["details"] == [{"reason": "no keys are left"}]


def test_metrics_count_requests_keys_and_what_others_tell(tmp_path: Path) -> None:
    with doors(tmp_path) as pair:
        with pair.a.keys(ALICE) as alice:
            for number in (1, 4):
                alice.post(f"{BOB}/enc_keys", json={"number": number})
            alice.post(f"{BOB}/enc_keys", json={"number": 0})
        code, head, body = plain(pair.a, "/metrics")
    assert code == 200
    assert "text/plain; version=0.0.4" in head
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert found["bellwire_requests_total", "200", "enc_keys"] == 2
    assert found["bellwire_requests_total", "400", "enc_keys"] == 1
    assert found["bellwire_keys_delivered_total", "enc_keys"] == 5
    assert found["bellwire_request_seconds_count", "enc_keys"] == 3
    assert found["bellwire_request_seconds_bucket", "+Inf", "enc_keys"] == 3
    assert found["bellwire_stored_keys", "b"] == pair.world.stock
    assert ALICE.encode() not in body
    assert BOB.encode() not in body


# The status of links


def test_status_tells_of_each_link_and_its_latest_outcomes(pair: Pair) -> None:
    pair.views["a-c"] = RED
    with pair.a.client(ALICE) as client:
        links = client.get("/status").json()["links"]
    assert {name: link["status"] for name, link in links.items()} == {"a-b": "GREEN", "a-c": "RED"}
    assert links["a-c"]["reason"] == "QBER 25.0% of one block, RED from 11.0%"
    assert links["a-c"]["keys_may_flow"] is False
    assert links["a-b"]["qber"] == 0.02
    assert links["a-b"]["history"][0]["qber"] == 0.02


def event(wire: Wire) -> tuple[str, dict[str, object]]:
    """The next server-sent event; they come in chunks of HTTP, one each."""
    while True:
        text = wire.until(b"\n\n").decode().split("\r\n")[-1]
        kind, data = text.split("\n")
        return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def until_its_end(wire: Wire) -> None:
    with contextlib.suppress(EOFError, ConnectionError, ssl.SSLError):
        while True:
            event(wire)


def test_events_tell_the_status_at_once_and_at_each_change_and_beat_between(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(request("/status/events"))
        head = wire.until(b"\r\n\r\n")
        assert b"text/event-stream" in head
        told = [event(wire)]
        told.append(event(wire))
        change(pair, RED)
        told.append(event(wire))
    assert [kind for kind, _ in told] == ["status", "heartbeat", "status"]
    links = told[2][1]["links"]
    assert isinstance(links, dict)
    assert links["a-b"]["status"] == "RED"
    assert "history" not in links["a-b"]


def socket_of(pair: Pair, name: str, origin: Origin | None = None) -> ClientConnection:
    host, port = pair.a.address
    found: ClientConnection = connect(
        f"wss://{host}:{port}/status/ws",
        ssl=pair.clients.context(name),
        proxy=None,
        open_timeout=PATIENCE_S,
        origin=origin,
    )
    return found


def test_a_websocket_tells_the_same(pair: Pair) -> None:
    with socket_of(pair, ALICE) as found:
        first = json.loads(found.recv(20.0))
        assert (first["event"], first["links"]["a-b"]["status"]) == ("status", "GREEN")
        found.send("whatever it says")
        change(pair, RED)
        while (told := json.loads(found.recv(20.0)))["event"] != "status":
            pass
        assert told["links"]["a-b"]["status"] == "RED"
        assert json.loads(found.recv(20.0))["event"] == "heartbeat"


def test_a_page_of_others_cannot_listen_with_its_visitors_certificate(pair: Pair) -> None:
    host, port = pair.a.address
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        socket_of(pair, ALICE, Origin("https://elsewhere.example")).recv(20.0)
    with socket_of(pair, ALICE, Origin(f"https://{host}:{port}")) as found:
        assert json.loads(found.recv(20.0))["event"] == "status"


def test_a_stranger_hears_nothing(pair: Pair) -> None:
    with pytest.raises(InvalidStatus, match="401"):
        socket_of(pair, STRANGER)


def test_a_plain_request_for_the_websocket_is_told_so(pair: Pair) -> None:
    with pair.a.client(ALICE) as client:
        answer = client.get("/status/ws")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")


class Revocable:
    """Certificates are whom they say, until one is revoked."""

    def __init__(self) -> None:
        self.version = 0
        self.revoked: set[str] = set()

    def identify(self, der: bytes) -> str | None:
        name = Names().identify(der)
        return None if name in self.revoked else name


def test_a_listener_whose_certificate_is_revoked_hears_no_more(tmp_path: Path) -> None:
    identities = Revocable()
    with doors(tmp_path, identities=identities) as pair, pair.a.wire(ALICE) as wire:
        wire.send(request("/status/events"))
        wire.until(b"\r\n\r\n")
        event(wire)
        identities.revoked.add(ALICE)
        identities.version += 1
        until_its_end(wire)


def test_listeners_that_do_not_read_are_dropped_and_block_nobody(tmp_path: Path) -> None:
    many = {f"link-{i}": GREEN for i in range(2000)}
    other = {name: replace(GREEN, reason="x" * 400) for name in many}
    limits = DoorLimits(stalled_s=0.3)
    with doors(tmp_path, limits=limits) as pair, pair.a.wire(ALICE) as deaf:
        deaf.tls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.send(request("/status/events"))
        ended = pair.a.server.figures.connections_ended
        with pair.a.wire(ALICE) as good:
            good.send(request("/status/events"))
            good.until(b"\r\n\r\n")
            for i in range(300):
                pair.views.update(other if i % 2 else many)
                pair.loop.call(pair.a.server.changes.tell)
                event(good)
                if ended["unread answer"]:
                    break
        assert ended["unread answer"] == 1


def test_a_door_that_closes_does_not_wait_for_listeners(tmp_path: Path) -> None:
    with doors(tmp_path) as pair, pair.a.wire(ALICE) as wire, socket_of(pair, ALICE) as other:
        wire.send(request("/status/events"))
        event(wire)
        other.recv(20.0)
        pair.loop.wait(pair.a.server.stop(20.0))
        until_its_end(wire)


def test_who_listens_late_or_slowly_is_told_the_latest() -> None:
    async def listen() -> list[tuple[str, object]]:
        views = {"a-b": GREEN}
        changes = Changes()
        found = events(lambda: views, changes, lambda: 5.0)
        told = [await anext(found)]
        for each in (RED, GREEN, RED):
            views["a-b"] = each
            changes.tell()
        async with asyncio.timeout(PATIENCE_S):
            told += [await anext(found), await anext(found)]
        await found.aclose()  # type: ignore[attr-defined]
        changes.tell()
        return [(kind, content.get("links")) for kind, content in told]

    kinds = asyncio.run(listen())
    assert [kind for kind, _ in kinds] == ["status", "status", "heartbeat"]
    assert kinds[1][1]["a-b"]["status"] == "RED"  # type: ignore[index]


def test_the_history_of_a_link_is_told_from_a_time_on_and_as_long_as_asked(pair: Pair) -> None:
    pair.views["b-c"] = RED
    with pair.a.client(ALICE) as alice:
        found = alice.get("/status/history").json()["links"]["a-b"]
        assert [each["status"] for each in found] == ["GREEN", "RED"]
        assert found[1] == {
            "at": RED.since,
            "status": "RED",
            "stale": False,
            "qber": None,
            "reason": RED.reason,
        }
        for query, length in (("limit=1", 1), ("since=100&limit=5000", 2), ("since=100.5", 0)):
            answer = alice.get(f"/status/history?{query}")
            assert len(answer.json()["links"]["a-b"]) == length
        for query in ("limit=0", "limit=5001", "limit=x", "since=-1", "since=nan", "limit=1.5",
                      "limit=1&limit=2", f"since={'1' * 40}"):  # fmt: skip
            answer = alice.get(f"/status/history?{query}")
            assert answer.status_code == 400, query
            assert "expected since" in answer.json()["message"]
