"""`bellwire log export`: a log as a folder of files, which any web server can serve."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.log.place import CaOption, LogArgument, fetching
from bellwire.cli.log.trust import KeyOption, PolicyOption, QuorumOption, WitnessOption, trusted
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.ledger.reading import Fetch


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
    the folder is always one that can be read. Nothing is compared but the checkpoint's signatures:
    `bellwire log watch DIR` does the rest.
    """
    from bellwire.base.private import write_whole
    from bellwire.ledger.policy import verify_checkpoint
    from bellwire.ledger.reading import LogReader
    from bellwire.ledger.tiles import bundles, tiles

    trust = trusted(key, witness, quorum, policy)
    written = 0
    with fetching(log, ca) as fetch, output.progress("copying the log", unit="files") as meter:
        note = LogReader(fetch).note()
        size = verify_checkpoint(note, trust).checkpoint.size
        for path in [each.path for each in tiles(size)] + [each.path for each in bundles(size)]:
            written += _copy(fetch, folder, path)
            meter.advance()
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "checkpoint", note.encode(), 0o644, replace=True)
    if json:
        output.emit({"folder": str(folder), "entries": size, "files": written})
    else:
        output.stdout().print(f"{size:,} entries are in {folder}", markup=False, highlight=False)


def _copy(fetch: "Fetch", folder: Path, path: str) -> int:
    from bellwire.base.private import write_whole

    target = folder / path
    if target.exists():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, fetch(path), 0o644, replace=True)
    return 1
