"""`bellwire log anchor write`: brings a log's checkpoint onto a chain, once."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bellwire.base.errors import UnreachableError
from bellwire.cli import output
from bellwire.cli.log.anchor.listing import shown, words
from bellwire.cli.log.anchor.options import ChainOption, DepthOption, place
from bellwire.cli.log.place import CaOption, LogArgument
from bellwire.cli.log.trust import KeyOption, PolicyOption, QuorumOption, WitnessOption, trusted
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, protection_of

if TYPE_CHECKING:
    from bellwire.ledger.anchors.journal import Record


def command(
    log: LogArgument,
    chain: ChainOption,
    rpc: Annotated[
        str,
        typer.Option(
            metavar="URL|FILE", help="A node of the chain, or a file of yours with its address."
        ),
    ],
    account: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="On Hive: the account whose posting key is used."),
    ] = None,
    max_fee: Annotated[
        float,
        typer.Option(metavar="GWEI", min=0, max=1e6, help="Pay at most this per unit of gas."),
    ] = 100.0,
    depth: DepthOption = 32,
    within: Annotated[
        float,
        typer.Option(metavar="S", min=0, max=86_400, help="Try so long; the next call goes on."),
    ] = 900.0,
    until: Annotated[
        Literal["sent", "included", "final"],
        typer.Option(help="Wait for this."),
    ] = "final",
    every: Annotated[
        float | None,
        typer.Option(metavar="S", min=1, help="Go on, and anchor what has grown so often."),
    ] = None,
    key: KeyOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    ca: CaOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Anchor the checkpoint that a log shows, if its signatures hold and it only grew.

    What was interrupted goes on where it was: a checkpoint is paid for once. Exit 4 if the time was
    over before the anchor was as far as asked for.
    """
    import time

    from bellwire.ledger.anchors.chain import Stage, check_chain
    from bellwire.ledger.anchors.errors import AnchorTooDear, ChainRefused
    from bellwire.ledger.fetching import fetching
    from bellwire.ledger.reading import LogReader
    from bellwire.node.anchors import AnchorOptions, anchor_once

    trust = trusted(key, witness, quorum, policy)
    settings, folder = place(state, config)
    options = AnchorOptions(
        folder=folder,
        chain=check_chain(chain),
        node=rpc,
        account=account,
        protection=protection_of(settings, key_protection, folder),
        max_fee_gwei=max_fee,
        depth=depth,
        within_s=within,
        enough=Stage(until),
    )
    with fetching(log, ca) as fetch:
        reader = LogReader(fetch)
        while every is not None:
            try:
                _tell(*anchor_once(options, reader, trust, _under_way))
            except (UnreachableError, AnchorTooDear, ChainRefused) as error:
                output.stderr().print(str(error))
            time.sleep(every)
        with output.progress("waiting for the chain"):
            record, new = anchor_once(options, reader, trust, _under_way)
    if json:
        output.emit({"new": new, **shown(record)})
    else:
        _tell(record, new)
    order = list(Stage)
    if order.index(record.stage) < order.index(options.enough):
        raise UnreachableError(
            f"expected the anchor to be {until} within {within:g} s, got it {record.stage}",
            hint="Nothing is lost: the same command goes on from here.",
        )


def _under_way(record: "Record") -> None:
    output.stderr().print(
        f"the anchor of {record.size:,} entries was under way, and is {record.stage}",
        highlight=False,
    )


def _tell(record: "Record", new: bool) -> None:
    begun = "" if new else "was anchored already: "
    output.stdout().print(begun + words(record), highlight=False, soft_wrap=True)
