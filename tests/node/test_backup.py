"""Backup, restore and fence of a site: what comes back, what does not, whatever interrupts it."""

import asyncio
import contextlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.keys.faults import Crash
from tests.keys.stores import add_ready, pool_of, serve, take
from tests.node.nodes import two_nodes
from tests.patience import PATIENCE_S

from bellwire.base import private
from bellwire.base.detections import Side
from bellwire.base.errors import UsageError
from bellwire.cli.main import run
from bellwire.keys.errors import NotEnoughKey, PreplacedKeyInvalid, StoreBusy
from bellwire.keys.requests import Take
from bellwire.keys.store import KeyStore
from bellwire.link.timetags.events import Position
from bellwire.link.timetags.source import Uses
from bellwire.node import restore as restoring
from bellwire.node.archive import pack, unpack
from bellwire.node.assemble import node_folder, open_store
from bellwire.node.errors import BackupUnusable
from bellwire.node.first_contact import new_authentication_key
from bellwire.node.identity import load_or_create_identity
from bellwire.node.operator import operator_server
from bellwire.node.restore import restore
from bellwire.pki.authority import Authority, authority_folder
from bellwire.pki.registry import Registry


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@dataclass(frozen=True)
class Site:
    """Site a with a history, and the key that its store was first opened with."""

    state: Path
    key: bytes
    certificate: bytes
    fingerprint: bytes

    @property
    def folder(self) -> Path:
        return node_folder(self.state, "a")


