"""What a guard makes of a relay's notices: what is open, what is fenced, and what is refused."""

import asyncio
import contextlib
import os
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guard.notices import KEY, OTHER, RELAY_ID, notice, signed
from tests.patience import PATIENCE_S

from bellwire.base.private import PathExposed
from bellwire.channel.places import MAX_PLACES, Level, Notice, Place
from bellwire.cli.main import run as main
from bellwire.guard import notices as sources
from bellwire.guard.errors import PlacesAbsent, PlacesUnusable
from bellwire.guard.following import MAX_LEFT, Followed, Follower, Kept, after, spots
from bellwire.guard.notices import FileSource, WebSource, source_of
from bellwire.guard.scope import MAX_SPOTS, Scope, Spot, Spots

NOW, GRACE_S = 1_800_000_000.0, 5.0
HOME, NEAR, FAR = "ws://10.0.0.2:8765", "ws://10.0.0.2:9001", "ws://10.0.0.3:8765"
NAMED = "wss://relay-2.example.org:443"


def spot(url: str) -> Spot:
    place = Place.of_url(url)
    return Spot(ip_address(place.host), place.port)


def told(*steps: tuple[Level, tuple[str, ...], float]) -> Kept:
    """What is kept after moves at these times."""
    kept = None
    for number, (level, urls, at) in enumerate(steps, 1):
        kept = after(kept, notice(number, level, *urls, at=at), now=at, grace_s=GRACE_S)
    assert kept is not None
    return kept


def shown(kept: Kept | None, at: float) -> tuple[set[Spot], set[Spot], bool]:
    found = spots(kept, now=at, grace_s=GRACE_S)
    return set(found.open), set(found.fenced), found.at_home


def test_without_a_notice_what_was_configured_is_the_relays_home() -> None:
    assert spots(None, now=NOW, grace_s=GRACE_S) == Spots()


def test_the_old_place_passes_for_the_grace_and_is_then_fenced() -> None:
    kept = told((Level.PORT, (NEAR,), NOW))
    assert shown(kept, NOW + 4.9) == ({spot(NEAR)}, set(), True)
    assert shown(kept, NOW + 5.0) == ({spot(NEAR)}, set(), False)
    kept = told((Level.PORT, (NEAR,), NOW), (Level.ADDRESS, (FAR,), NOW + 60))
    assert shown(kept, NOW + 64) == ({spot(NEAR), spot(FAR)}, set(), False)
    assert shown(kept, NOW + 65) == ({spot(FAR)}, {spot(NEAR)}, False)


def test_a_clock_that_is_set_back_makes_no_grace_longer() -> None:
    kept = told((Level.PORT, (NEAR,), NOW), (Level.ADDRESS, (FAR,), NOW + 60))
    assert shown(kept, NOW + 59) == ({spot(FAR)}, {spot(NEAR)}, False)


def test_who_moves_twice_within_the_grace_keeps_both_old_places_for_it() -> None:
    kept = told((Level.PORT, (NEAR,), NOW), (Level.ADDRESS, (FAR,), NOW + 2))
    assert shown(kept, NOW + 6) == ({spot(NEAR), spot(FAR)}, set(), True)
    assert shown(kept, NOW + 7) == ({spot(FAR)}, {spot(NEAR)}, False)


def test_a_lockdown_fences_all_that_was_at_once() -> None:
    kept = told((Level.PORT, (NEAR,), NOW), (Level.LOCKDOWN, (), NOW + 1))
    assert shown(kept, NOW + 1) == (set(), {spot(NEAR)}, False)


def test_home_takes_every_step_back() -> None:
    kept = told(
        (Level.PORT, (NEAR,), NOW),
        (Level.LOCKDOWN, (), NOW + 60),
        (Level.ADDRESS, (FAR,), NOW + 120),
        (Level.HOME, (HOME,), NOW + 180),
    )
    assert shown(kept, NOW + 181) == ({spot(HOME), spot(FAR)}, set(), True)
    assert shown(kept, NOW + 190) == ({spot(HOME)}, set(), True)


def test_a_place_that_is_taken_again_is_no_longer_fenced() -> None:
    kept = told(
        (Level.PORT, (NEAR,), NOW),
        (Level.ADDRESS, (FAR,), NOW + 60),
        (Level.PORT, (NEAR,), NOW + 120),
    )
    assert shown(kept, NOW + 130) == ({spot(NEAR)}, {spot(FAR)}, False)


def test_a_fresh_notice_of_the_same_places_begins_no_grace() -> None:
    kept = told((Level.PORT, (NEAR,), NOW), (Level.PORT, (NEAR,), NOW + 60))
    assert (kept.sequence, kept.moved_at) == (2, NOW)
    assert shown(kept, NOW + 61) == ({spot(NEAR)}, set(), False)


