"""The audit log: who, what, when and how it ended, for every key; and never a key."""

import asyncio
import base64
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.node.test_door import Doors, doors, run
from tests.patience import PATIENCE_S

from bellwire.base.errors import BellwireError
from bellwire.base.journal import Journal
from bellwire.cli.main import run as command
from bellwire.etsi014.errors import KmeRejected, KmeUnauthorised
from bellwire.etsi014.exchange import Extras, Key
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.delivery_server import DeliveryServer
from bellwire.keys.kme import KeyRequest
from bellwire.node import audit as module
from bellwire.node.audit import AuditLog, audit_file, open_audit, record
from bellwire.node.settings import Settings, load
from bellwire.web.audit import Answered

ADDRESS = ("127.0.0.1", 4711)


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def settings(tmp_path: Path, **audit: object) -> Settings:
    return load(None, {"state": {"dir": tmp_path}, "audit": audit})


def a_request(**fields: Any) -> Answered:
    about: dict[str, Any] = {
        "sae": "app-a", "address": ADDRESS, "route": "enc_keys", "about": "app-b", "code": 200,
        "asked": KeyRequest(("app-b",), 1, 256), "ids": bytes(16), "bits": 256, "reason": None,
        "error": None,
    }  # fmt: skip
    return Answered(**about | fields)


@contextlib.asynccontextmanager
async def watched(tmp_path: Path) -> AsyncIterator[tuple[Doors, AuditLog, Path]]:
    """Both sites' doors with one log."""
    log = open_audit(settings(tmp_path / "log"), "a")
    assert log is not None
    async with doors(tmp_path, audit=log) as kmes:
        try:
            yield kmes, log, audit_file(settings(tmp_path / "log"), "a")
        finally:
            log.close()


def ids_of(keys: list[Key]) -> list[str]:
    return [str(key.key_id) for key in keys]


def test_every_key_is_told_with_who_had_it_and_who_was_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with watched(tmp_path) as (kmes, log, path):
            drawn = await kmes.clients["alice"].get_keys("bob", 2, 128, Extras(slaves=("bea",)))
            with pytest.raises(KmeUnauthorised):
                await kmes.clients["aldous"].get_keys_with_ids("bob", [drawn[0].key_id])
            fetched = await kmes.fetch("bob", "alice", drawn)
            with pytest.raises(KmeRejected):
                await kmes.fetch("bob", "alice", drawn[:1])
            with pytest.raises(KmeRejected):
                await kmes.get("alice", "nobody")
            await kmes.clients["alice"].status("bob")
            await asyncio.to_thread(log.close)
        assert fetched == drawn
        told = entries(path)
        for entry in told:
            assert entry.pop("at").endswith("Z")
            assert entry.pop("peer").startswith("127.0.0.1:")
        ids = ids_of(drawn)
        assert told == [
            {
                "event": "keys delivered", "sae": "alice", "method": "enc_keys", "about": "bob",
                "code": 200, "number": 2, "bits": 128, "further_slaves": ["bea"], "key_ids": ids,
            },
            {
                "event": "request refused", "sae": "aldous", "method": "dec_keys", "about": "bob",
                "code": 401, "number": 1, "key_ids": ids[:1],
                "reason": "the SAE is not authorised", "error": "KeyNotGranted",
            },
            {
                "event": "keys delivered", "sae": "bob", "method": "dec_keys", "about": "alice",
                "code": 200, "number": 2, "bits": 128, "key_ids": ids,
            },
            {
                "event": "request refused", "sae": "bob", "method": "dec_keys", "about": "alice",
                "code": 400, "number": 1, "key_ids": ids[:1],
                "reason": "one or more keys specified are not found on KME", "error": "KeyGone",
            },
            {
                "event": "request refused", "sae": "alice", "method": "enc_keys",
                "about": "nobody", "code": 400, "number": 1, "bits": 256,
                "reason": "the slave SAE is not known", "error": "SlaveUnknown",
            },
        ]  # fmt: skip

    run(test)


def forms(key: bytes) -> list[bytes]:
    return [key, base64.b64encode(key)[:20], key.hex().encode()[:20], key[:8].hex().encode()]


def test_no_key_ever_lands_in_the_log_in_any_form(tmp_path: Path) -> None:
    async def test() -> None:
        async with watched(tmp_path) as (kmes, log, path):
            node = kmes.pair.alice
            node.note, node.keys.left = log.note, log.local
            keys = [key.key for key in await kmes.get("alice", "bob", 20, 128)]
            drawn = await kmes.get("bea", "aldous", 3, 512)
            keys += [key.key for key in await kmes.fetch("aldous", "bea", drawn)]
            keys += [key.key for key in await kmes.get("alice", "aldous", 2)]
            async with DeliveryServer(tmp_path / "s" / "keys.sock", node.keys):
                client = DeliveryClient(tmp_path / "s" / "keys.sock")
                keys.append((await client.draw(256)).key)
            # Fields that should never be there, if somebody put them there all the same.
            log.note("mistake", secret=keys[0], raw=keys[0].reveal(), deep={"x": [keys[0]]})
            await asyncio.to_thread(log.close)
        content = path.read_bytes()
        assert len(entries(path)) == 6
        assert len(keys) == 26
        for key in keys:
            assert not any(form in content for form in forms(key.reveal()))
        assert b'"<bytes, 16 bytes>"' in content
        local = next(e for e in entries(path) if e.get("method") == "socket draw")
        assert (local["number"], local["bits"], len(local["key_ids"])) == (1, 256, 1)
        many = next(e for e in entries(path) if e.get("number") == 20)
        assert len(many["key_ids"]) == 16

    run(test)


