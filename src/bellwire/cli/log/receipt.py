"""`bellwire log receipt`: proof that an entry is in a log, in a file that needs the log no more."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.log.place import CaOption, LogArgument
from bellwire.cli.log.trust import KeyOption, PolicyOption, QuorumOption, WitnessOption, trusted
from bellwire.cli.options import JsonFlag


def command(
    log: LogArgument,
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=0, help="Of the entry, from 0.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to. Default: NUMBER.tlog-proof, here."),
    ] = None,
    key: KeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    ca: CaOption = None,
    json: JsonFlag = False,
) -> None:
    """Write a receipt that an entry is in a log; `log verify` checks it offline."""
    from bellwire.base.private import write_whole
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.policy import verify_checkpoint
    from bellwire.ledger.reading import LogReader, prove
    from bellwire.ledger.receipt import SUFFIX, Receipt

    trust = trusted(key, witness, quorum, policy)
    with fetching(log, ca) as fetch:
        reader = LogReader(fetch)
        note = reader.note()
        checkpoint = verify_checkpoint(note, trust).checkpoint
        if number >= checkpoint.size:
            raise UsageError(
                f"NUMBER: expected one of the log's {checkpoint.size:,} entries, which begin at 0, "
                f"got {number:,}"
            )
        ((_, entry, proof),) = prove(reader, checkpoint, number, number + 1)
    path = out or Path(f"{number}{SUFFIX}")
    write_whole(path, Receipt(number, proof, note, entry).encode(), 0o644, replace=True)
    if json:
        output.emit({"file": str(path), "number": number, "size": checkpoint.size})
    else:
        output.stdout().print(f"Wrote {path}", highlight=False)
