"""The guard of small routers, run by BusyBox's shell and tools on the real kernel."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.guard.notices import OTHER, RELAY_ID, signed
from tests.guard.spaces import (
    ADDRESS,
    OTHER_PORT,
    PORT,
    RELAY,
    V4,
    V6,
    Spaces,
    echoed,
    passed_until,
    until,
)
from tests.guard.test_service import Liar, answer
from tests.guard.walls import run, wall
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority
from tests.web.doors import ALICE, Pair, doors
from tests.web.test_pages import GREEN, RED, change

from bellwire.base.private import write_whole
from bellwire.channel.places import Level
from bellwire.node.relay_places import open_places, told_places
from bellwire.node.settings_kme import KmeSettings
from bellwire.web.push import Document

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
    "mv",
    "rm",
    "sed",
    "sha256sum",
    "sort",
    "sync",
    "tail",
    "tr",
    "wc",
]
LEASE_S = 6
"""A round starts a dozen programs, which may take a busy machine more than the shortest lease."""
HURRIED = """#!/bin/busybox ash
case $1 in 1) set -- 0.1 ;; esac
exec busybox sleep "$@"
"""
"""A second between two questions is a tenth; how long one may take stays as it is."""


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of programs as a small router has them."""
    folder = tmp_path_factory.mktemp("bin")
    program = shutil.which("busybox")
    assert program is not None
    for name in APPLETS:
        (folder / name).symlink_to(program)
    (folder / "sleep").write_text(HURRIED.replace("/bin/busybox", program))
    (folder / "sleep").chmod(0o755)
    (folder / "busybox").symlink_to(program)
    wget = shutil.which("wget")
    assert wget is not None
    (folder / "wget").symlink_to(wget)
    return folder


@pytest.fixture(scope="module")
def pair(made: Spaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, Document]]:
    """A node's door on the router, and what it tells of a relay."""
    relay: Document = {}
    with doors(tmp_path_factory.mktemp("doors"), relay=lambda: relay) as found:
        yield found, relay


