"""`bellwire log anchor verify`: whether a log is still what was anchored of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.log.anchor.listing import short
from bellwire.cli.log.anchor.options import ChainOption, DepthOption
from bellwire.cli.log.place import CaOption
from bellwire.cli.log.trust import (
    KeyOption,
    PolicyOption,
    QuorumOption,
    WitnessOption,
    read,
    trusted,
)
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.ledger.anchors.chain import Found
    from bellwire.ledger.checkpoint import Checkpoint
    from bellwire.ledger.policy import Policy


def command(
    transaction: Annotated[
        str, typer.Argument(metavar="TRANSACTION", help="That carries the anchor.")
    ],
    log: Annotated[
        str,
        typer.Argument(
            metavar="LOG",
            help="Where the log is: http://… or https://…, a folder of it, or a checkpoint's file.",
        ),
    ],
    chain: ChainOption,
    rpc: Annotated[
        list[str],
        typer.Option(
            metavar="URL|FILE",
            help="A node of the chain, or a file of yours with its address; again for more,"
            " which must agree.",
        ),
    ],
    by: Annotated[
        str | None,
        typer.Option(metavar="SENDER", help="The account that must have sent it."),
    ] = None,
    depth: DepthOption = 32,
    key: KeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    ca: CaOption = None,
    json: JsonFlag = False,
) -> None:
    """Compare a log with what a transaction anchored of it, and say what holds.

    It holds if the chain has the transaction deep enough, and the log that you trust begins with
    the entries that were anchored. Exit 3 if any of it does not.
    """
    from bellwire.ledger.anchors.chain import check_chain

    trust = trusted(key, witness, quorum, policy)
    name = check_chain(chain)
    found = _found(transaction, name, rpc, depth, by)
    checkpoint = _compare(found, log, ca, trust)
    place = found.place
    document = {
        "holds": True,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "anchored_size": found.anchor.size,
        "anchored_root": found.anchor.root.hex(),
        "chain": name,
        "transaction": place.id,
        "sender": found.sender,
        "block": place.block,
        "block_id": place.block_id,
        "time": place.time,
        "confirmations": place.confirmations,
    }
    if json:
        output.emit(document)
    else:
        _tell(found, checkpoint, name)


def _found(transaction: str, chain: str, nodes: list[str], depth: int, by: str | None) -> "Found":
    """The anchor that every node shows at the same place."""
    from bellwire.ledger.anchors.errors import AnchorAbsent, AnchorMismatch, ChainUntrue
    from bellwire.node.anchors import open_chain

    shown = []
    for node in nodes:
        with open_chain(chain, node, depth) as opened:
            shown.append(opened.find(transaction))
    first = shown[0]
    for each in shown:
        if each.place.block_id != first.place.block_id:
            raise ChainUntrue(
                f"expected every node to have it in block {first.place.block:,},"
                f" got block {each.place.block:,}, or another of that number"
            )
        if not each.final:
            raise AnchorAbsent(
                f"expected transaction {transaction} in a block that stays, got one with"
                f" {each.place.confirmations:,} confirmations",
                hint="Wait, or ask for fewer with --depth.",
            )
    if by is not None and by.lower() != first.sender.lower():
        raise AnchorMismatch(f"expected the sender {by[:80]!r}, got {first.sender}")
    return first


def _compare(found: "Found", log: str, ca: Path | None, trust: "Policy") -> "Checkpoint":
    from bellwire.ledger.anchors.anchor import verify_anchor
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.note import MAX_NOTE_BYTES, parse_note
    from bellwire.ledger.policy import verify_checkpoint
    from bellwire.ledger.reading import LogReader

    if Path(log).is_file():
        note = parse_note(read(Path(log), MAX_NOTE_BYTES))
        checkpoint = verify_checkpoint(note, trust).checkpoint
        verify_anchor(found.anchor, checkpoint, None)
        return checkpoint
    with fetching(log, ca) as fetch:
        reader = LogReader(fetch)
        checkpoint = verify_checkpoint(reader.note(), trust).checkpoint
        verify_anchor(found.anchor, checkpoint, lambda tile: reader.tile(tile, checkpoint.size))
    return checkpoint


def _tell(found: "Found", checkpoint: "Checkpoint", chain: str) -> None:
    from datetime import UTC, datetime

    def say(text: str) -> None:
        output.stdout().print(text, highlight=False, soft_wrap=True)

    place = found.place
    at = datetime.fromtimestamp(min(place.time, 253_402_300_799), UTC)
    say(
        f"✓ {short(chain)}: transaction {place.id} in block {place.block:,},"
        f" of {at:%Y-%m-%d %H:%M:%S} UTC"
    )
    say(f"✓ {place.confirmations:,} confirmations, sent by {found.sender}")
    say(
        f"✓ {checkpoint.origin}: its first {found.anchor.size:,} of {checkpoint.size:,} entries are"
        " those that were anchored"
    )
