"""The guard of small routers, run by BusyBox's shell and tools on the real kernel."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.guard.spaces import OTHER_PORT, Spaces, echoed, until
from tests.guard.test_service import Liar, answer
from tests.guard.walls import run, wall
from tests.simulators.kme import Authority
from tests.web.doors import ALICE, Pair, doors
from tests.web.test_pages import GREEN, RED, change

ROUTER = Path(__file__).resolve().parents[2] / "deploy" / "openwrt"
SCRIPT, PARSER = ROUTER / "bellwire-guard", ROUTER / "bellwire-status.awk"
APPLETS = [
    "awk",
    "cat",
    "cut",
    "date",
    "grep",
    "head",
    "kill",
    "mkfifo",
    "mktemp",
    "rm",
    "sed",
    "sha256sum",
    "sleep",
    "tail",
    "tr",
    "wc",
]
LEASE_S = 3


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of programs as a small router has them."""
    folder = tmp_path_factory.mktemp("bin")
    program = shutil.which("busybox")
    assert program is not None
    for name in APPLETS:
        (folder / name).symlink_to(program)
    wget = shutil.which("wget")
    assert wget is not None
    (folder / "wget").symlink_to(wget)
    return folder


@pytest.fixture
def node(net: Spaces, tmp_path: Path) -> Iterator[Pair]:
    with doors(tmp_path / "doors") as pair:
        pair.views["a-b"] = GREEN
        yield pair


class Script:
    """The script at work, and what it says."""

    def __init__(self, busybox: Path, url: str, node: Pair, log: Path, *more: str) -> None:
        self.log = log
        self._heard = 0
        certificate, key = node.clients.authority.issue(ALICE)
        line = [
            *("busybox", "ash", str(SCRIPT), "--url", url, "--status", str(PARSER)),
            *("--ca", str(node.clients.authority.file), "--cert", str(certificate)),
            *(
                "--keep",
                str(log.parent / "kept"),
                "--key",
                str(key),
                "--good",
                "1",
                "--lease",
                str(LEASE_S),
                *more,
            ),
        ]
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                line,
                stderr=said,
                env={"PATH": f"{busybox}:/usr/sbin:/sbin"},
                executable=shutil.which("busybox"),
                start_new_session=True,
            )

    def said(self, words: str) -> Callable[[], bool]:
        return lambda: words in self.log.read_text()

    def until(self, words: str) -> None:
        """Wait until it says this, after what was waited for before."""

        def heard() -> bool:
            place = self.log.read_text().find(words, self._heard)
            self._heard = place + len(words) if place >= 0 else self._heard
            return place >= 0

        try:
            until(heard, "")
        except AssertionError:
            raise AssertionError(f"never said: {words}; but {self.log.read_text()}") from None

    @property
    def is_alone(self) -> bool:
        """Whether nothing that it started runs any more."""
        return not [pid for pid in of_group(self.process.pid) if pid != self.process.pid]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10.0)
        with contextlib.suppress(ProcessLookupError):  # what one that was killed left behind
            os.killpg(self.process.pid, signal.SIGKILL)