def test_whoever_has_no_certificate_is_told_a_few_times_a_second(tmp_path: Path) -> None:
    now = [100.5]
    log = AuditLog(Journal(tmp_path / "j" / "log", max_bytes=1 << 20, kept=2), lambda: now[0])
    for _ in range(1000):
        log.turned_away(("::1", 9), "NO_CERTIFICATE")
    now[0] += 1
    log.turned_away(ADDRESS, "NO_CERTIFICATE")
    log.close()
    told = entries(tmp_path / "j" / "log")
    assert [each["peer"] for each in told] == ["[::1]:9"] * 10 + ["127.0.0.1:4711"]
    assert told[0] == {
        "at": "1970-01-01T00:01:40.500Z", "event": "turned away", "peer": "[::1]:9",
        "reason": "NO_CERTIFICATE",
    }  # fmt: skip


def test_a_connection_without_a_certificate_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with watched(tmp_path) as (kmes, log, path):
            host, port = kmes.addresses["a"]
            _, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            writer.close()
            await writer.wait_closed()
            while not (path.exists() and b"turned away" in path.read_bytes()):
                await asyncio.sleep(0.01)
            log.note("last")
            await asyncio.to_thread(log.close)

    run(test)


class Stuck(Journal):
    """Does not take anything before it may, or at all."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, max_bytes=1 << 30, kept=2)
        self.may = threading.Event()
        self.fails = False

    def append(self, lines: bytes, *, durable: bool = False) -> None:
        assert self.may.wait(PATIENCE_S)
        if self.fails:
            raise OSError(28, "No space left on device")
        super().append(lines, durable=durable)


def test_memory_is_bounded_and_what_was_not_kept_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1000)
    journal = Stuck(tmp_path / "j" / "log")
    log = AuditLog(journal)
    for _ in range(3000):
        log.answered(a_request())
    assert len(log._waiting) <= 1000
    journal.may.set()
    log.close()
    told = entries(tmp_path / "j" / "log")
    (lost,) = [each["count"] for each in told if each["event"] == "entries lost"]
    kept = sum(each["event"] == "keys delivered" for each in told)
    assert lost + kept == 3000
    assert lost > 1000


def test_a_full_disk_is_told_once_and_the_log_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(module.log, "warning", lambda event, **_: warnings.append(event))
    journal = Stuck(tmp_path / "j" / "log")
    journal.fails = True
    journal.may.set()
    log = AuditLog(journal)
    for _ in range(5):
        log.note("in vain")
        while log._waiting:
            time.sleep(0.005)
    while log._failed < 5:
        time.sleep(0.005)
    journal.fails = False
    log.note("again")
    log.close()
    told = entries(tmp_path / "j" / "log")
    assert [(each["event"], each.get("count")) for each in told] == [
        ("entries lost", 5), ("again", None),
    ]  # fmt: skip
    assert warnings == ["the audit log is not written"]


def test_there_is_no_log_where_none_is_wanted(tmp_path: Path) -> None:
    none = settings(tmp_path, enabled=False)
    assert open_audit(none, "a") is None
    record(none, "a", "backed up")
    assert not (tmp_path / "audit").exists()
    elsewhere = settings(tmp_path, dir=str(tmp_path / "elsewhere"))
    record(elsewhere, "b", "backed up", file="x")
    (entry,) = entries(tmp_path / "elsewhere" / "site-b.jsonl")
    assert (entry["event"], entry["file"], bool(entry["user"])) == ("backed up", "x", True)


def test_a_command_says_when_its_entry_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(BellwireError, match="backed up: done, but not written"):
        record(settings(tmp_path), "a", "backed up")


def test_certificates_are_told_by_name_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    state, out = ["--site", "a", "--state", str(tmp_path / "s")], str(tmp_path / "out")
    for line in (
        ["issue", "app-a", "--out", out],
        ["rotate", "app-a", "--out", out, "--revoke-old"],
        ["revoke", "app-a"],
        ["rotate", "--authority"],
    ):
        assert command(["keys", "ca", *line, *state]) == 0
    capsys.readouterr()
    told = entries(tmp_path / "s" / "audit" / "site-a.jsonl")
    assert [(each["event"], each.get("name")) for each in told] == [
        ("certificate issued", "app-a"),
        ("certificate issued", "app-a"),
        ("certificate revoked", "app-a"),
        ("certificate revoked", "app-a"),
        ("authority replaced", None),
    ]
    assert told[0]["serial"] == told[2]["serial"] != told[1]["serial"] == told[3]["serial"]
