"""The console is told how a guard is, whatever has become of it; the guard never waits for it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S
from tests.web.test_console import consoles

from bellwire.base.private import PathExposed
from bellwire.console.accounts import AccountBook, Role
from bellwire.guard import report
from bellwire.guard.errors import ReportUnusable
from bellwire.guard.override import Override
from bellwire.guard.report import Reporter, read_token
from bellwire.guard.state import State

ABOUT = {
    "firewall": "nftables",
    "lease_s": 3.0,
    "ports": [8765],
    "addresses": ["10.0.0.1/32"],
    "interfaces": ["eth0"],
}
STATE = State("stop", "RED " + "x" * 1000, 5.0)


def reporter(url: str, token: str = "token") -> Reporter:
    return Reporter(url, token, ssl.create_default_context(), about=ABOUT)


@contextlib.asynccontextmanager
async def telling(found: Reporter, states: list[State]) -> AsyncIterator[None]:
    """It tells the last of the states."""
    task = asyncio.create_task(found.run(lambda: states[-1]))
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_each_change_is_told_and_what_is_too_long_is_cut(tmp_path: Path) -> None:
    with consoles(tmp_path) as console:
        token = AccountBook(tmp_path / "console-a").add("g", Role.GUARD)

        async def seen(packets: str) -> dict[str, object]:
            while True:
                answer = await asyncio.to_thread(console.get, "boss@a", "/guards")
                guards: list[dict[str, object]] = answer.json()["guards"]
                if guards and guards[0]["packets"] == packets:
                    return guards[0]

        async def test() -> None:
            states, found = [STATE], reporter(console.urls["a"], token)
            async with telling(found, states):
                shown = await seen("stop")
                assert len(str(shown["reason"])) == report.MAX_REASON
                assert {name: shown[name] for name in ABOUT} == ABOUT
                endless = Override("pass", 0.0, float("inf"), "for ever")
                states.append(State("pass", "GREEN", 6.0, override=endless))
                found.tell(states[-1])
                shown = await seen("pass")
                assert shown["override"] == {"packets": "pass", "until": None, "reason": "for ever"}

        asyncio.run(test())


@pytest.mark.parametrize(
    "answer", [b"", b"\x00\xff", b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"]
)
def test_a_console_that_does_not_take_it_is_told_again_until_it_does(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(report, "EVERY_S", 0.05)
    monkeypatch.setattr(report, "APART_S", 0.01)
    good = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    asked = 0
    enough = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"authorization: Bearer token\r\n" in head
            writer.write(answer if asked < 3 else good)
            await writer.drain()
        writer.close()
        if asked == 4:
            enough.set()

    async def test() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with telling(reporter(f"http://127.0.0.1:{port}"), [STATE]):
                await enough.wait()

    asyncio.run(test())


def test_a_token_does_not_cross_a_network_in_the_clear() -> None:
    for url in ("http://192.0.2.1:8000", "http://console.example:8000", "http://[2001:db8::1]"):
        with pytest.raises(ReportUnusable, match="expected https"):
            reporter(url)
    for url in ("http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost", "https://x"):
        reporter(url)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 300])
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(ReportUnusable, match="--console-token"):
        read_token(path)


def test_a_token_is_read_from_a_file_of_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(ReportUnusable):
        read_token(path)
    path.touch(0o600)
    path.write_bytes(b"abc_-9\n")
    assert read_token(path) == "abc_-9"
    path.chmod(0o644)
    with pytest.raises(PathExposed):
        read_token(path)
