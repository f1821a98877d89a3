"""What `keys get` and `keys fetch` print, or write: keys, in the form of ETSI 014's container."""

import json
import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.etsi014.exchange import Key

OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Write the keys to a new FILE of mode 0600, and print their ids alone.",
    ),
]


def check_out(out: Path | None) -> None:
    """Let a file to be written pass, before a key is asked for that could then only be lost.

    Raises:
        UsageError: it is there already, or its folder is not, or is not ours to write to.
    """
    if out is None:
        return
    if out.exists() or out.is_symlink():
        raise UsageError(f"--out: expected the name of a new file, got {out}, which is there")
    if not os.access(out.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"--out: expected a folder to write to, got {out.absolute().parent}")


def deliver(
    keys: Sequence["Key"], out: Path | None, *, as_json: bool, session: object = None
) -> None:
    """Print the keys, or write them to `out` and print their ids.

    Args:
        keys: All of them.
        out: See above.
        as_json: Whether to print one JSON document.
        session: The record of the session that made them, for that document.

    Raises:
        PathUnusable: `out` cannot be written.
        UsageError: `out` has come to be there meanwhile.
    """
    from bellwire.base.private import write_whole

    made = {} if session is None else {"session": session}
    whole = {"keys": [_element(each) for each in keys]}
    if out is not None:
        content = json.dumps(whole, ensure_ascii=False).encode() + b"\n"
        if not write_whole(out, content, replace=False):
            raise UsageError(f"--out: expected the name of a new file, got {out}, which is there")
    if as_json and out is not None:
        ids = [{"key_ID": each.key_id} for each in keys]
        output.emit({"keys": ids, "file": out} | made)
    elif as_json:
        output.emit(whole | made)
    else:
        console = output.stdout()
        for each in whole["keys"]:
            shown = each["key_ID"] if out is not None else f"{each['key_ID']}  {each['key']}"
            console.print(shown, soft_wrap=True)
        if out is not None:
            output.stderr().print(
                f"{len(keys)} {'key is' if len(keys) == 1 else 'keys are'} in {out}."
            )


def _element(key: "Key") -> dict[str, object]:
    found: dict[str, object] = {
        "key_ID": key.key_id,
        "key": b64encode(key.key.reveal()).decode("ascii"),
    }
    if key.id_extension is not None:
        found["key_ID_extension"] = key.id_extension
    if key.extension is not None:
        found["key_extension"] = key.extension
    return found
