"""A guard between a real door and the real kernel: what becomes of a connection that lives."""

import asyncio
import contextlib
import gc
import json
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from tests.guard.spaces import OTHER_PORT, Spaces, echoed, until
from tests.guard.walls import run, wall
from tests.simulators.kme import Authority
from tests.web.doors import ALICE, STRANGER, Pair, doors
from tests.web.test_console import Consoles, consoles
from tests.web.test_pages import GREEN, RED, change

from bellwire.console.accounts import AccountBook, Role
from bellwire.guard.decision import Decision, Rules
from bellwire.guard.enforcer import NftEnforcer
from bellwire.guard.listener import Listener
from bellwire.guard.nft import Nft
from bellwire.guard.override import clear_override, read_override, set_override
from bellwire.guard.report import Reporter
from bellwire.guard.scope import Scope
from bellwire.guard.service import Guard, State

LEASE_S = 3.0
FAST = Rules(good=1)


@pytest.fixture
def node(net: Spaces, tmp_path: Path) -> Iterator[Pair]:
    """A node's door on the router, whose link is GREEN."""
    with doors(tmp_path / "doors") as pair:
        pair.views["a-b"] = GREEN
        yield pair


class Process:
    """`bellwire guard`, as an operator starts it."""

    def __init__(self, words: Sequence[str], folder: Path, under: tuple[str, ...] = ()) -> None:
        command = [
            *(*under, sys.executable, "-m", "bellwire", "guard", "--state", str(folder)),
            *("--print", "--with-parent", "--good", "1", *words),
        ]
        with (folder.parent / "guard.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self.ready = self._line()

    def _line(self) -> dict[str, Any]:
        said = self._out.readline()
        assert said, "the guard ended"
        found: dict[str, Any] = json.loads(said)
        return found

    @property
    def _out(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def until(self, packets: str) -> dict[str, Any]:
        while (state := self._line())["packets"] != packets:
            pass
        return state

    def end(self) -> int:
        self.process.terminate()
        self.process.communicate()
        return self.process.returncode


@pytest.fixture
def guard(node: Pair, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*more: str, under: tuple[str, ...] = ()) -> Process:
        certificate, key = node.clients.authority.issue(ALICE)
        host, port = node.a.address
        words = [
            *("--kme", f"https://{host}:{port}", "--cert", str(certificate), "--key", str(key)),
            *("--ca", str(node.clients.authority.file), *more),
        ]
        started.append(Process(words, tmp_path / "state", under))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def seen(console: Consoles) -> dict[str, Any]:
    """The guard, as an operator sees it at the console; nothing before its first word."""
    found: list[dict[str, Any]] = console.get("boss@a", "/guards").json()["guards"]
    return found[0] if found else {"packets": None}


def test_packets_follow_the_link_and_the_rules_go_with_the_guard(
    net: Spaces, nft: Nft, node: Pair, guard: Callable[..., Process], tmp_path: Path
) -> None:
    before = nft.read("list ruleset")
    with consoles(tmp_path / "consoles") as console:
        token = tmp_path / "token"
        token.touch(0o600)
        token.write_text(AccountBook(console.folder / "console-a").add("guard-1", Role.GUARD))
        process = guard("--console", console.urls["a"], "--console-token", str(token))
        _follows(net, node, process, console)
    assert net.reaches()  # nor does the console's end matter
    assert process.end() == 0
    assert net.reaches()
    assert nft.read("list ruleset") == before


def _follows(net: Spaces, node: Pair, process: Process, console: Consoles) -> None:
    assert process.ready["ports"] == [8765]
    process.until("pass")
    with net.connect() as chat, net.connect(port=OTHER_PORT) as other:
        assert echoed(chat)
        change(node, RED)
        state = process.until("stop")
        assert "RED" in state["reason"]
        assert not echoed(chat)
        assert echoed(other)
        until(lambda: seen(console).get("since") == state["since"], "the console is not told")
        told = seen(console)
        assert (told["name"], told["packets"]) == ("guard-1", "stop")
        assert told["reason"] == state["reason"]
        assert (told["firewall"], told["ports"], told["lease_s"]) == ("nftables", [8765], 3.0)
        until(lambda: seen(console)["blocked_packets"], "nor what was stopped")
        change(node, GREEN)
        process.until("pass")
        assert net.reaches()
    until(lambda: seen(console)["packets"] == "pass", "nor that they pass again")


@pytest.mark.parametrize("victim", ["guard", "node"])
def test_whoever_is_killed_nothing_passes_when_the_lease_is_over(
    net: Spaces, node: Pair, guard: Callable[..., Process], victim: str
) -> None:
    process = guard()
    process.until("pass")
    with net.connect() as chat:
        assert echoed(chat)
        if victim == "guard":
            process.process.kill()
        else:
            node.loop.wait(node.a.server.stop(0.0))
        struck = time.monotonic()
        until(lambda: not echoed(chat), "what is killed lets pass for ever")
        assert not net.reaches()
        assert time.monotonic() - struck < LEASE_S + 5.0  # and the time to see it


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_on_iptables_it_cuts_puts_its_rules_back_and_closes_when_it_is_killed(
    net: Spaces, node: Pair, guard: Callable[..., Process], kind: str
) -> None:
    with wall(f"iptables-{kind}"):
        process = guard("--firewall", f"iptables-{kind}", "--lease", "3")
        process.until("pass")
        with net.connect() as chat, net.connect(port=OTHER_PORT) as other:
            assert echoed(chat)
            run(f"iptables-{kind}", "-F")
            change(node, RED)
            assert process.until("stop")["reason"].startswith("a-b is RED")
            until(lambda: not echoed(chat), "rules that were flushed did not come back")
            assert echoed(other)
            change(node, GREEN)
            process.until("pass")
            assert net.reaches()
            if kind == "legacy":  # the lease of both is the same
                process.process.kill()
                until(lambda: not net.reaches(), "a guard that was killed lets pass for ever")
                assert echoed(other)


def test_a_guard_that_starts_again_takes_over_without_a_gap(
    net: Spaces, guard: Callable[..., Process]
) -> None:
    first = guard("--lease", "30")
    first.until("pass")
    with net.connect() as chat:
        assert echoed(chat)
        first.process.kill()
        first.process.communicate()
        second = guard("--lease", "30")
        assert echoed(chat)
        second.until("pass")
        assert echoed(chat)


def test_two_guards_do_not_disturb_each_other(
    net: Spaces, node: Pair, guard: Callable[..., Process]
) -> None:
    first, second = guard(), guard()
    first.until("pass")
    second.until("pass")
    with net.connect() as chat:
        assert echoed(chat)
        change(node, RED)
        first.until("stop")
        assert not echoed(chat)
        change(node, GREEN)
        first.until("pass")
    assert second.end() == 0  # its rules go, the first puts them back
    change(node, RED)
    first.until("stop")
    until(lambda: not net.reaches(), "the rules did not come back")


def test_one_capability_is_enough(net: Spaces, node: Pair, guard: Callable[..., Process]) -> None:
    words = ("--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin")
    process = guard(under=("setpriv", *words))
    process.until("pass")
    assert net.reaches()
    change(node, RED)
    process.until("stop")
    assert not net.reaches()
    assert process.end() == 0


@pytest.mark.parametrize("firewall", ["nftables", "iptables-legacy"])
def test_without_rights_it_says_so(node: Pair, tmp_path: Path, firewall: str) -> None:
    certificate, key = node.clients.authority.issue(ALICE)
    done = subprocess.run(
        [
            *("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"),
            *(sys.executable, "-m", "bellwire", "guard", "--kme", "https://127.0.0.1:1"),
            *("--cert", str(certificate), "--key", str(key), "--state", str(tmp_path / "s")),
            *("--ca", str(node.clients.authority.file), "--firewall", firewall),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "CAP_NET_ADMIN" in done.stderr


# In this process, where time and the node are the test's


class Running:
    """A guard in the loop of the test."""

    def __init__(self, node: Pair, folder: Path, *, name: str = ALICE, rules: Rules = FAST) -> None:
        host, port = node.a.address
        self.states: list[State] = []
        self.firewall = Nft()
        self.guard = Guard(
            NftEnforcer(self.firewall, Scope()),
            Decision(rules),
            Listener(f"https://{host}:{port}", node.clients.context(name)),
            lease_s=rules.lease_s,
            override=lambda: read_override(folder, time.time()),
            clock=time.time,
            told=self.states.append,
        )

    @contextlib.asynccontextmanager
    async def run(self) -> Any:
        self.guard.begin()
        task = asyncio.create_task(self.guard.run())
        try:
            async with asyncio.timeout(30):
                yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.guard.end(remove=True)
            self.firewall.close()
            with warnings.catch_warnings():
                # httpcore closes a connection whose TLS handshake fails, but leaves one whose
                # handshake is cancelled, as here, to the garbage collector.
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()

    async def until(self, condition: Callable[[State], object]) -> State:
        while not condition(self.guard.state):
            await asyncio.sleep(0.01)
        return self.guard.state


def passing(state: State) -> bool:
    return state.packets == "pass"


async def passes(net: Spaces) -> bool:
    return await asyncio.to_thread(net.reaches)


def test_a_console_that_hangs_has_no_effect_on_what_passes(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            reporter = Reporter(url, "token", ssl.create_default_context(), about={})
            async with Running(node, tmp_path / "o").run() as running:
                telling = asyncio.create_task(reporter.run(lambda: running.guard.state))
                await running.until(passing)
                change(node, RED)
                await running.until(lambda state: not passing(state))
                assert not await passes(net)
                assert not telling.done()
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)

    asyncio.run(test())


@pytest.mark.parametrize(
    "damage", ["flush ruleset", "delete table inet bellwire_guard", "flush chain inet {} forward"]
)
def test_rules_that_somebody_takes_away_are_back_at_once_with_the_lease(
    net: Spaces, nft: Nft, node: Pair, tmp_path: Path, damage: str
) -> None:
    async def test() -> None:
        async with Running(node, tmp_path / "o").run() as running:
            await running.until(passing)
            # By another process: one's own changes a guard does not look at.
            program = "import sys; from bellwire.guard.nft import Nft; Nft().run(sys.argv[1])"
            command = [sys.executable, "-c", program, damage.format("bellwire_guard")]
            await asyncio.to_thread(subprocess.run, command, check=True)
            await running.until(lambda state: state.restored == 1)
            assert "chain forward" in nft.read("list table inet bellwire_guard")
            assert await passes(net)
            change(node, RED)
            await running.until(lambda state: not passing(state))
            assert not await passes(net)

    asyncio.run(test())


def test_a_link_that_flaps_never_passes_more_than_it_may(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    async def test() -> None:
        async with Running(node, tmp_path / "o", rules=Rules(good=3)).run() as running:
            for view in (GREEN, RED) * 10:
                change(node, view)
                await asyncio.sleep(0.02)
            assert not any(passing(state) for state in running.states)
            assert not await passes(net)

    asyncio.run(test())


def test_an_override_counts_for_its_time_and_no_longer(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    folder = tmp_path / "o"

    async def test() -> None:
        async with Running(node, folder).run() as running:
            await running.until(passing)
            set_override(folder, "stop", seconds=60, reason="works", now=time.time())
            state = await running.until(lambda state: not passing(state))
            assert state.reason == "an operator's override: works"
            assert not await passes(net)
            change(node, RED)
            set_override(folder, "pass", seconds=60, reason="must go on", now=time.time())
            await running.until(passing)
            assert await passes(net)
            set_override(folder, "pass", seconds=0.5, reason="must go on", now=time.time())
            await running.until(lambda state: state.override is None and not passing(state))
            assert not await passes(net)
            change(node, GREEN)
            await running.until(passing)
            (folder / "override.json").write_text("{}")
            await running.until(lambda state: not passing(state))
            assert clear_override(folder)
            await running.until(passing)

    asyncio.run(test())


def test_a_node_that_refuses_us_or_is_another_gives_no_leave(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "site-of-others")
    foreign = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    foreign.load_verify_locations(other.file)
    foreign.load_cert_chain(*other.issue(ALICE))

    async def test() -> None:
        stranger = Running(node, tmp_path / "o", name=STRANGER)
        misled = Running(node, tmp_path / "o")
        host, port = node.a.address
        misled.guard._listener = Listener(f"https://{host}:{port}", foreign)
        for running in (stranger, misled):
            async with running.run():
                await asyncio.sleep(0.5)
                assert not running.states
                assert not await passes(net)

    asyncio.run(test())


class Liar:
    """A server with a certificate that is believed, and words of its own."""

    def __init__(self, node: Pair, words: bytes, **certificate: Any) -> None:
        chain, key = node.clients.authority.issue("liar", **certificate)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(chain, key)
        self._words = words
        self.asked = 0

    @contextlib.asynccontextmanager
    async def run(self) -> Any:
        talks: set[asyncio.Task[Any]] = set()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked += 1
            current = asyncio.current_task()
            assert current is not None
            talks.add(current)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/status/ws" in head:
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                else:
                    writer.write(self._words)
                await writer.drain()
                await reader.read()
            writer.transport.abort()

        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=self._tls)
        try:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for each in talks:
                each.cancel()
            await asyncio.gather(*talks)
            await asyncio.sleep(0)  # a transport that was aborted closes in the loop's next round


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize(
    "words",
    [
        answer(b"GREEN"),
        answer(b'{"at": 1, "links": {"link": {"status": "GREEN"}}}'),
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + b" " * (2 << 20),
        b"HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1/\r\ncontent-length: 0\r\n\r\n",
        b"\x00" * 100,
        b"",
    ],
    ids=["no JSON", "no status", "endless", "elsewhere", "no HTTP", "silence"],
)
def test_a_server_that_answers_garbage_or_nothing_gives_no_leave(
    net: Spaces, node: Pair, tmp_path: Path, words: bytes
) -> None:
    async def test() -> None:
        liar = Liar(node, words)
        async with liar.run() as url:
            running = Running(node, tmp_path / "o")
            running.guard._listener = Listener(url, node.clients.context(ALICE))
            async with running.run():
                while liar.asked < 2:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                assert not any(passing(state) for state in running.states)

    asyncio.run(test())


def green() -> bytes:
    """What a node says whose link is well, a second from now."""
    link = {"status": "GREEN", "keys_may_flow": True, "stale": False, "reason": "", "qber": 0.01}
    return json.dumps({"at": time.time() + 1, "links": {"link": link}}).encode()


@pytest.mark.parametrize(
    "certificate", [{"days": -1.0}, {"host": "127.0.0.2"}], ids=["expired", "of another address"]
)
def test_a_server_whose_certificate_does_not_hold_gives_no_leave(
    net: Spaces, node: Pair, tmp_path: Path, certificate: dict[str, Any]
) -> None:
    async def test() -> None:
        async with Liar(node, answer(green()), **certificate).run() as url:
            running = Running(node, tmp_path / "o")
            running.guard._listener = Listener(url, node.clients.context(ALICE))
            async with running.run():
                await asyncio.sleep(0.5)
                assert not any(passing(state) for state in running.states)

    asyncio.run(test())


def test_a_node_without_a_socket_is_asked_every_second(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    body = green()

    async def test() -> None:
        async with Liar(node, answer(body)).run() as url:
            running = Running(node, tmp_path / "o")
            running.guard._listener = Listener(url, node.clients.context(ALICE))
            async with running.run():
                assert (await running.until(passing)).qber == 0.01

    asyncio.run(test())