def of_group(group: int) -> list[int]:
    """The processes of a group, but for those that have ended."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = place.read_text().partition(" ")
            state, _, of, *_ = rest.rpartition(")")[2].split()
            if int(of) == group and state != "Z":
                found.append(int(pid))
    return found


@pytest.fixture
def guard(busybox: Path, node: Pair, tmp_path: Path) -> Iterator[Callable[..., Script]]:
    started: list[Script] = []

    def start(*more: str, url: str = "") -> Script:
        host, port = node.a.address
        log = tmp_path / f"{len(started)}.log"
        found = Script(busybox, url or f"https://{host}:{port}/status", node, log, *more)
        started.append(found)
        return found

    yield start
    for each in started:
        each.end()


@pytest.mark.parametrize("firewall", ["nft", "iptables-legacy"])
def test_packets_follow_the_link_and_stop_when_it_is_killed(
    net: Spaces, node: Pair, guard: Callable[..., Script], firewall: str
) -> None:
    with wall("nftables" if firewall == "nft" else firewall) as found:
        before = found.listed()
        script = guard("--firewall", firewall)
        script.until("packets pass")
        with net.connect() as chat, net.connect(port=OTHER_PORT) as other:
            assert echoed(chat)
            change(node, RED)
            script.until("packets are stopped: RED")
            assert not echoed(chat)
            assert echoed(other)
            change(node, GREEN)
            script.until("packets pass")
            assert net.reaches()
            # As `fw4 stop`, or a reload of an older firewall.
            if firewall == "nft":
                run("nft", "flush", "ruleset")
            else:
                run(firewall, "-F")
            script.until("they were put back")
            until(net.reaches, "its lease did not go on")
            script.process.kill()
            struck = time.monotonic()
            until(lambda: not net.reaches(), "a guard that was killed lets pass for ever")
            assert time.monotonic() - struck < LEASE_S + 5.0  # and the time to see it
            until(lambda: script.is_alone, "what it started outlives it")
            later = guard("--firewall", firewall)
            later.until("were taken over")
            later.until("packets pass")
            later.end()
            assert net.reaches()
            assert echoed(other)
        if firewall == "nft":  # iptables leaves the empty chains of the system behind
            assert found.listed() == before


WORDS = {  # what else is no status, its parser is asked below
    "garbage": b"GREEN",
    "too long": b'{"status": "GREEN", "more": "' + b"x" * 100_000 + b'"}',
}


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_a_server_that_lies_gives_no_leave(
    net: Spaces, node: Pair, guard: Callable[..., Script], words: str
) -> None:
    async def test() -> None:
        async with Liar(node, answer(WORDS[words])).run() as url:
            script = guard(url=f"{url}/status")
            await asyncio.to_thread(script.until, "guarding port")
            await asyncio.sleep(1.5)
            assert not script.said("packets pass")()
            assert not await asyncio.to_thread(net.reaches)

    asyncio.run(test())


ENDLESS = b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"


def test_a_server_that_hangs_or_trickles_lets_the_lease_run_out(
    net: Spaces, node: Pair, guard: Callable[..., Script]
) -> None:
    asked = talking = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked, talking
        asked, talking = asked + 1, talking + 1
        first = asked == 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(b'{"status": "GREEN"}') if first else ENDLESS)
            while not first:  # a byte now and then, for ever
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.1)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            talking -= 1

    async def test() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=node.clients.server("slow"))
        async with server:
            script = guard(
                url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/link_status"
            )
            await asyncio.to_thread(script.until, "packets pass")
            await asyncio.to_thread(until, lambda: not net.reaches(), "the lease went on")
            await asyncio.to_thread(until, lambda: asked > 2, "it does not ask again")
            await asyncio.to_thread(script.end)
            await asyncio.to_thread(until, lambda: talking == 0, "it still listens")
            await asyncio.sleep(0)  # a transport that was aborted closes in the loop's next round
            await asyncio.sleep(0.05)  # transports close a turn later

    asyncio.run(test())


def test_a_foreign_certificate_gives_no_leave(
    net: Spaces, node: Pair, guard: Callable[..., Script], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "site-of-others")
    script = guard("--ca", str(other.file))
    script.until("guarding port")
    time.sleep(1.5)
    assert not script.said("packets pass")()
    assert not net.reaches()


def judged(text: bytes, *, now: float = 1000, last: float = 0) -> str:
    done = subprocess.run(
        ["busybox", "awk", "-v", f"now={now}", "-v", f"last={last}", "-v", "age=3", "-f", PARSER],
        input=text,
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    return done.stdout.decode().strip()


LINK = b'{"status":"GREEN","keys_may_flow":true,"stale":false,"reason":"a \\"b\\" {","qber":2e-2}'


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b'{"at":1000.25,"links":{"a-b":%b}}' % LINK, "good 1000.250000"),
        (b'\n{ "links" :\t{ "a-b" : %b\r\n, "c" : %b } , "at" : 1.0e3 }\n' % (LINK, LINK), "good"),
        (b'{"\\u0061t":1000,"links":{"a":%b}}' % LINK, "good"),
        (b'{"at":1000,"links":{"a":%b}}' % LINK.replace(b"GREEN", b"YELLOW"), "good"),
        (b'{"at":1000,"links":{"a":%b}}' % LINK.replace(b"GREEN", b"RED"), "bad RED"),
        (b'{"at":1000,"links":{"a":%b}}' % LINK.replace(b"GREEN", b"R\\u0045D"), "bad RED"),
        (b'{"at":1000,"links":{"a":%b}}' % LINK.replace(b"GREEN", b"BLUE"), "none"),
        (b'{"at":1000,"links":{"a":%b}}' % LINK.replace(b"true", b"false"), "bad no keys"),
        (b'{"at":1000,"links":{"a":%b}}' % LINK.replace(b"true", b'"true"'), "none"),
        (b'{"at":1000,"links":{"a":%b}}' % LINK.replace(b'stale":false', b'stale":true'), "bad"),
        (b'{"at":1000,"links":{"a":%b,"a":%b}}' % (LINK, LINK), "none"),
        (b'{"at":1000,"links":{}}', "none"),
        (b'{"at":996,"links":{"a":%b}}' % LINK, "none not of now"),
        (b'{"at":1004,"links":{"a":%b}}' % LINK, "none not of now"),
        (b'{"at":"1000","links":{"a":%b}}' % LINK, "none no time"),
        (b'{"status" : "GREEN", "qber": null, "history": [0.1, [], {"status": "RED"}]}', "good 0"),
        (b'{"reason": "\\"status\\": \\"GREEN\\"", "status": "RED"}', "bad RED"),
        (b'{"status":"RED","status":"GREEN"}', "none"),
        (b'{"x":{"status":"GREEN"}}', "none"),
        (b'["status","GREEN"]', "none"),
        (b'{"status":"GREEN"', "none"),
        (b'{"status":"GREEN"}}', "none"),
        (b'{"status":"GREEN",}', "none"),
        (b"{'status':'GREEN'}", "none"),
        (b'{"status":"GRE\nEN"}', "none"),
        (b'{"status":"GREEN","n":01}', "none"),
        (b'{"status":"GREEN","n":+1}', "none"),
        (b'{"status":"GREEN","n":nul}', "none"),
        (b'{"status":"GREEN","n":"\\x"}', "none"),
        (b'{"status":"GREEN","n":%b}' % (b"[" * 1000), "none"),
        (b'{"sta\\u001ctus":"GREEN"}', "none"),
        (b"\xff\xfe", "none"),
        (b"", "none"),
    ],
)
def test_json_is_read_whatever_its_spacing_and_what_is_none_is_no_status(
    text: bytes, word: str
) -> None:
    assert judged(text).startswith(word)


def test_a_word_that_was_said_before_is_none() -> None:
    text = b'{"at":1000.25,"links":{"a-b":%b}}' % LINK
    assert judged(text, last=1000.25) == "none said before"
    assert judged(text, last=1000.249999).startswith("good")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--port", "0"), "--port: expected 1 to 65535"),
        (("--port", "1;reboot"), "--port: expected ports"),
        (("--port", ","), "--port: expected at least one"),
        (("--lease", "1"), "--lease: expected 2 to 60"),
        (("--lease", "99999999999999999999"), "--lease: expected a whole number"),
        (("--firewall", "pf"), "--firewall: expected nft"),
        (("--url", "http://x/"), "--url: expected https"),
        (("--on-exit",), "expected a value"),
        (("--port", "1", "--what", "x"), "there is no option --what"),
    ],
)
def test_wrong_options_are_named_and_nothing_is_done(words: tuple[str, ...], says: str) -> None:
    line = ["busybox", "ash", str(SCRIPT), *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr


def test_without_ipset_it_refuses(tmp_path: Path) -> None:
    for name in ("grep", "tr", "cat", "sed"):
        (tmp_path / name).symlink_to(shutil.which("busybox") or "")
    done = subprocess.run(
        ["ash", str(SCRIPT), "--firewall", "iptables"],
        executable=shutil.which("busybox"),
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "expected the program ipset" in done.stderr) == (2, True), done.stderr


def test_the_shell_takes_the_service_file() -> None:
    for file in (SCRIPT, ROUTER / "bellwire-guard.init"):
        run("busybox", "ash", "-n", str(file))


@pytest.mark.parametrize("firewall", ["nft", "iptables-nft"])
def test_a_signal_ends_it_with_nothing_left(
    net: Spaces, node: Pair, guard: Callable[..., Script], firewall: str
) -> None:
    with wall("nftables" if firewall == "nft" else firewall) as found:
        script = guard("--firewall", firewall)
        script.until("packets pass")
        script.process.send_signal(signal.SIGTERM)
        assert script.process.wait(10.0) == 0
        until(lambda: script.is_alone, "what it started outlives it")
        assert "bellwire" not in found.listed().lower()
        assert not (script.log.parent / "kept").exists()