def test_a_place_with_a_name_is_guarded_at_any_address() -> None:
    kept = told((Level.ADDRESS, (NAMED,), NOW))
    assert shown(kept, NOW + 60) == ({Spot(None, 443)}, set(), False)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Level),
            st.lists(st.integers(1, 65535), min_size=1, max_size=MAX_PLACES, unique=True),
            st.floats(0.0, 20.0),
        ),
        max_size=20,
    )
)
def test_what_is_open_is_where_the_relay_is_or_was_within_the_grace(
    steps: list[tuple[Level, list[int], float]],
) -> None:
    kept, now, before = None, NOW, set[Spot]()
    for number, (level, ports, pause_s) in enumerate(steps, 1):
        now += pause_s
        urls = [] if level is Level.LOCKDOWN else [f"ws://10.0.0.2:{each}" for each in ports]
        was, left = before, {spot(each) for each in kept.places} if kept else set[Spot]()
        kept = after(kept, notice(number, level, *urls, at=now), now=now, grace_s=GRACE_S)
        opened, fenced, at_home = shown(kept, now)
        there = {spot(each) for each in urls}
        assert there <= opened
        assert opened <= there | was
        assert not opened & fenced
        assert len(opened | fenced) <= MAX_SPOTS
        if level is Level.LOCKDOWN:
            assert not opened
            assert not at_home
        later = shown(kept, now + GRACE_S)
        assert later[0] == there
        assert later[2] is (level is Level.HOME)
        # Each place that was left is fenced, as long as there are no more than are kept.
        if level is Level.HOME:
            assert not later[1]
        elif len(kept.left) < MAX_LEFT:
            assert left - there <= later[1]
        before = opened


class Relay:
    """A follower, its clock, and the file that it reads."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.folder, self.file = folder / "guard", folder / "notice"

    def follower(self, source: sources.Source | None = None) -> Follower:
        return Follower(
            Scope(),
            RELAY_ID,
            self.folder,
            source or FileSource(self.file),
            grace_s=GRACE_S,
            clock=lambda: self.now,
        )

    def says(self, data: bytes) -> None:
        self.file.write_bytes(data)


@pytest.fixture
def relay(tmp_path: Path) -> Relay:
    return Relay(tmp_path)


def asked(follower: Follower) -> Followed:
    asyncio.run(follower.ask())
    return follower.followed()


def test_a_notice_is_kept_before_it_is_followed_and_holds_after_a_crash(relay: Relay) -> None:
    follower = relay.follower()
    assert asked(follower) == Followed(None, (), 0, "")
    relay.says(signed(3, Level.PORT, NEAR, at=NOW))
    assert asked(follower) == Followed("port", (NEAR,), 3, "")
    relay.now += 60
    again = relay.follower()  # that has asked nobody yet
    assert again.scope() == follower.scope()
    assert again.followed() == Followed("port", (NEAR,), 3, "")
    found = again.scope().spots
    assert found is not None
    assert (set(found.open), found.at_home) == ({spot(NEAR)}, False)


def damaged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


BAD = {
    "forged": (signed(9, Level.PORT, FAR, at=NOW, key=OTHER), "another's"),
    "altered": (damaged(signed(9, Level.PORT, FAR, at=NOW)), "signatures"),
    "replayed": (signed(4, Level.PORT, FAR, at=NOW), "or a later one"),
    "expired": (signed(9, Level.PORT, FAR, at=NOW - 7200), "counted until"),
    "of the future": (signed(9, Level.PORT, FAR, at=NOW + 7200), "counts from"),
    "garbage": (b"GREEN", "bytes"),
    "endless": (b"\x00" * (1 << 20), "expected a notice of up to"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_source_that_lies_changes_nothing_and_is_told(relay: Relay, kind: str) -> None:
    relay.says(signed(5, Level.PORT, NEAR, at=NOW))
    follower = relay.follower()
    asked(follower)
    scope = follower.scope()
    data, problem = BAD[kind]
    relay.says(data)
    found = asked(follower)
    assert (found.level, found.places, found.sequence) == ("port", (NEAR,), 5)
    assert problem in found.problem
    assert follower.scope() == scope == relay.follower().scope()
    relay.now += 1
    assert asked(follower) == found  # nor is it told again each time
    relay.says(signed(6, Level.PORT, NEAR, at=NOW))
    assert asked(follower).problem == ""


def test_a_source_that_is_no_file_or_gone_is_told(relay: Relay) -> None:
    relay.says(signed(5, Level.PORT, NEAR, at=NOW))
    follower = relay.follower()
    asked(follower)
    relay.file.unlink()
    assert asked(follower).problem == "the notice that was there is gone"
    os.mkfifo(relay.file)  # which nobody ever writes to
    assert "expected a plain file" in asked(follower).problem
    relay.file.unlink()
    relay.file.mkdir()
    assert "expected a plain file" in asked(follower).problem
    assert follower.followed().places == (NEAR,)


def test_a_notice_that_has_expired_holds_and_is_told(relay: Relay) -> None:
    relay.says(signed(5, Level.LOCKDOWN, at=NOW, life_s=60))
    follower = relay.follower()
    assert asked(follower).problem == ""
    relay.now += 61
    found = asked(relay.follower())
    assert "counted until" in found.problem
    assert "counted until" in asked(follower).problem
    assert follower.followed().is_locked


def test_what_cannot_be_kept_is_not_followed(relay: Relay) -> None:
    relay.folder.mkdir(mode=0o755)
    relay.folder.chmod(0o755)
    relay.says(signed(5, Level.PORT, NEAR, at=NOW))
    follower = relay.follower()
    assert "open to its owner alone" in asked(follower).problem
    assert follower.scope() == Scope(spots=Spots())


@pytest.mark.parametrize("kept", [b"", b"{}", b'{"sequence": 0}', b"\xff", b"[" * 100_000])
def test_what_was_kept_and_is_none_is_said(relay: Relay, kept: bytes) -> None:
    relay.folder.mkdir(mode=0o700)
    file = relay.folder / f"relay-{RELAY_ID.hex()[:16]}.json"
    file.touch(0o600)
    file.write_bytes(kept)
    with pytest.raises(PlacesUnusable, match="expected where a relay is"):
        relay.follower()
    file.chmod(0o644)
    with pytest.raises(PathExposed):
        relay.follower()


def test_another_relays_notices_are_kept_apart(relay: Relay) -> None:
    relay.says(signed(5, Level.PORT, NEAR, at=NOW))
    asked(relay.follower())
    other = Follower(
        Scope(),
        OTHER.public.fingerprint,
        relay.folder,
        FileSource(relay.file),
        grace_s=GRACE_S,
        clock=lambda: NOW,
    )
    assert other.scope().spots == Spots()
    assert "another's" in asked(other).problem


class Server:
    """A web server of one answer; None: it never answers."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self._busy: set[asyncio.Task[None]] = set()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            if self._answer is not None:
                writer.write(self._answer)
                await writer.drain()
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(self, path: str = "/notice") -> bytes | None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            return await WebSource(f"http://127.0.0.1:{port}{path}").ask()
        finally:
            server.close()
            await asyncio.gather(*self._busy)


