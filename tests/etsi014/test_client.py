"""The client against a vendor's key servers over real mutual TLS, honest and not."""

import asyncio
import base64
import json
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority, Handler, Kme, Reply, Vendor, vendor

from bellwire.base.private import PathExposed
from bellwire.etsi014.client import AsyncClient, Client
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.errors import (
    CredentialsUnusable,
    Etsi014Error,
    KmeMisbehaved,
    KmeRejected,
    KmeUnauthorised,
    KmeUnavailable,
    KmeUnreachable,
    KmeUntrusted,
    RequestUnusable,
)
from bellwire.etsi014.messages import MAX_ANSWER
from bellwire.etsi014.refusal import hangs_up


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Vendor]:
    with vendor(tmp_path / "vendor") as found:
        yield found


def credentials(boxes: Vendor, sae: str) -> Credentials:
    return Credentials(*boxes.sae[sae], boxes.authority.file)


def client(
    boxes: Vendor, sae: str, kme: Kme | None = None, *, timeout_s: float = PATIENCE_S
) -> Client:
    place = kme or (boxes.alice if sae == "sae-alice" else boxes.bob)
    return Client(place.url, credentials(boxes, sae), timeout_s=timeout_s)


def test_both_sites_get_the_same_keys_each_from_its_own_box(boxes: Vendor) -> None:
    with client(boxes, "sae-alice") as alice, client(boxes, "sae-bob") as bob:
        status = alice.status("sae-bob")
        assert (status.master_sae_id, status.slave_sae_id) == ("sae-alice", "sae-bob")
        assert status.source_kme_id == "kme-a"
        drawn = alice.get_keys("sae-bob", 3, 512)
        assert {len(each.key) for each in drawn} == {64}
        order = [drawn[i].key_id for i in (2, 0, 1)]
        fetched = bob.get_keys_with_ids("sae-alice", order)
        assert [each.key for each in fetched] == [drawn[i].key for i in (2, 0, 1)]
        assert drawn[0].key != drawn[1].key
        with pytest.raises(KmeRejected, match="not found on KME"):
            bob.get_keys_with_ids("sae-alice", order[:1])  # they left


def test_one_connection_serves_many_requests(boxes: Vendor) -> None:
    with client(boxes, "sae-alice") as alice:
        for _ in range(5):
            alice.get_keys("sae-bob", 1, 256)
    assert boxes.alice.connections == 1


def test_many_requests_may_be_under_way_at_once(boxes: Vendor) -> None:
    async def ask() -> list[str]:
        async with AsyncClient(boxes.alice.url, credentials(boxes, "sae-alice")) as alice:
            many = await asyncio.gather(*(alice.get_keys("sae-bob", 2, 256) for _ in range(12)))
        return [each.key_id for keys in many for each in keys]

    ids = asyncio.run(ask())
    assert len(set(ids)) == 24
    assert boxes.alice.connections <= 4


def test_an_id_of_an_sae_may_have_any_printable_characters(tmp_path: Path) -> None:
    name = "Straße/7 ?x=%41"
    with vendor(tmp_path / "v") as boxes, client(boxes, "sae-alice") as alice:
        assert alice.status(name).slave_sae_id == name


@pytest.mark.parametrize("sae", ["", "..", ".", "a\nb", "x" * 257])
def test_an_id_that_is_none_is_never_sent(boxes: Vendor, sae: str) -> None:
    with client(boxes, "sae-alice") as alice, pytest.raises(RequestUnusable, match="SAE id"):
        alice.get_keys(sae, 1, 256)
    assert boxes.alice.served == []


@pytest.mark.parametrize(
    ("number", "bits"), [(0, 256), (1025, 256), (1, 0), (1, 12), (1, (1 << 20) + 8), (1024, 65536)]
)
def test_a_request_beyond_limits_is_never_sent(boxes: Vendor, number: int, bits: int) -> None:
    with client(boxes, "sae-alice") as alice, pytest.raises(RequestUnusable):
        alice.get_keys("sae-bob", number, bits)
    assert boxes.alice.served == []


@pytest.mark.parametrize("ids", [[], ["a", "A"], ["white space"], ["x" * 257], ["k"] * 2])
def test_ids_that_no_server_gave_are_never_sent(boxes: Vendor, ids: list[str]) -> None:
    with client(boxes, "sae-bob") as bob, pytest.raises(RequestUnusable):
        bob.get_keys_with_ids("sae-alice", ids)
    assert boxes.bob.served == []


