"""`bellwire log export`: a log as a folder of files, which any web server can serve."""

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.log.place import CaOption, LogArgument
from bellwire.cli.log.trust import KeyOption, PolicyOption, QuorumOption, WitnessOption, trusted
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.ledger.reading import Fetch
    from bellwire.ledger.tiles import Bundle, Tile


def command(
    log: LogArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made if it is missing.")],
    key: KeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    ca: CaOption = None,
    json: JsonFlag = False,
) -> None:
    """Copy a log into a folder, as C2SP tlog-tiles lays it out: checkpoint, tiles, entries.

    What is there already and never changes is not fetched again. The checkpoint comes last, so that
    the folder is always one that can be read. Partial tiles go at the copy after the one that
    brought the full tile in their place, so that who reads meanwhile finds them. Nothing is
    compared but the checkpoint's signatures: `bellwire log watch DIR` does the rest.
    """
    from bellwire.base.private import write_whole
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.policy import verify_checkpoint
    from bellwire.ledger.reading import LogReader
    from bellwire.ledger.tiles import TILE_WIDTH, bundles, tiles

    trust = trusted(key, witness, quorum, policy)
    written, replaced = 0, []
    with fetching(log, ca) as fetch, output.progress("copying the log", unit="files") as meter:
        note = LogReader(fetch).note()
        size = verify_checkpoint(note, trust).checkpoint.size
        places: list[Tile | Bundle] = [*tiles(size), *bundles(size)]
        for place in places:
            target = folder / place.path
            new = _copy(fetch, place.path, target)
            written += new
            if place.width == TILE_WIDTH and not new:
                replaced.append(target.with_name(f"{target.name}.p"))
            meter.advance()
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "checkpoint", note.encode(), 0o644, replace=True)
    removed = sum(map(_remove, replaced))
    if json:
        output.emit({"folder": str(folder), "entries": size, "files": written, "removed": removed})
    else:
        output.stdout().print(f"{size:,} entries are in {folder}", highlight=False)


def _copy(fetch: "Fetch", path: str, target: Path) -> int:
    from bellwire.base.private import write_whole

    if target.exists():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, fetch(path), 0o644, replace=True)
    return 1


def _remove(partial: Path) -> int:
    """Take away the partial tiles of a tile that is full; what else is there stays."""
    if not partial.is_dir():
        return 0
    tiles = [each for each in partial.iterdir() if re.fullmatch("[1-9][0-9]{0,2}", each.name)]
    for each in tiles:
        each.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        partial.rmdir()
    return len(tiles)
