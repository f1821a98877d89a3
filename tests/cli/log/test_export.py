"""`bellwire log export`: a folder behind a plain web server is a log that all tools read."""

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from proofbundle import merkle, tlogproof
from tests.cli.log.test_ledger import run
from tests.ledger.logs import ED25519, MLDSA44, ORIGIN, SmallLog
from tests.ledger.store.logs import batch

from bellwire.ledger.checkpoint import parse_checkpoint
from bellwire.ledger.errors import LogAbsent
from bellwire.ledger.fetching import fetching
from bellwire.ledger.monitor import Monitor
from bellwire.ledger.reading import LogReader
from bellwire.ledger.tiles import bundles, join_bundle, split_bundle, tiles

TRUST = ("--key", ED25519.verifier)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """What the standard library serves of a folder, which knows nothing of logs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Origin:
    """A log that grows, as a folder from which it is copied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = SmallLog(())

    def grow_to(self, size: int) -> None:
        """Let it have so many entries, and show them."""
        before = self.log.edge.size
        self.log.append(batch(before + 1, size - before).entries)
        for tile in tiles(size):
            self._write(tile.path, self.log._read(tile).hashes)
        for each in bundles(size):
            entries = self.log.entries[each.start : each.start + each.width]
            self._write(each.path, join_bundle(entries))
        self._write("checkpoint", self.log.note().encode())

    def _write(self, path: str, content: bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content)


def partials(folder: Path) -> list[str]:
    found = [each for each in folder.rglob("*") if each.parent.suffix == ".p"]
    return sorted(str(each.relative_to(folder)) for each in found)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


def test_a_copy_behind_any_web_server_is_read_by_our_tools_and_by_others(
    origin: Origin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, receipt = tmp_path / "copy", tmp_path / "5.tlog-proof"
    watching = ("--once", "--state", tmp_path / "watcher")
    origin.grow_to(300)
    assert run(capsys, "log", "export", origin.folder, copy, *TRUST)[0] == 0
    with served(copy) as url:
        code, verified = run(capsys, "log", "verify", url, *TRUST)
        assert (code, verified["kind"], verified["size"]) == (0, "log", 300)
        assert run(capsys, "log", "watch", url, *TRUST, *watching)[0] == 0
        origin.grow_to(700)
        assert run(capsys, "log", "export", origin.folder, copy, *TRUST)[0] == 0
        code, watched = run(capsys, "log", "watch", url, "--key", MLDSA44.verifier, *watching)
        assert (code, watched["size"]) == (0, 700)
        assert run(capsys, "log", "receipt", url, 5, *TRUST, "--out", receipt)[0] == 0
        with fetching(url) as fetch:
            root = parse_checkpoint(LogReader(fetch).note().text).root
            read = []
            for each in bundles(700):
                read += split_bundle(fetch(each.path), each.width)
    assert merkle.merkle_tree_hash(read) == root
    found = tlogproof.verify_tlog_proof(
        receipt.read_text(), read[5], str(ED25519.verifier), expected_origin=ORIGIN
    )
    assert found["ok"]
    found = tlogproof.verify_tlog_proof(
        receipt.read_text(), read[6], str(ED25519.verifier), expected_origin=ORIGIN
    )
    assert not found["ok"]


def test_who_reads_while_the_copy_is_made_anew_reads_on(
    origin: Origin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"

    def export() -> int:
        code, copied = run(capsys, "log", "export", origin.folder, copy, *TRUST)
        assert code == 0
        return int(copied["removed"])

    origin.grow_to(300)
    export()
    with served(copy) as url, fetching(url) as fetch:
        seen = parse_checkpoint(LogReader(fetch).note().text)
        early = Monitor(LogReader(fetch))
        early.follow(seen)
        origin.grow_to(600)
        assert export() == 0
        there = partials(copy)
        assert {"tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"} <= {*there}
        assert export() == 2
        assert partials(copy) == [
            each for each in there if each not in {"tile/0/001.p/44", "tile/entries/001.p/44"}
        ]
        assert export() == 0
        with pytest.raises(LogAbsent, match="404"):
            fetch("tile/0/001.p/44")

        # Who saw the checkpoint of 300 finds what it needs in the tiles that are full now.
        late = Monitor(LogReader(fetch))
        late.follow(seen)
        for monitor in (early, late):
            monitor.read_again(seen, 300)
            assert (monitor.edge.root, monitor.findings) == (seen.root, [])
            monitor.follow(parse_checkpoint(LogReader(fetch).note().text))
            assert (monitor.edge.size, monitor.findings) == (600, [])