def test_a_key_of_others_is_refused_as_unauthorised(boxes: Vendor) -> None:
    with (
        client(boxes, "sae-alice") as alice,
        client(boxes, "sae-else", boxes.bob) as other,
    ):
        (drawn,) = alice.get_keys("sae-bob", 1, 256)
        with pytest.raises(KmeUnauthorised, match="not yours"):
            other.get_keys_with_ids("sae-alice", [drawn.key_id])


# What a server may answer instead


def says(code: int, content: Any) -> Callable[[Handler, str, Any], Reply]:
    return lambda handler, method, reply: (code, content)


REFUSALS: list[tuple[int, Any, type[Etsi014Error], str]] = [
    (503, {"message": "key data access error"}, KmeUnavailable, "key data access error"),
    (401, {"message": "who are you"}, KmeUnauthorised, "who are you"),
    (400, {"message": "bad", "details": [{"a": "b"}]}, KmeRejected, "400: bad"),
    (400, b"<html>no JSON</html>", KmeRejected, "400 without a message"),
    (400, {"detail": [{"loc": "FastAPI's"}]}, KmeRejected, "400 without a message"),
    (500, {"message": "oops"}, KmeMisbehaved, "500: oops"),
    (404, {}, KmeMisbehaved, "404 without"),
    (302, b"", KmeMisbehaved, "redirect"),
    (503, {"message": "\x1b[2Jred\x00\u202eten\n"}, KmeUnavailable, r"503:  \[2Jred  ten "),
    (503, {"message": "x" * 10_000}, KmeUnavailable, "x{199}…$"),
]


@pytest.mark.parametrize(("code", "content", "kind", "words"), REFUSALS)
def test_each_refusal_is_an_error_of_its_own_with_the_servers_words_made_harmless(
    boxes: Vendor, code: int, content: Any, kind: type[Etsi014Error], words: str
) -> None:
    boxes.alice.fault = says(code, content)
    with client(boxes, "sae-alice") as alice, pytest.raises(kind, match=words) as caught:
        alice.get_keys("sae-bob", 1, 256)
    assert type(caught.value) is kind
    assert str(caught.value).isprintable()