@pytest.fixture
def node(net: Spaces, pair: tuple[Pair, Document]) -> Pair:
    found, relay = pair
    found.views["a-b"] = GREEN
    relay.clear()
    return found


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
                "--places",
                str(log.parent / "places"),
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
        self.process.wait(PATIENCE_S)
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
            last = passed_until(net.reaches, "a guard that was killed lets pass for ever")
            assert last - struck < LEASE_S + 1.0  # which is counted in whole seconds
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
        liar = Liar(node, answer(WORDS[words]))
        async with liar.run() as url:
            script = guard(url=f"{url}/status")
            await asyncio.to_thread(until, lambda: liar.asked > 2, "it does not ask again")
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
    tls = node.clients.server("not-believed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        url = f"https://127.0.0.1:{server.getsockname()[1]}/status"
        script = guard("--ca", str(other.file), url=url)
        for _ in range(2):
            connection, _ = server.accept()
            asked = b""
            with (
                connection,
                contextlib.suppress(OSError),
                tls.wrap_socket(connection, server_side=True) as line,
            ):
                asked = line.recv(1)
            assert asked == b""
        assert not script.said("packets pass")()
        assert not net.reaches()


THERE = f"ws://{ADDRESS[V4][RELAY]}"
AWAY = f"ws://[{ADDRESS[V6][RELAY]}]:{PORT}"


@pytest.mark.parametrize("firewall", ["nft", "iptables-legacy"])
def test_it_follows_a_relay_as_its_node_verifies_where_that_is(
    net: Spaces,
    node: Pair,
    pair: tuple[Pair, Document],
    guard: Callable[..., Script],
    tmp_path: Path,
    firewall: str,
) -> None:
    notice = tmp_path / "notice"
    settings = KmeSettings(relay_places=str(notice), relay_id=RELAY_ID.hex(), relay_grace_s=0.0)
    follower = open_places(settings, tmp_path)

    def says(*data: bytes) -> None:
        for each in data:
            write_whole(notice, each, replace=True)
            asyncio.run(follower.ask())
        pair[1].update(told_places(follower))

    def heard() -> list[tuple[str, int]]:
        """Where the relay can be reached, of all places that there are."""
        families, ports = (("4", V4), ("6", V6)), (PORT, OTHER_PORT)
        return [(n, port) for n, family in families for port in ports if net.reaches(family, port)]

    with wall("nftables" if firewall == "nft" else firewall) as found:
        before = found.listed()
        says()
        script = guard("--firewall", firewall, "--follow")
        script.until("packets pass")
        assert ("4", PORT) in heard()
        says(signed(1, Level.PORT, f"{THERE}:{OTHER_PORT}"))
        script.until("level port, notice 1")
        assert heard() == [("4", OTHER_PORT), ("6", OTHER_PORT)]  # the last nobody guards
        says(signed(2, Level.ADDRESS, AWAY, key=OTHER), signed(3, Level.ADDRESS, AWAY))
        script.until("level address, notice 3")
        with net.connect(V6) as chat:
            assert heard() == [("6", PORT), ("6", OTHER_PORT)]
            pair[1]["sequence"] = 2
            script.until("an older notice")
            assert echoed(chat)
            script.process.kill()
            until(lambda: not echoed(chat), "a guard that was killed lets pass for ever")
        says()
        script = guard("--firewall", firewall, "--follow")
        script.until("were taken over")  # with what it knew of the relay
        script.until("packets pass")
        assert heard() == [("6", PORT), ("6", OTHER_PORT)]
        change(node, RED)
        script.until("packets are stopped: RED")
        says(signed(4, Level.PORT, f"{THERE}:{OTHER_PORT}"))
        script.until("level port, notice 4")
        assert heard() == [("6", OTHER_PORT)]
        change(node, GREEN)
        script.until("packets pass")
        says(signed(5, Level.LOCKDOWN))
        script.until("packets are stopped: the relay is in lockdown")
        assert heard() == [("6", OTHER_PORT)]
        says(signed(6, Level.HOME, f"{THERE}:{PORT}"))
        script.until("packets pass")
        assert ("4", PORT) in heard()
        pair[1].clear()
        script.until("packets are stopped: no level of the relay")
        script.process.send_signal(signal.SIGTERM)
        assert script.process.wait(PATIENCE_S) == 0
        if firewall == "nft":
            assert found.listed() == before
        assert "bellwire" not in run("ipset", "list", "-n")


def judged(text: bytes, *, now: float = 1000, last: float = 0, follow: str = "") -> str:
    given = [f"{name}={value}" for name, value in (("now", now), ("last", last), ("age", 3))]
    named = [word for each in (*given, f"follow={follow}") for word in ("-v", each)]
    done = subprocess.run(
        ["busybox", "awk", *named, "-f", PARSER],
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


SPOT = b'{"address":"10.0.0.2","port":9001}'
RELAY_TOLD = b'{"level":"port","sequence":3,"at_home":false,"open":[%b],"fenced":[]}' % SPOT


@pytest.mark.parametrize(
    ("before", "then", "says"),
    [
        (b"", b"", "good 1000.000000|level port|sequence 3|home no|open 4 10.0.0.2 9001"),
        (b'"port","seq', b'null,"seq', "none no level"),
        (b'"level":"port","sequence":3', b'"level":null,"sequence":0', "good 1000.000000|level ho"),
        (b'"port","seq', b'"up","seq', "none no level"),
        (b"false", b'"false"', "none no level"),
        (b":3", b":-3", "none no number"),
        (b":3", b":1e3", "none no number"),
        (b":3", b":1234567890123456789", "none no number"),
        (b'"fenced":[]', b'"fenced":{}', "none no places"),
        (SPOT, b",".join([SPOT] * 161), "none no places"),
        (SPOT, b"7", "none no place"),
        (b"9001", b"0", "none no place"),
        (b"9001", b"65536", "none no place"),
        (b"9001", b'"9001"', "none no place"),
        (b'"10.0.0.2"', b"null", "good 1000.000000|level port|sequence 3|home no|open _any - 9001"),
        (b"10.0.0.2", b"fd00::1", "good 1000.000000|level port|sequence 3|home no|open 6 fd00::1"),
        (b"10.0.0.2", b"10.0.0.256", "none no address"),
        (b"10.0.0.2", b"10.0.2", "none no address"),
        (b"10.0.0.2", b"10.0.0.2\\n", "none no address"),
        (b"10.0.0.2", b"1 } flush ruleset", "none no address"),
        (b"10.0.0.2", b"relay.example", "none no address"),
        (b'"10.0.0.2"', b"true", "none no address"),
    ],
)
def test_places_of_a_relay_are_read_and_what_is_none_stops_all(
    before: bytes, then: bytes, says: str
) -> None:
    relay = RELAY_TOLD.replace(before, then) if before else RELAY_TOLD
    text = b'{"at":1000,"links":{"a":%b},"relay":%b}' % (LINK, relay)
    assert judged(text, follow="yes").replace("\n", "|").startswith(says)
    assert judged(text) == "good 1000.000000"  # who does not follow does not look


def test_who_follows_stops_where_no_relay_is_told_of() -> None:
    for text in (b'{"at":1000,"links":{"a":%b}}' % LINK, b'{"status":"GREEN"}'):
        assert judged(text, follow="yes").startswith("none ")


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
        (("--follow", "--places", "/etc/passwd"), "expected where the relay is in /etc/passwd"),
        (("--follow", "--url", "https://x/", "--ca", "/etc/passwd"), "expected --cert and --key"),
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
        assert script.process.wait(PATIENCE_S) == 0
        until(lambda: script.is_alone, "what it started outlives it")
        assert "bellwire" not in found.listed().lower()
        assert not (script.log.parent / "kept").exists()
