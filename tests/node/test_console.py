"""A console is put together from its settings, or says why it cannot be."""

import asyncio
import json
import ssl
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority

from bellwire.base.errors import BellwireError, RefusedError, UsageError
from bellwire.base.lock import held
from bellwire.base.private import PathExposed
from bellwire.console.accounts import console_folder
from bellwire.etsi014.errors import CredentialsUnusable
from bellwire.node.console import ConsoleOptions, _finder, run_console
from bellwire.node.settings import load
from bellwire.services.place import Place
from bellwire.services.prepare import prepare


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "up").mkdir(mode=0o700)
    settings = load(None, {"state": {"dir": tmp_path}})
    prepare(settings, Place(tmp_path))
    return tmp_path


class ReadyError(Exception):
    """It runs."""


def told(state: Path, host: str = "127.0.0.1", **console: object) -> dict[str, object]:
    """What a console of site a says when it is ready; it is stopped then."""
    settings = load(None, {"state": {"dir": state}, "console": console})
    options = ConsoleOptions("a", (host, 0), "https://127.0.0.1:1", None, with_parent=False)
    found: dict[str, object] = {}

    def ready(document: dict[str, object]) -> None:
        found.update(document)
        raise ReadyError

    async def work() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await run_console(settings, options, ready)

    with pytest.raises(ReadyError):
        asyncio.run(work())
    return found


def test_a_console_says_where_it_listens_and_writes_it_down(state: Path) -> None:
    found = told(state)
    assert (found["service"], found["site"], found["lab"]) == ("console", "a", False)
    url = str(found["url"])
    assert url.startswith("http://127.0.0.1:")
    settings = load(None, {"state": {"dir": state}})
    assert _finder(settings, "b")() == url
    assert _finder(settings, "a")() is None
    named = load(None, {"state": {"dir": state}, "console": {"peer": "https://b.example/"}})
    assert _finder(named, "a")() == "https://b.example"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "bellwire.example"])
def test_without_tls_a_console_listens_on_this_machine_alone(state: Path, host: str) -> None:
    with pytest.raises(RefusedError, match="this machine alone"):
        told(state, host)


def test_with_a_certificate_a_console_speaks_tls(state: Path) -> None:
    certificate, key = Authority(state, "web").issue("a.example")
    found = told(state, certificate=certificate, key=key)
    assert str(found["url"]).startswith("https://127.0.0.1:")
    key.chmod(0o644)
    with pytest.raises(PathExposed):
        told(state, certificate=certificate, key=key)
    key.chmod(0o600)
    key.write_text("nonsense")
    with pytest.raises(UsageError, match="certificate"):
        told(state, certificate=certificate, key=key)
    key.unlink()
    with pytest.raises(UsageError, match="no file"):
        told(state, certificate=certificate, key=key)


def test_settings_that_cannot_be_meant_are_refused(state: Path) -> None:
    for console in ({"certificate": "x.pem"}, {"peer": "ftp://x"}, {"peer": "b.example"}):
        with pytest.raises(BellwireError, match="console"):
            load(None, {"console": console})
    with pytest.raises(UsageError, match="peer_authority"):
        told(state, peer_authority=state / "none.pem")


def test_one_console_at_a_time_has_a_folder(state: Path) -> None:
    with held(console_folder(state, "a") / "lock"), pytest.raises(UsageError, match="no console"):
        told(state)


def test_a_console_without_its_certificate_does_not_start(state: Path) -> None:
    (state / "saes" / "console-a" / "console-a.key").unlink()
    with pytest.raises(CredentialsUnusable, match="console-a"):
        told(state)


def test_a_console_over_tls_answers_and_shows_its_certificate(state: Path) -> None:
    authority = Authority(state, "web")
    certificate, key = authority.issue("a.example")
    settings = load(
        None, {"state": {"dir": state}, "console": {"certificate": certificate, "key": key}}
    )
    options = ConsoleOptions("a", ("127.0.0.1", 0), "https://127.0.0.1:1", None, with_parent=False)

    async def work() -> None:
        ready: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(run_console(settings, options, ready.set_result))
        async with asyncio.timeout(PATIENCE_S):
            url = str((await ready)["url"])
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(authority.file)
            port = int(url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(b"GET /link_status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")  # nobody is the key server
        assert "key server" in json.loads(body)["message"]

    asyncio.run(work())
