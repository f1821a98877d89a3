"""`bellwire log anchor list`: what was anchored, where, and how far it is."""

from typing import TYPE_CHECKING

from bellwire.cli import output
from bellwire.cli.log.anchor.options import place as settled
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.ledger.anchors.journal import Record


def command(json: JsonFlag = False, state: StateOption = None, config: ConfigOption = None) -> None:
    """Show the anchors that were made from here, as far as they were seen last."""
    from bellwire.node.anchors import anchors_in

    _, folder = settled(state, config)
    found = anchors_in(folder)
    if json:
        output.emit({"anchors": [shown(each) for each in found]})
        return
    if not found:
        output.stdout().print("nothing was anchored from here")
        return
    for each in found:
        output.stdout().print(words(each), highlight=False, soft_wrap=True)


def words(record: "Record") -> str:
    """An anchor for people, its transaction in a line of its own, to be copied."""
    place = record.place
    where = (
        f"block {place.block:,}, {place.confirmations:,} confirmations" if place else "in no block"
    )
    sent = record.attempts[-1].id if place is None else place.id
    return (
        f"{record.origin}  {record.size:,} entries  {short(record.chain)}"
        f"  {record.stage}  {where}\n    {sent}"
    )


def shown(record: "Record") -> dict[str, object]:
    """An anchor in plain values."""
    where = record.place
    return {
        "origin": record.origin,
        "size": record.size,
        "root": record.root.hex(),
        "chain": record.chain,
        "sender": record.sender,
        "stage": str(record.stage),
        "transaction": record.attempts[-1].id if where is None else where.id,
        "attempts": len(record.attempts),
        "block": None if where is None else where.block,
        "block_id": None if where is None else where.block_id,
        "time": None if where is None else where.time,
        "confirmations": None if where is None else where.confirmations,
        "cost_wei": None if where is None else where.cost,
    }


def short(chain: str) -> str:
    """A chain's name as short as it was given."""
    from bellwire.ledger.anchors.chain import check_chain

    return "hive" if chain == check_chain("hive") else chain
