"""Options that the verbs of `bellwire log anchor` share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bellwire.node.settings import Settings

FOLDER = "log-anchor"

ChainOption = Annotated[
    str,
    typer.Option(
        "--chain",
        metavar="CHAIN",
        help="Which: eip155:NUMBER, hive, or hive:CHAINID of another Hive.",
    ),
]
DepthOption = Annotated[
    int,
    typer.Option(
        "--depth",
        metavar="N",
        min=1,
        max=10_000,
        help="On an EVM chain: final from so many confirmations on. Hive says so itself.",
    ),
]


def place(state: Path | None, config: Path | None) -> "tuple[Settings, Path]":
    """The settings, and the folder of anchors."""
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    return settings, settings.state.dir / FOLDER