def answered(answer: bytes | None) -> bytes | None:
    async def test() -> bytes | None:
        async with asyncio.timeout(PATIENCE_S):
            return await Server(answer).ask()

    return asyncio.run(test())


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "WITHIN_S", PATIENCE_S)
    monkeypatch.setattr(sources, "_HANDSHAKE_S", PATIENCE_S)


def test_a_server_hands_the_notice_out_or_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)
    data = signed(5, Level.PORT, NEAR, at=NOW)
    assert answered(http(data)) == data
    assert answered(http(b"", "404 Not Found")) is None


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (http(b"", "500 Oh"), "answers 500"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n", "302"),
        (http(b"x" * 20_000), "up to"),
        (b"\x00" * 100, "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf", "no answer in time|ReadTimeout"),
        (None, "no answer in time|ReadTimeout"),
    ],
    ids=["error", "elsewhere", "endless", "no HTTP", "half", "silence"],
)
def test_a_server_that_lies_or_hangs_is_told(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None, problem: str
) -> None:
    be_patient(monkeypatch)
    if "in time" in problem:
        monkeypatch.setattr(sources, "_HANDSHAKE_S", 0.1)
    with pytest.raises(PlacesAbsent, match=problem):
        answered(answer)


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(PlacesAbsent, match="ConnectError"):
        asyncio.run(WebSource(f"http://127.0.0.1:{port}/").ask())


@pytest.mark.parametrize(
    "text", ["ftp://a/b", "https://", "https://u@h/", "http://h:99999/", "https://h/\n"]
)
def test_a_source_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(PlacesUnusable, match="--places"):
        source_of(text)


def test_notices_are_signed_by_whom_the_tests_say() -> None:
    assert KEY.public.fingerprint == RELAY_ID
    assert isinstance(notice(1, Level.PORT, NEAR), Notice)


@pytest.mark.parametrize(
    ("firewall", "opened", "fenced"),
    [
        ("nftables", "set open4 ", "add element inet bellwire_guard spots4 { 10.0.0.2 . 9001"),
        ("iptables-legacy", "add -exist bellwire_open4", "add bellwire_spots4_new 10.0.0.2,udp:"),
    ],
)
def test_a_dry_run_shows_where_the_relay_is_and_keeps_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], firewall: str, opened: str, fenced: str
) -> None:
    (tmp_path / "notice").write_bytes(signed(5, Level.PORT, NEAR))
    line = ["guard", "--dry-run", "--state", str(tmp_path / "s"), "--firewall", firewall]
    followed = ["--places", str(tmp_path / "notice"), "--relay-id", RELAY_ID.hex()]
    assert main([*line, *followed]) == 0
    shown = capsys.readouterr().out
    assert opened in shown
    assert fenced in shown
    assert not (tmp_path / "s" / "guard").exists()
    assert main(line) == 0
    assert "spots4" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--relay-id", "00" * 32], "expected --places with --relay-id"),
        (["--places", "notice"], "--relay-id: expected 64 hexadecimal digits, got none"),
        (["--places", "notice", "--relay-id", "xyz"], "got 'xyz'"),
        (["--places", "ftp://h/n", "--relay-id", "00" * 32], "--places: expected a file, or a URL"),
    ],
)
def test_a_relay_that_cannot_be_followed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["guard", "--dry-run", "--state", str(tmp_path / "s"), *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