def said(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert run([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert run([*map(str, words)]) == 2
    return capsys.readouterr().err


def place(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def new_key(tmp_path: Path) -> bytes:
    path = tmp_path / "fresh.key"
    new_authentication_key(path)
    content = path.read_bytes()
    path.unlink()
    return content


def start(state: Path, tmp_path: Path, key: bytes | None = None) -> KeyStore:
    """The store as node a opens it at its start."""
    file = None if key is None else place(tmp_path / "a.key", key)
    return open_store(node_folder(state, "a"), Side.ALICE, file)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    key = new_key(tmp_path)
    with closing(start(state, tmp_path, key)) as store:
        add_ready(store, 1, 20_000)
        grants = store.grants()
        grants.load()
        grants.agree(grants.propose("app-a", ("app-b",)).number)
        serve(pool_of(store), Take(1, 2, 256, "app-a"))
    identity = load_or_create_identity(node_folder(state, "a")).public_bytes
    authority = Authority(authority_folder(state, "a"), "a")
    authority.create()
    issued = authority.issue("app-a")
    authority.rotate()
    authority.issue("app-c")
    (state / "profiles").mkdir(mode=0o700)
    place(state / "profiles" / "app-a.toml", b'kme = "https://127.0.0.1:8441"\n')
    place(state / "profiles" / ".draft", b"no profile")
    found = Registry(authority_folder(state, "a"))
    assert found.saes() == {"app-a", "app-c"}
    der = private.read_own_file(authority_folder(state, "a") / "index.jsonl", 1 << 20)
    assert der is not None
    return Site(state, key, issued.certificate, identity)


def test_a_backup_has_what_may_come_back_and_nothing_of_the_store_s_secrets(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path / "mine.toml", b"[log]\nlevel = 'debug'\n")
    out = tmp_path / "a.tar"
    done = said(
        capsys, "keys", "backup", out, "--state", site.state, "--config", tmp_path / "mine.toml"
    )
    with tarfile.open(out) as archive:
        names = archive.getnames()
    assert names[0] == "backup.json"
    assert done["files"] == sorted(names[1:])
    assert done["sites"] == ["a"]
    assert set(names[1:]) == {
        "node-a/history.json", "node-a/identity.seed", "node-a/identity.pub", "node-a/used-keys",
        "ca-a/index.jsonl", "ca-a/authority-1.crt", "ca-a/authority-2.crt", "ca-a/authority-2.key",
        "ca-a/authority-2-vouched.crt", "profiles/app-a.toml", "bellwire.toml",
    }  # fmt: skip
    assert out.stat().st_mode & 0o777 == 0o600
    content = out.read_bytes()
    with closing(start(site.state, tmp_path)) as store:
        bits = take(pool_of(store), 8192).keys.reveal()
        with store._database.transaction() as cursor:
            rows = [
                *cursor.execute("SELECT sealed FROM segments").fetchall(),
                *cursor.execute("SELECT sealed FROM pad_sets").fetchall(),
                *cursor.execute("SELECT fixed_keys FROM store").fetchall(),
            ]
    assert len(rows) > 200
    for secret in (bits[:16], site.key[:16], site.key[64:80], *(row[0][:16] for row in rows)):
        assert secret not in content
    for path in site.folder.glob("ke*"):  # the data key, and what opens it
        assert path.read_bytes()[:32] not in content or path.name == "keys.sqlite"


def test_a_restored_site_has_its_people_and_counts_and_no_key(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, state = tmp_path / "a.tar", tmp_path / "restored"
    said(capsys, "keys", "backup", out, "--state", site.state)
    done = said(capsys, "keys", "restore", out, "--state", state)
    assert done["sites"] == ["a"]
    assert run(["keys", "restore", str(out), "--state", str(tmp_path / "told")]) == 0
    assert "bellwire keys fence at the other site" in " ".join(capsys.readouterr().out.split())
    assert not (state / "restoring").exists()
    assert load_or_create_identity(node_folder(state, "a")).public_bytes == site.fingerprint
    assert Registry(authority_folder(state, "a")).saes() == {"app-a", "app-c"}
    assert Authority(authority_folder(state, "a"), "a").issue("app-d")
    assert (state / "profiles" / "app-a.toml").exists()
    with pytest.raises(UsageError, match="no authentication key yet"):
        start(state, tmp_path)
    with pytest.raises(PreplacedKeyInvalid, match="its pads are used"):
        start(state, tmp_path, site.key)
    with closing(start(state, tmp_path, new_key(tmp_path))) as store:
        assert not (node_folder(state, "a") / "history.json").exists()
        grants = store.grants()
        grants.load()
        assert [(g.master, keys, bits) for g, keys, bits in grants.totals()] == [("app-a", 2, 512)]
        assert grants.find("app-a", ("app-b",)).agreed is False  # type: ignore[union-attr]
        with pytest.raises(NotEnoughKey):
            take(pool_of(store))
        assert store.last_block() == 0


def test_a_restored_site_that_never_started_can_be_backed_up_again(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, state = tmp_path / "1.tar", tmp_path / "2.tar", tmp_path / "restored"
    said(capsys, "keys", "backup", one, "--state", site.state)
    said(capsys, "keys", "restore", one, "--state", state)
    said(capsys, "keys", "backup", two, "--state", state)
    assert unpack(two.read_bytes())[1] == unpack(one.read_bytes())[1]


def test_a_store_beside_a_restored_history_is_voided_before_anything_leaves(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, state = tmp_path / "a.tar", tmp_path / "restored"
    said(capsys, "keys", "backup", out, "--state", site.state)
    said(capsys, "keys", "restore", out, "--state", state)
    for path in site.folder.glob("ke*"):  # store, data key and what opens it, by hand
        shutil.copy2(path, node_folder(state, "a") / path.name)
    with pytest.raises(UsageError, match="no authentication key yet"):
        start(state, tmp_path)
    with closing(start(state, tmp_path, new_key(tmp_path))) as store:
        assert pool_of(store).free_bits == 0
        with pytest.raises(NotEnoughKey):
            take(pool_of(store))


def everything(state: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(state)): path.read_bytes()
        for path in sorted(state.rglob("*"))
        if path.is_file()
    }


def crash_at(monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> Callable[[], bool]:
    """The process ends at the n-th thing that a restore does to the disk; whether it came to it."""
    left = [at]

    def armed(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Crash
            done = real(*args, **kwargs)
            if left[0] == 0:
                raise Crash
            return done

        return step

    for module, name in (
        (restoring, "own_folder"), (restoring, "write_whole"), (restoring, "sync_folder"),
        (shutil, "rmtree"), (Path, "rename"), (Path, "unlink"), (Path, "rmdir"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, armed(getattr(module, name)))
    return lambda: left[0] <= 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_restore_that_is_interrupted_anywhere_is_finished_by_the_same_call(
    site: Site,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
) -> None:
    out = tmp_path / "a.tar"
    said(capsys, "keys", "backup", out, "--state", site.state)
    restore(out, tmp_path / "whole")
    expected = everything(tmp_path / "whole")
    crashes = 0
    for at in range(1, 200):
        state = tmp_path / f"at{at}"
        with monkeypatch.context() as patch:
            hit = crash_at(patch, at, after=after)
            with contextlib.suppress(Crash):
                restore(out, state)
            if not hit():
                break
        crashes += 1
        if not (state / "restoring").exists() and everything(state):
            assert everything(state) == expected  # all was done but the last sync
            continue
        restore(out, state)
        assert everything(state) == expected
    assert crashes > 25


def test_nothing_that_is_there_gives_way_to_a_restore(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.tar"
    said(capsys, "keys", "backup", out, "--state", site.state)
    before = everything(site.state)
    told = refused(capsys, "keys", "restore", out, "--state", site.state)
    assert "without ca-a, node-a, profiles" in told
    assert everything(site.state) == before
    assert "expected no file at" in refused(capsys, "keys", "backup", out, "--state", site.state)
    told = refused(capsys, "keys", "backup", tmp_path / "b.tar", "--state", tmp_path / "empty")
    assert "got neither" in told


def spoilt(archive: bytes) -> Iterator[tuple[str, bytes]]:
    about, files = unpack(archive)
    again = {"made_at": about.made_at, "sites": about.sites}

    def packed(files: dict[str, bytes]) -> bytes:
        return pack(files, made_at=about.made_at, sites=about.sites)

    yield "no archive", b"nothing of the kind"
    yield "empty", b""
    yield "cut short", archive[: len(archive) // 2]
    at = archive.index(files["ca-a/authority-2.crt"])
    yield "altered", archive[: at + 40] + b"X" + archive[at + 41 :]
    yield "another name", packed(files | {"../escaped": b"x"})
    yield "an absolute name", packed(files | {"/etc/passwd": b"x"})
    yield "a name of ours elsewhere", packed(files | {"node-a/keys.sqlite": b"x"})
    yield "no history", packed(files | {"node-a/history.json": b"[]"})
    yield "another version", _with_about(files, {**again, "version": 2, "files": {}})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        link = tarfile.TarInfo("node-a/identity.seed")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
    yield "a link", out.getvalue()
    yield "twice", archive[: len(archive) - 10_240] + archive


def _with_about(files: dict[str, bytes], about: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in {"backup.json": json.dumps(about).encode(), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def test_what_is_no_whole_backup_is_refused_and_nothing_is_made(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, state = tmp_path / "a.tar", tmp_path / "restored"
    said(capsys, "keys", "backup", out, "--state", site.state)
    bad = tmp_path / "bad.tar"
    seen = 0
    for what, content in spoilt(out.read_bytes()):
        place(bad, content)
        with pytest.raises(UsageError) as caught:
            restore(bad, state)
        assert isinstance(caught.value, BackupUnusable) or what == "no history", what
        assert not state.exists(), what
        seen += 1
    assert seen == 11
    with pytest.raises(BackupUnusable, match="got no file"):
        restore(tmp_path / "nothing", state)
    bad.chmod(0o644)
    with pytest.raises(private.PathExposed):  # whoever wrote it decides who gets keys
        restore(bad, state)


def test_sites_of_a_network_come_back_with_who_they_are_and_without_a_store(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = site.state / "network-north_1"
    folder.mkdir(mode=0o700)
    identity = load_or_create_identity(folder).public_bytes
    for name in ("keys.sqlite", "meetings.sealed"):
        place(folder / name, b"what must not come back")
    Authority(authority_folder(site.state, "north_1"), "north_1").create()
    (site.state / "network-no site").mkdir()
    out, state = tmp_path / "a.tar", tmp_path / "restored"
    said(capsys, "keys", "backup", out, "--state", site.state)
    said(capsys, "keys", "restore", out, "--state", state)
    assert load_or_create_identity(state / "network-north_1").public_bytes == identity
    assert sorted(path.name for path in (state / "network-north_1").iterdir()) == [
        "identity.pub", "identity.seed",
    ]  # fmt: skip
    assert Authority(authority_folder(state, "north_1"), "north_1").issue("app-n")
    assert not (state / "network-no site").exists()


def test_a_fence_takes_all_keys_and_the_next_one_must_be_new(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["keys", "fence", "--site", "a", "--state", site.state]
    assert "were not" in refused(capsys, *line)
    with closing(start(site.state, tmp_path)) as store:
        assert pool_of(store).free_bits > 0
        assert run([*map(str, line), "--yes"]) == 1  # the node runs
        assert "only user" in capsys.readouterr().err
    epoch = said(capsys, *line, "--yes")["epoch"]
    assert said(capsys, *line, "--yes")["epoch"] == epoch + 1
    assert (site.folder / "fenced").exists()
    with pytest.raises(UsageError, match="no authentication key yet"):
        start(site.state, tmp_path)
    with pytest.raises(PreplacedKeyInvalid, match="its pads are used"):
        start(site.state, tmp_path, site.key)
    with closing(start(site.state, tmp_path, new_key(tmp_path))) as store:
        assert not (site.folder / "fenced").exists()
        assert pool_of(store).free_bits == 0
        add_ready(store, 1, 20_000)
        take(pool_of(store))


def test_a_fence_of_nothing_is_a_sentence(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in (
        ([], "expected --site a or --site b"),
        (["--site", "b", "--yes", "--state", site.state], "expected a node's store in"),
    ):
        assert told in refused(capsys, "keys", "fence", *words)
    site.folder.rename(site.state / "node-b")
    assert run(["keys", "fence", "--site", "b", "--yes", "--state", str(site.state)]) == 3
    assert "expected the store of bob, got that of alice" in capsys.readouterr().err


def test_tags_of_a_recording_are_not_used_again_after_a_restore(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Uses(site.folder / "tags.json").burn("a recording", Position())
    out, state = tmp_path / "a.tar", tmp_path / "restored"
    said(capsys, "keys", "backup", out, "--state", site.state)
    said(capsys, "keys", "restore", out, "--state", state)
    uses = Uses(node_folder(state, "a") / "tags.json")
    for recording in ("a recording", "another"):
        with pytest.raises(private.PathUnusable, match="restored from a backup"):
            uses.position(recording)


def test_a_running_node_is_backed_up_through_its_socket(tmp_path: Path) -> None:
    async def test() -> None:
        state = tmp_path / "state"
        state.mkdir(mode=0o700)
        folder = node_folder(state, "a")
        out = tmp_path / "a.tar"
        async with two_nodes(tmp_path) as pair:
            store = pair.stores[Side.ALICE]
            grants = store.grants()
            grants.load()
            await asyncio.to_thread(grants.propose, "app-a", ("app-b",))
            async with operator_server(folder / "operator.sock", pair.alice):
                line = ["keys", "backup", str(out), "--state", str(state), "--json"]
                assert await asyncio.to_thread(run, line) == 0
        history = json.loads(unpack(out.read_bytes())[1]["node-a/history.json"])
        assert history["grants"] == [[True, 1, "app-a", ["app-b"], 0, 0]]

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())


def test_the_socket_that_a_killed_node_left_is_no_hindrance(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place(site.folder / "operator.sock", b"")
    said(capsys, "keys", "backup", tmp_path / "a.tar", "--state", site.state)
    with closing(start(site.state, tmp_path)):
        line = ["keys", "backup", str(tmp_path / "b.tar"), "--state", str(site.state)]
        assert run(line) == StoreBusy.exit_code
        assert not (tmp_path / "b.tar").exists()
