"""Clients that send garbage, too much, too slowly or too often: their own answer, nobody else's."""

import asyncio
import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S
from tests.web.doors import ALICE, BOB, DAVE, Pair, Site, Wire, doors, request

from bellwire.keys.errors import (
    KeyNotReady,
    LinkRed,
    NotEnoughKey,
    PeerAbsent,
    QuotaReached,
    StoreError,
)
from bellwire.web.errors import DoorUnusable
from bellwire.web.settings import DoorLimits

NEW = f"/api/v1/keys/{BOB}/enc_keys"
STATUS = f"/api/v1/keys/{BOB}/status"

Answer = tuple[int, dict[str, str], bytes]


def refused(answer: Answer, code: int) -> str:
    found, fields, body = answer
    assert found == code, answer
    assert fields["content-type"] == "application/json"
    return str(json.loads(body)["message"])


def works(site: Site) -> None:
    with site.keys(ALICE) as alice:
        assert alice.get(f"{BOB}/enc_keys").status_code == 200


# Pipelining


def test_pipelined_requests_are_answered_in_their_order(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        bodies = [json.dumps({"number": n}).encode() for n in range(1, 60)]
        wire.send(b"".join(request(NEW, "POST", each) for each in bodies) + request("/nothing"))
        for number in range(1, 60):
            code, _, body = wire.answer()
            assert (code, len(json.loads(body)["keys"])) == (200, number)
        refused(wire.answer(), 404)


def test_thousands_of_requests_at_once_are_answered_in_their_order(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(b"".join(request(STATUS) + request("/x") for _ in range(1500)))
        codes = [wire.answer()[0] for _ in range(3000)]
    assert codes == [200, 404] * 1500


def test_a_request_may_come_byte_by_byte(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        for byte in request(NEW, "POST", b'{"number": 2}'):
            wire.send(bytes([byte]))
        code, _, body = wire.answer()
    assert (code, len(json.loads(body)["keys"])) == (200, 2)


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 100, b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"NONSENSE / HTTP/1.1\r\n\r\n",
     b"\xff" * 10, b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ids=lambda each: repr(each[:12]),
)  # fmt: skip
def test_garbage_after_requests_is_refused_after_they_are_answered(
    pair: Pair, garbage: bytes
) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(request(NEW) * 3 + garbage)
        assert [wire.answer()[0] for _ in range(3)] == [200] * 3
        answer = wire.answer()
        refused(answer, 505 if garbage == b"GET /\r\n\r\n" else 400)  # HTTP/0.9
        assert wire.ended()
    works(pair.a)


@pytest.mark.parametrize(
    "fields",
    [["Content-Length: 5", "Transfer-Encoding: chunked"],
     ["Content-Length: 1", "Content-Length: 2"],
     ["Content-Length: -1"], ["Content-Length: x"], ["Host: other"], ["Transfer-Encoding: gzip"],
     ["Content-Length: " + "9" * 30], ["A\x00: b"], [" folded: x"], ["Host : x"],
     ["Upgrade: h2c", "Connection: upgrade", "Content-Length: 2"]],
    ids=lambda each: each[0][:20],
)  # fmt: skip
def test_heads_that_could_mean_two_things_are_refused(pair: Pair, fields: list[str]) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(request(NEW, "POST", b"", *fields) + b"{}")
        refused(wire.answer(), 400)
        assert wire.ended()


def test_a_request_names_its_host(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(f"GET {STATUS} HTTP/1.1\r\n\r\n".encode())
        refused(wire.answer(), 400)
    with pair.a.wire(ALICE) as wire:
        wire.send(f"GET {STATUS} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
        code, fields, _ = wire.answer()
        assert (code, fields["connection"]) == (200, "close")
        assert wire.ended()


def test_targets_in_absolute_form_are_understood(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(request(f"https://kme:443{STATUS}") + request("*", "OPTIONS"))
        assert wire.answer()[0] == 200
        refused(wire.answer(), 404)


def test_another_protocol_is_not_begun_and_the_request_is_answered(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(request(STATUS, "GET", b"", "Upgrade: h2c", "Connection: upgrade"))
        code, fields, _ = wire.answer()
        assert (code, fields["connection"]) == (200, "close")
        assert wire.ended()


# Too much


def test_a_body_too_long_is_refused_before_it_is_sent(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(request(NEW, "POST", b"", "Content-Length: 1048577"))
        refused(wire.answer(), 413)
        assert wire.ended()


def test_a_huge_body_gets_its_answer_whether_its_length_is_told_or_not(pair: Pair) -> None:
    for field, chunk in (
        ("Content-Length: 50000000", b"x" * 65536),
        ("Transfer-Encoding: chunked", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        ("Transfer-Encoding: chunked", b"1;" + b"e" * 65536),
        ("Transfer-Encoding: chunked", b"1\r\nx\r\n" * 10_000),
    ):
        with pair.a.wire(ALICE) as wire:
            wire.send(request(NEW, "POST", b"", field))
            for _ in range(80):
                wire.send(chunk)
            refused(wire.answer(), 413)
    works(pair.a)


def test_the_longest_body_is_read(pair: Pair) -> None:
    filled = b'{"number": 2, "fill": "' + b"x" * ((1 << 20) - 25) + b'"}'
    assert len(filled) == 1 << 20
    with pair.a.wire(ALICE) as wire:
        wire.send(request(NEW, "POST", filled))
        code, _, body = wire.answer()
    assert (code, len(json.loads(body)["keys"])) == (200, 2)


def test_trailers_and_extensions_of_chunks_change_nothing(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(request(NEW, "POST", b"", "Transfer-Encoding: chunked"))
        wire.send(b'4;a=b\r\n{"nu\r\n9\r\nmber": 3}\r\n0\r\nHost: z\r\nX: y\r\n\r\n')
        wire.send(request(STATUS))
        code, _, body = wire.answer()
        assert (code, len(json.loads(body)["keys"])) == (200, 3)
        assert wire.answer()[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        f"GET {STATUS} HTTP/1.1\r\nHost: kme\r\nX: ".encode() + b"x" * 70_000,
        f"GET {STATUS} HTTP/1.1\r\nHost: kme\r\nX: ".encode() + b"x" * 70_000 + b"\r\n\r\n",
        f"GET {STATUS} HTTP/1.1\r\nHost: kme\r\n".encode() + b"a: b\r\n" * 200 + b"\r\n",
        b"GET /" + b"x" * 70_000,
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: kme\r\n\r\n",
    ],
    ids=["field never ends", "field", "fields", "target never ends", "target"],
)
def test_a_head_too_long_is_refused(pair: Pair, head: bytes) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(head)
        refused(wire.answer(), 431)
        assert wire.ended()
    works(pair.a)


def test_a_client_that_asks_may_send_its_body(pair: Pair) -> None:
    with pair.a.wire(ALICE) as wire:
        wire.send(request(NEW, "POST", b"", "Content-Length: 13", "Expect: 100-continue"))
        assert wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        wire.send(b'{"number": 2}')
        assert wire.answer()[0] == 200
        wire.send(request(NEW, "POST", b"", "Content-Length: 2000000", "Expect: 100-continue"))
        refused(wire.answer(), 413)


# Too slow, too many, too often


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Where clients have no time for what they say, and what they take."""
    limits = DoorLimits(
        head_s=0.3,
        body_s=0.3,
        idle_s=PATIENCE_S,
        stalled_s=0.5,
        handshake_s=PATIENCE_S,
        linger_s=0.2,
        connections=12,
        connections_per_caller=4,
        handshakes=3,
        waiting=4,
    )
    with doors(tmp_path_factory.mktemp("tight"), limits=limits) as found:
        yield found


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Where they have none to begin with anything either."""
    limits = DoorLimits(idle_s=4.0, handshake_s=4.0)
    with doors(tmp_path_factory.mktemp("hasty"), limits=limits) as found:
        yield found


@pytest.mark.parametrize(
    "begun", [b"G", request(NEW)[:-3], request(NEW, "POST", b'{"number": 1}')[:-1]]
)
def test_a_request_that_stays_half_said_is_ended_with_408(tight: Pair, begun: bytes) -> None:
    with tight.a.wire(ALICE) as wire:
        wire.send(begun)
        refused(wire.answer(), 408)
        assert wire.ended()


def test_a_client_that_drips_is_ended_all_the_same(tight: Pair) -> None:
    with tight.a.wire(ALICE) as wire:
        wire.tls.settimeout(0.05)
        for byte in request(NEW) * 40:
            wire.send(bytes([byte]))
            try:
                wire._more()
            except TimeoutError:
                continue
            break
        wire.tls.settimeout(PATIENCE_S)
        refused(wire.answer(), 408)


def test_an_idle_connection_is_ended_without_a_word(hasty: Pair) -> None:
    with hasty.a.wire(ALICE) as wire:
        wire.send(request(STATUS))
        assert wire.answer()[0] == 200
        assert wire.ended()


def test_a_handshake_that_is_not_made_is_ended(hasty: Pair) -> None:
    with socket.create_connection(hasty.a.address, timeout=PATIENCE_S) as plain:
        assert plain.recv(1) == b""
    with socket.create_connection(hasty.a.address, timeout=PATIENCE_S) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in plain.recv(100)


def test_handshakes_that_are_not_made_keep_nobody_out(tight: Pair) -> None:
    silent = [socket.create_connection(tight.a.address, timeout=PATIENCE_S) for _ in range(40)]
    works(tight.a)
    for each in silent:
        each.close()


def test_an_answer_that_nobody_reads_ends_its_connection_alone(tight: Pair) -> None:
    with tight.a.wire(ALICE) as wire:
        wire.tls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(request(NEW, "POST", b'{"number": 1024, "size": 8192}') * 8)
        deadline = time.monotonic() + PATIENCE_S
        ended = tight.a.server.figures.connections_ended
        while not ended["unread answer"] and time.monotonic() < deadline:
            works(tight.a)
        assert ended["unread answer"]


def test_connections_beyond_ones_share_take_the_place_of_ones_own_idle_ones(tight: Pair) -> None:
    with tight.a.wire(DAVE) as other, tight.a.wire(ALICE) as first:
        first.send(request(STATUS))
        assert first.answer()[0] == 200
        more = [tight.a.wire(ALICE) for _ in range(5)]
        for each in more:
            each.__enter__().send(request(STATUS))
        other.send(request(STATUS))
        assert other.answer()[0] == 200
        assert first.ended()
        for each in more:
            each.__exit__(None, None, None)
    works(tight.a)


def test_requests_that_wait_stop_the_reading_and_are_all_answered(tight: Pair) -> None:
    tight.world.hold = True
    try:
        with tight.a.wire(ALICE) as wire:
            wire.send(request(NEW) * 100)
            answered = 0
            while answered < 100:
                tight.loop.call(tight.world.release)
                wire.tls.settimeout(0.02)
                try:
                    assert wire.answer()[0] == 200
                except TimeoutError:
                    continue
                answered += 1
    finally:
        tight.world.hold = False


def test_who_asks_too_often_waits_and_others_do_not(tmp_path: Path) -> None:
    limits = DoorLimits(requests_per_s=0.1, burst=3)
    with doors(tmp_path, limits=limits) as pair:
        with pair.a.wire(ALICE) as wire:
            wire.send(request(STATUS) * 4)
            assert [wire.answer()[0] for _ in range(3)] == [200] * 3
            answer = wire.answer()
            assert refused(answer, 503) == "key data access error"
            assert 1 <= int(answer[1]["retry-after"]) <= 10
        with pair.a.keys(ALICE) as again, pair.a.keys(DAVE) as other:
            assert again.get(f"{BOB}/status").status_code == 503  # another connection, same SAE
            assert other.get(f"{BOB}/status").status_code == 200


# What a KME cannot do now, and what must not happen


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LinkRed("no key leaves: the link is RED: S = 1.35"), "S = 1.35"),
        (NotEnoughKey(256, 0), "256 secret bits"),
        (KeyNotReady("the-id"), "not ready yet"),
        (QuotaReached("sae-alice had 7"), "for now"),
        (PeerAbsent("10.1.2.3 port 4 does not answer"), "does not answer"),
        (StoreError("/var/lib/keys.sqlite is full"), "store of keys failed"),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.parametrize("asked", [NEW, f"{NEW[:-8]}dec_keys?key_ID={'0' * 8}-0000-4000-8000-{'0' * 12}"])  # fmt: skip # noqa: E501
def test_what_cannot_be_now_is_503_with_the_reason_and_nothing_of_the_inside(
    pair: Pair, error: Exception, words: str, asked: str
) -> None:
    pair.world.refuse = lambda: error
    try:
        with pair.a.wire(ALICE) as wire:
            wire.send(request(asked))
            answer = wire.answer()
    finally:
        pair.world.refuse = None
    assert refused(answer, 503) == "key data access error"
    (detail,) = json.loads(answer[2])["details"]
    assert words in detail["reason"]
    assert not any(inside in detail["reason"] for inside in ("10.1.2.3", "/var", "sae-alice"))
    assert ("retry-after" in answer[1]) is isinstance(error, QuotaReached | KeyNotReady)


def test_a_fault_of_ours_is_500_without_a_trace_and_the_connection_goes_on(pair: Pair) -> None:
    def fault() -> Exception:
        return ZeroDivisionError("secret of the inside")

    pair.world.refuse = fault
    try:
        with pair.a.wire(ALICE) as wire:
            wire.send(request(NEW))
            answer = wire.answer()
            pair.world.refuse = None
            wire.send(request(NEW))
            assert wire.answer()[0] == 200
    finally:
        pair.world.refuse = None
    assert refused(answer, 500) == "the KME failed"
    assert b"secret" not in answer[2]


def test_a_client_that_leaves_before_its_answer_disturbs_nobody(pair: Pair) -> None:
    connections = pair.a.server._door.connections
    delivered = pair.a.server.figures.keys["enc_keys"]
    pair.world.hold = True
    try:
        with pair.a.wire(ALICE) as wire:
            wire.send(request(NEW))
            while not pair.world.held:
                time.sleep(0.005)
            there = len(connections)
        while len(connections) >= there:
            time.sleep(0.005)
        ((_, held),) = pair.world.held
        pair.loop.call(pair.world.release)
    finally:
        pair.world.hold = False
    works(pair.a)
    assert pair.a.server.figures.keys["enc_keys"] == delivered + 1  # that of `works`
    assert not any(held.keys.reveal())  # nobody was there to take them


# The end


def stopping(pair: Pair, grace_s: float) -> "asyncio.Future[None]":
    return asyncio.run_coroutine_threadsafe(  # type: ignore[return-value]
        pair.a.server.stop(grace_s), pair.loop.loop
    )


def test_a_door_that_closes_answers_what_was_asked_and_takes_nothing_new(tmp_path: Path) -> None:
    with doors(tmp_path) as pair, pair.a.wire(ALICE) as idle, pair.a.wire(ALICE) as wire:
        idle.send(request(STATUS))
        assert idle.answer()[0] == 200
        pair.world.hold = True
        wire.send(request(NEW, "POST", b'{"number": 5}') * 2)
        while not pair.world.held:
            time.sleep(0.005)
        ended = stopping(pair, PATIENCE_S)
        assert idle.ended()
        with pytest.raises(OSError):  # noqa: PT011 # refused, or reset
            socket.create_connection(pair.a.address, timeout=1.0).recv(1)
        pair.world.hold = False
        pair.loop.call(pair.world.release)
        answers = [wire.answer(), wire.answer()]
        assert [len(json.loads(body)["keys"]) for _, _, body in answers] == [5, 5]
        assert [fields.get("connection") for _, fields, _ in answers] == [None, "close"]
        assert wire.ended()
        ended.result(PATIENCE_S)  # type: ignore[call-arg]


def test_a_door_does_not_wait_longer_than_its_grace(tmp_path: Path) -> None:
    with doors(tmp_path) as pair, pair.a.wire(ALICE) as wire:
        pair.world.hold = True
        wire.send(request(NEW))
        while not pair.world.held:
            time.sleep(0.005)
        stopping(pair, 0.1).result(PATIENCE_S)  # type: ignore[call-arg]
        assert wire.ended()


def test_it_is_the_same_on_the_loop_of_asyncio(tmp_path: Path) -> None:
    with doors(tmp_path, factory=asyncio.new_event_loop) as pair:
        works(pair.a)
        with pair.a.wire(ALICE) as wire:
            wire.send(request(NEW) * 20 + b"\x00")
            assert [wire.answer()[0] for _ in range(20)] == [200] * 20
            refused(wire.answer(), 400)
            assert wire.ended()
        with pair.a.client("operator") as operator:
            assert operator.get("/metrics").status_code == 200
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)), anonymous(pair.a) as wire:
            wire.send(request(STATUS)).answer()


def anonymous(site: Site) -> contextlib.AbstractContextManager[Wire]:
    return site.wire("", context=site.clients.context(None))


def test_an_address_that_is_taken_is_named(pair: Pair) -> None:
    host, port = pair.a.address
    with pytest.raises(DoorUnusable, match=f"cannot listen on {host} port {port}"):
        pair.loop.wait(pair.b.server.start(host, port))
    works(pair.a)