def key(bits: int = 256, key_id: str = "00000000-0000-4000-8000-000000000001") -> dict[str, str]:
    return {"key_ID": key_id, "key": base64.b64encode(bytes(bits // 8)).decode()}


BAD_CONTAINERS: dict[str, Any] = {
    "no JSON": b"{",
    "not UTF-8": b'{"keys": [{"key_ID": "\xff", "key": ""}]}',
    "deep": b'{"keys":' + b"[" * 100_000,
    "an array": [],
    "no keys": {},
    "too few": {"keys": [key()]},
    "too many": {"keys": [key(key_id=str(i)) for i in range(3)]},
    "endless": {"keys": [key(key_id=str(i)) for i in range(2000)]},
    "one id twice": {"keys": [key(), key()]},
    "another size": {"keys": [key(128, "a"), key(256, "b")]},
    "base64 without padding": {"keys": [key(key_id="a"), {"key_ID": "b", "key": "A" * 43}]},
    "base64 with white space": {"keys": [key(key_id="a"), {"key_ID": "b", "key": "AAAA\n" * 8}]},
    "base64 with loose bits": {"keys": [key(key_id="a"), {"key_ID": "b", "key": "A" * 42 + "B="}]},
    "base64 for URLs": {"keys": [key(key_id="a"), {"key_ID": "b", "key": "_" * 42 + "8="}]},
    "an id with an end of line": {"keys": [key(key_id="a\n"), key(key_id="b")]},
    "an endless id": {"keys": [key(key_id="a" * 300), key(key_id="b")]},
    "a number as key": {"keys": [key(key_id="a"), {"key_ID": "b", "key": 1}]},
}


@pytest.mark.parametrize("name", BAD_CONTAINERS)
def test_an_answer_that_014_does_not_know_gives_no_key(boxes: Vendor, name: str) -> None:
    boxes.alice.fault = says(200, BAD_CONTAINERS[name])
    with client(boxes, "sae-alice") as alice, pytest.raises(KmeMisbehaved, match="expected"):
        alice.get_keys("sae-bob", 2, 256)


def test_other_keys_than_those_asked_for_are_refused(boxes: Vendor) -> None:
    boxes.bob.fault = says(200, {"keys": [key(key_id="another")]})
    with client(boxes, "sae-bob") as bob, pytest.raises(KmeMisbehaved, match="other ids"):
        bob.get_keys_with_ids("sae-alice", ["asked-for"])


def test_capitals_in_an_id_are_the_same_id(boxes: Vendor) -> None:
    def capitals(handler: Handler, method: str, reply: Any) -> Reply:
        keys = [{**each, "key_ID": each["key_ID"].upper()} for each in reply[1]["keys"]]
        return reply[0], {"keys": keys}

    with client(boxes, "sae-alice") as alice, client(boxes, "sae-bob") as bob:
        (drawn,) = alice.get_keys("sae-bob", 1, 256)
        boxes.bob.fault = capitals
        assert bob.get_keys_with_ids("sae-alice", [drawn.key_id])[0].key == drawn.key


STATUS = {
    "source_KME_ID": "a",
    "target_KME_ID": "b",
    "master_SAE_ID": "sae-alice",
    "slave_SAE_ID": "sae-bob",
    "key_size": 256,
    "stored_key_count": 1,
    "max_key_count": 1,
    "max_key_per_request": 1,
    "max_key_size": 256,
    "min_key_size": 256,
    "max_SAE_ID_count": 0,
}


@pytest.mark.parametrize(
    "change",
    [{"key_size": True}, {"key_size": -8}, {"key_size": "256"}, {"slave_SAE_ID": "else"}]
    + [{name: None} for name in STATUS],
)
def test_a_status_that_is_none_is_refused(boxes: Vendor, change: dict[str, Any]) -> None:
    changed = {name: value for name, value in {**STATUS, **change}.items() if value is not None}
    boxes.alice.fault = says(200, changed)
    with client(boxes, "sae-alice") as alice, pytest.raises(KmeMisbehaved):
        alice.status("sae-bob")


def test_a_redirect_to_plain_http_is_not_followed(boxes: Vendor) -> None:
    def redirect(handler: Handler, method: str, reply: Any) -> None:
        handler.send(307, b"", Location="http://127.0.0.1:9/api/v1/keys/sae-bob/enc_keys")

    boxes.alice.fault = redirect
    with client(boxes, "sae-alice") as alice, pytest.raises(KmeMisbehaved, match="redirect"):
        alice.get_keys("sae-bob", 1, 256)


def test_a_huge_answer_is_given_up_at_the_limit(boxes: Vendor) -> None:
    sent = []

    def flood(handler: Handler, method: str, reply: Any) -> None:
        handler.send_response(200)
        handler.end_headers()  # no length: until the connection ends
        for _ in range(256):
            handler.wfile.write(bytes(1 << 20))
            sent.append(1 << 20)

    boxes.alice.fault = flood
    with client(boxes, "sae-alice") as alice, pytest.raises(KmeMisbehaved, match="at most"):
        alice.get_keys("sae-bob", 1, 256)
    boxes.alice.stop()
    assert sum(sent) < 32 * MAX_ANSWER  # buffers of the system, and no more


def test_a_compressed_answer_is_refused(boxes: Vendor) -> None:
    def squeeze(handler: Handler, method: str, reply: Any) -> None:
        handler.send(200, bytes(100), Content_Encoding="gzip")

    boxes.alice.fault = squeeze
    with client(boxes, "sae-alice") as alice, pytest.raises(KmeMisbehaved, match="compressed"):
        alice.get_keys("sae-bob", 1, 256)


@pytest.mark.parametrize("where", ["head", "body"])
def test_an_answer_that_drips_ends_with_the_time_of_the_whole_exchange(
    boxes: Vendor, where: str
) -> None:
    def drip(handler: Handler, method: str, reply: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if where == "body":
            handler.wfile.write(b"Content-Length: 100000\r\n\r\n")
        while not handler.server.gone.wait(0.02):  # each byte well within any time for one read
            handler.wfile.write(b"x")

    boxes.alice.fault = drip
    with (
        client(boxes, "sae-alice", timeout_s=0.4) as alice,
        pytest.raises(KmeUnreachable, match=r"within 0\.4 s"),
    ):
        alice.get_keys("sae-bob", 1, 256)


# Connections


def drop(handler: Handler, method: str, reply: Any) -> None:
    handler.close_connection = True


def test_a_lost_answer_is_not_asked_for_again_if_keys_were_at_stake(boxes: Vendor) -> None:
    with client(boxes, "sae-alice") as alice, client(boxes, "sae-bob") as bob:
        (drawn,) = alice.get_keys("sae-bob", 1, 256)
        boxes.alice.fault = boxes.bob.fault = drop
        with pytest.raises(KmeUnreachable):
            alice.get_keys("sae-bob", 1, 256)
        with pytest.raises(KmeUnreachable):
            bob.get_keys_with_ids("sae-alice", [drawn.key_id])
    assert [method for _, method, _ in boxes.alice.served] == ["enc_keys", "enc_keys"]
    assert [method for _, method, _ in boxes.bob.served] == ["dec_keys"]


def test_a_status_is_asked_for_once_more(boxes: Vendor) -> None:
    def once(handler: Handler, method: str, reply: Any) -> Reply | None:
        boxes.alice.fault = None
        drop(handler, method, reply)
        return None

    boxes.alice.fault = once
    with client(boxes, "sae-alice") as alice:
        assert alice.status("sae-bob").key_size == 256
        boxes.alice.fault = drop
        with pytest.raises(KmeUnreachable):
            alice.status("sae-bob")
    assert len(boxes.alice.served) == 4


def test_a_box_that_went_and_came_back_is_asked_as_before(boxes: Vendor) -> None:
    with client(boxes, "sae-alice") as alice:
        alice.get_keys("sae-bob", 1, 256)
        boxes.alice.stop()
        with pytest.raises(KmeUnreachable, match="no connection"):
            alice.get_keys("sae-bob", 1, 256)
        boxes.alice.start()
        assert alice.get_keys("sae-bob", 1, 256)


# Certificates


def test_a_server_of_another_authority_is_not_believed(boxes: Vendor, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    with (
        Client(boxes.alice.url, Credentials(*boxes.sae["sae-alice"], stranger.file)) as alice,
        pytest.raises(KmeUntrusted, match="not good"),
    ):
        alice.status("sae-bob")
    assert boxes.alice.served == []


@pytest.mark.parametrize(("days", "host"), [(-0.5, "127.0.0.1"), (1.0, "127.0.0.2")])
def test_a_certificate_that_is_expired_or_of_another_host_is_not_believed(
    boxes: Vendor, days: float, host: str
) -> None:
    certificate = boxes.authority.issue("kme-a", days=days, host=host)
    false = Kme("kme-a", "kme-b", boxes.link, certificate, boxes.authority.file)
    false.start()
    try:
        with (
            client(boxes, "sae-alice", false) as alice,
            pytest.raises(KmeUntrusted, match="not good"),
        ):
            alice.get_keys("sae-bob", 1, 256)
        assert false.served == []
    finally:
        false.stop()


def test_a_server_that_does_not_know_our_authority_refuses_us(
    boxes: Vendor, tmp_path: Path
) -> None:
    ours = Authority(tmp_path, "ours").issue("sae-alice")
    with (
        Client(boxes.alice.url, Credentials(*ours, boxes.authority.file)) as alice,
        pytest.raises((KmeUntrusted, KmeUnreachable)),
    ):
        alice.status("sae-bob")
    assert boxes.alice.served == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_hangs_up_without_an_alert_has_refused_us(
    boxes: Vendor, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """As servers on asyncio do; one that takes us and then breaks down has not."""
    strangers = Authority(tmp_path, "strangers")
    server = boxes.alice.context
    server.maximum_version = version

    async def ask(ours: tuple[Path, Path]) -> None:
        async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.close()

        async with (
            asyncio.timeout(PATIENCE_S),
            await asyncio.start_server(leave, "127.0.0.1", 0, ssl=server) as door,
        ):
            port = door.sockets[0].getsockname()[1]
            credentials = Credentials(*ours, boxes.authority.file)
            async with AsyncClient(f"https://127.0.0.1:{port}", credentials) as alice:
                await alice.get_keys("sae-bob")

    with pytest.raises(KmeUntrusted, match="hangs up"):
        asyncio.run(ask(strangers.issue("sae-alice")))
    with pytest.raises(KmeUnreachable, match="broke off"):
        asyncio.run(ask(boxes.sae["sae-alice"]))


def test_a_server_that_says_nothing_to_a_handshake_has_not_hung_up(boxes: Vendor) -> None:
    """As one that was killed, and is busy when it is looked for again."""

    async def ask(port: int) -> bool:
        tls = credentials(boxes, "sae-alice").context()
        async with asyncio.timeout(PATIENCE_S):
            return await hangs_up(f"https://127.0.0.1:{port}", tls, timeout_s=0.2)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert asyncio.run(ask(silent.getsockname()[1])) is False


def test_what_a_server_adds_to_a_key_or_a_status_is_handed_on(boxes: Vendor) -> None:
    with client(boxes, "sae-alice") as alice:
        assert alice.get_keys("sae-bob")[0].extension == {"hops": 1}
        assert alice.status("sae-bob").status_extension == {"vendor_of": "nothing"}


def test_requests_leave_at_once_without_waiting_for_more(boxes: Vendor) -> None:
    """Nagle's algorithm would hold a request of two pieces back for 40 ms (RFC 896)."""
    found: list[int] = []
    connect = asyncio.BaseEventLoop.create_connection

    async def ask() -> None:
        async with AsyncClient(boxes.alice.url, credentials(boxes, "sae-alice")) as alice:
            await alice.status("sae-bob")
            for transport in set(transports):
                plain = transport.get_extra_info("socket")
                found.append(plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    transports: list[asyncio.Transport] = []

    async def watched(loop: Any, *args: Any, **more: Any) -> Any:
        made = await connect(loop, *args, **more)
        transports.append(made[0])
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "create_connection", watched)
        asyncio.run(ask())
    assert found == [1]


def test_what_the_environment_trusts_is_not_asked(
    boxes: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Authority(tmp_path, "stranger")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(boxes.authority.file))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with client(boxes, "sae-alice") as alice:
        assert alice.status("sae-bob")
    with (
        Client(boxes.alice.url, Credentials(*boxes.sae["sae-alice"], stranger.file)) as alice,
        pytest.raises(KmeUntrusted),
    ):
        alice.status("sae-bob")


def test_a_private_key_that_others_may_read_is_refused(boxes: Vendor) -> None:
    boxes.sae["sae-alice"][1].chmod(0o640)
    with pytest.raises(PathExposed, match="0640"):
        client(boxes, "sae-alice")


@pytest.mark.parametrize("broken", ["certificate", "key", "authority", "pair"])
@pytest.mark.parametrize("how", ["missing", "garbage"])
def test_files_that_are_no_credentials_are_named(
    boxes: Vendor, tmp_path: Path, broken: str, how: str
) -> None:
    certificate, secret = boxes.sae["sae-alice"]
    files = {"certificate": certificate, "key": secret, "authority": boxes.authority.file}
    if broken == "pair":
        files["key"] = boxes.sae["sae-bob"][1]
        bad = files["key"]
    else:
        bad = files[broken] = tmp_path / "bad.pem"
        if how == "garbage":
            bad.touch(mode=0o600)
            bad.write_text("nothing of the kind")
    with pytest.raises(CredentialsUnusable) as caught:
        Credentials(**files).context()
    assert str(bad) in str(caught.value)


def test_an_encrypted_private_key_is_refused_and_nobody_is_asked_for_its_password(
    boxes: Vendor, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, secret = boxes.sae["sae-alice"]
    plain = serialization.load_pem_private_key(secret.read_bytes(), None)
    secret.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(os.urandom(8).hex().encode()),
        )
    )
    with pytest.raises(CredentialsUnusable, match="not encrypted"):
        Credentials(certificate, secret, boxes.authority.file).context()


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "https://",
        "ftp://h",
        "h:1",
        "https://u:p@h",
        "https://h?a=b",
        "https://[",
        "",
        "https://h:x",
        "https://h\n",
        "https://a b",
        "https://h#f",
    ],
)
def test_an_address_that_is_not_of_https_is_refused(boxes: Vendor, url: str) -> None:
    with pytest.raises(RequestUnusable, match="https://HOST"):
        Client(url, credentials(boxes, "sae-alice"))


def test_no_repr_and_no_error_shows_a_key(boxes: Vendor) -> None:
    with client(boxes, "sae-alice") as alice:
        (drawn,) = alice.get_keys("sae-bob", 1, 256)
        shown = base64.b64encode(drawn.key.reveal()).decode()
        for wrong in ({"keys": [{"key_ID": 5, "key": shown}]}, {"keys": [{"key": shown}]}):
            boxes.alice.fault = says(200, wrong)
            with pytest.raises(KmeMisbehaved) as caught:
                alice.get_keys("sae-bob", 1, 256)
            error: BaseException | None = caught.value
            while error is not None:
                assert shown not in str(error)
                error = error.__cause__ or error.__context__
    assert shown not in repr(drawn)
    assert json.dumps(drawn.key.reveal().hex()) not in repr(drawn)
