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
from tests.guard.notices import RELAY_ID, signed
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
from tests.guard.walls import run, wall
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority
from tests.web.doors import ALICE, STRANGER, Pair, doors
from tests.web.scraping import scraped
from tests.web.test_console import Consoles, consoles
from tests.web.test_pages import GREEN, RED, change

from bellwire.base.private import write_whole
from bellwire.channel.places import Level
from bellwire.cli.main import run as main
from bellwire.console.accounts import AccountBook, Role
from bellwire.guard.decision import Decision, Rules
from bellwire.guard.enforcer import NftEnforcer
from bellwire.guard.following import Follower
from bellwire.guard.listener import Listener
from bellwire.guard.nft import Nft
from bellwire.guard.notices import FileSource
from bellwire.guard.override import clear_override, new_override, read_override, set_override
from bellwire.guard.report import Reporter
from bellwire.guard.scope import Scope
from bellwire.guard.service import Guard
from bellwire.guard.state import Packets, State

SHORT_S = 4.0
"""Several words of a node, that are a second apart."""
LONG_S = 60.0
FAST = Rules(good=1, lease_s=LONG_S)
"""A lease that no busy machine lets run out, for tests that look at something else."""


@pytest.fixture(scope="module")
def pair(made: Spaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A node's door on the router."""
    with doors(tmp_path_factory.mktemp("doors")) as found:
        yield found


@pytest.fixture
def node(net: Spaces, pair: Pair) -> Pair:
    """The same, whose link is GREEN."""
    pair.views["a-b"] = GREEN
    return pair


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

    def start(*more: str, under: tuple[str, ...] = (), node: Pair = node) -> Process:
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
        watched = ("--console", console.urls["a"], "--console-token", str(token))
        process = guard(*watched, "--lease", "30")
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
        assert (told["firewall"], told["ports"], told["lease_s"]) == ("nftables", [8765], 30.0)
        until(lambda: seen(console)["blocked_packets"], "nor what was stopped")
        change(node, GREEN)
        process.until("pass")
        assert net.reaches()
    until(lambda: seen(console)["packets"] == "pass", "nor that they pass again")


@pytest.mark.parametrize("victim", ["guard", "node"])
def test_whoever_is_killed_nothing_passes_when_the_lease_is_over(
    net: Spaces, guard: Callable[..., Process], tmp_path: Path, victim: str
) -> None:
    with doors(tmp_path / "doors") as node:
        node.views["a-b"] = GREEN
        _ends_with(victim, net, node, guard("--lease", str(SHORT_S), node=node))


def _ends_with(victim: str, net: Spaces, node: Pair, process: Process) -> None:
    process.until("pass")
    with net.connect() as chat:
        assert echoed(chat)
        if victim == "guard":
            process.process.kill()
        else:
            node.loop.wait(node.a.server.stop(0.0))
        struck = time.monotonic()
        last = passed_until(lambda: echoed(chat), "what is killed lets pass for ever")
        assert not net.reaches()
        assert last - struck < SHORT_S + 5.0  # and the time a guard may need to hear it


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_on_iptables_it_cuts_puts_its_rules_back_and_closes_when_it_is_killed(
    net: Spaces, node: Pair, guard: Callable[..., Process], kind: str
) -> None:
    with wall(f"iptables-{kind}"):
        process = guard("--firewall", f"iptables-{kind}", "--lease", "6")
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
        # One that lives puts its rules back while the wall takes them away.
        process.process.kill()
        process.process.wait()


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
    first, second = guard("--lease", "30"), guard("--lease", "30")
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
    process = guard("--lease", "30", under=("setpriv", *words))
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

    def __init__(
        self,
        node: Pair,
        folder: Path,
        *,
        name: str = ALICE,
        rules: Rules = FAST,
        moves: Follower | None = None,
    ) -> None:
        host, port = node.a.address
        self.states: list[State] = []
        self.done: list[tuple[str, str]] = []
        self.firewall = Nft()
        self.guard = Guard(
            NftEnforcer(self.firewall, Scope() if moves is None else moves.scope()),
            Decision(rules),
            Listener(f"https://{host}:{port}", node.clients.context(name)),
            lease_s=rules.lease_s,
            override=lambda: read_override(folder, time.time()),
            clock=time.time,
            told=self.states.append,
            did=lambda what, why: self.done.append((what, why)),
            moves=moves,
        )

    @contextlib.asynccontextmanager
    async def run(self, *, remove: bool = True) -> Any:
        self.guard.begin()
        task = asyncio.create_task(self.guard.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if remove:
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


def decide(folder: Path, packets: Packets, seconds: float, reason: str) -> None:
    now = time.time()
    set_override(folder, new_override(packets, seconds=seconds, reason=reason, now=now))


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
        async with Running(
            node, tmp_path / "o", rules=Rules(good=3, lease_s=LONG_S)
        ).run() as running:
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
            decide(folder, "stop", 60, "works")
            state = await running.until(lambda state: not passing(state))
            assert state.reason == "an operator's override: works"
            assert not await passes(net)
            change(node, RED)
            decide(folder, "pass", 60, "must go on")
            await running.until(passing)
            assert await passes(net)
            decide(folder, "pass", 0.5, "must go on")
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


# A relay that moves

THERE = f"ws://{ADDRESS[V4][RELAY]}"
NEW_PORT, NEW_ADDRESS = f"{THERE}:{OTHER_PORT}", f"ws://[{ADDRESS[V6][RELAY]}]:{PORT}"


class Moved:
    """A relay's notices, in a file that guards read."""

    def __init__(self, folder: Path, grace_s: float = 0.0) -> None:
        self._file, self._folder, self._grace_s = folder / "notice", folder / "o", grace_s

    def follower(self, kept: str = "one") -> Follower:
        return Follower(
            Scope(),
            RELAY_ID,
            self._folder / kept,
            FileSource(self._file),
            grace_s=self._grace_s,
            clock=time.time,
        )

    def says(self, data: bytes) -> None:
        write_whole(self._file, data, replace=True)


async def reaches(net: Spaces, family: socket.AddressFamily = V4, port: int = PORT) -> bool:
    return await asyncio.to_thread(net.reaches, family, port)


def at(level: str | None) -> Callable[[State], bool]:
    return lambda state: state.followed is not None and state.followed.level == level


def test_packets_follow_the_relay_from_step_to_step_and_home(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    relay = Moved(tmp_path)

    async def test() -> None:
        async with Running(node, tmp_path / "o", moves=relay.follower()).run() as running:
            await running.until(passing)
            assert await reaches(net)
            relay.says(signed(1, Level.PORT, NEW_PORT))
            await running.until(at("port"))
            assert not await reaches(net)
            assert await reaches(net, port=OTHER_PORT)
            assert await reaches(net, V6, OTHER_PORT)  # which nobody guards
            relay.says(signed(2, Level.ADDRESS, NEW_ADDRESS))
            await running.until(at("address"))
            assert [await reaches(net, V4, each) for each in (PORT, OTHER_PORT)] == [False, False]
            assert await reaches(net, V6)
            relay.says(signed(3, Level.LOCKDOWN))
            state = await running.until(at("lockdown"))
            assert (state.packets, state.reason) == ("stop", "the relay is in lockdown")
            decide(tmp_path / "o", "pass", 60, "though it is locked")
            await running.until(lambda state: state.override is not None)
            await asyncio.sleep(0.3)  # some ticks
            assert not passing(running.guard.state)
            assert [await reaches(net, each) for each in ADDRESS] == [False, False]
            assert clear_override(tmp_path / "o")
            relay.says(signed(4, Level.HOME, f"{THERE}:{PORT}"))
            await running.until(at("home"))
            await running.until(passing)
            assert await reaches(net)
            change(node, RED)
            await running.until(lambda state: not passing(state))
            relay.says(signed(5, Level.PORT, NEW_PORT))
            await running.until(at("port"))  # a move while the link is RED
            assert not await reaches(net)
            assert not await reaches(net, port=OTHER_PORT)
            change(node, GREEN)
            await running.until(passing)
            assert await reaches(net, port=OTHER_PORT)
            moves = [why for what, why in running.done if what == "move"]
            assert [each.split(":")[0] for each in moves] == [
                *("level port", "level address", "level lockdown", "level home", "level port")
            ]

    asyncio.run(test())


def test_the_old_place_keeps_its_lease_for_the_grace(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    relay = Moved(tmp_path, grace_s=1.0)

    async def test() -> None:
        async with Running(node, tmp_path / "o", moves=relay.follower()).run() as running:
            await running.until(passing)
            with net.connect() as chat:
                relay.says(signed(1, Level.PORT, NEW_PORT))
                await running.until(at("port"))
                assert await asyncio.to_thread(echoed, chat)
                gone = asyncio.to_thread(until, lambda: not echoed(chat), "it is never fenced")
                await gone
                assert await reaches(net, port=OTHER_PORT)

    asyncio.run(test())


def test_a_guard_that_died_comes_back_where_the_relay_is_and_takes_the_lease_over(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    relay = Moved(tmp_path)

    async def test() -> None:
        first = Running(node, tmp_path / "o", moves=relay.follower())
        async with first.run(remove=False) as running:
            await running.until(passing)
            relay.says(signed(1, Level.PORT, NEW_PORT))
            await running.until(at("port"))
        with net.connect(port=OTHER_PORT) as chat:
            later = Running(node, tmp_path / "o", moves=relay.follower())
            async with later.run() as running:
                assert await asyncio.to_thread(echoed, chat)
                await running.until(passing)
                assert await asyncio.to_thread(echoed, chat)
                assert not await reaches(net)

    asyncio.run(test())


def test_two_guards_of_one_relay_come_to_rest_after_a_move(
    net: Spaces, node: Pair, tmp_path: Path
) -> None:
    relay = Moved(tmp_path)

    async def test() -> None:
        one = Running(node, tmp_path / "o", moves=relay.follower("one"))
        two = Running(node, tmp_path / "o", moves=relay.follower("two"))
        async with one.run(), two.run():
            await one.until(passing)
            await two.until(passing)
            relay.says(signed(1, Level.PORT, NEW_PORT))
            await one.until(at("port"))
            await two.until(at("port"))
            await one.until(passing)
            await two.until(passing)
            assert await reaches(net, port=OTHER_PORT)
            assert not await reaches(net)

    asyncio.run(test())


def test_a_guard_of_the_command_line_follows_says_so_and_lists_what_was_done(
    net: Spaces, guard: Callable[..., Process], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relay = Moved(tmp_path)
    relay.says(signed(1, Level.PORT, NEW_PORT))
    pinned = RELAY_ID.hex()
    words = ("--places", str(tmp_path / "notice"), "--relay-id", pinned, "--grace", "0")
    process = guard(*words, "--metrics", "0", "--lease", "30")
    assert (process.ready["relay_id"], process.ready["grace_s"]) == (pinned, 0.0)
    told = process.until("pass")["relay"]
    assert told == {"level": "port", "places": [NEW_PORT], "sequence": 1, "problem": ""}
    assert net.reaches(port=OTHER_PORT)
    assert not net.reaches()
    figures = scraped(process.ready["metrics"])
    assert (figures["bellwire_guard_passing"], figures["bellwire_guard_relay_level"]) == (1, 1)
    assert figures["bellwire_guard_acts_total pass"] == 1
    state = ("--state", str(tmp_path / "state"))
    why = "works on the fibre"
    assert main(["guard", "override", "stop", "--reason", why, *state]) == 0
    assert process.until("stop")["override"] is not None
    (tmp_path / "state" / "guard" / "override.json").write_text("{}")
    while (line := process.until("stop"))["override"] is not None:
        pass
    assert "expected an override in" in line["reason"]
    assert not net.reaches(port=OTHER_PORT)
    assert main(["guard", "override", "none", *state]) == 0
    process.until("pass")
    assert process.end() == 0
    capsys.readouterr()
    assert main(["guard", "log", "--json", *state]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [each["number"] for each in entries] == list(range(1, len(entries) + 1))
    (decided,) = [each for each in entries if each["what"] == "override stop"]
    assert (decided["why"], decided["until"] - decided["at"]) == (why, 600.0)
    assert decided["who"] not in {"", "guard"}
    done = [each["what"] for each in entries]
    assert done[0] == "begin"
    assert done[-1] == "end"
    assert {"move", "pass", "stop", "override none"} <= set(done)
    assert main(["guard", "log", "--after", str(len(done) - 1), *state]) == 0
    assert capsys.readouterr().out.split()[-5:] == ["end", "the", "rules", "are", "gone"]


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
