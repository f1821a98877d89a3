"""Options that say whom a reader of a log trusts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError

if TYPE_CHECKING:
    from bellwire.ledger.policy import Policy
    from bellwire.ledger.verifier_keys import VerifierKey

KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="VKEY|FILE",
        help="The log's verifier key, or a file of such; again for more, each suffices.",
    ),
]
WitnessOption = Annotated[
    list[str] | None,
    typer.Option(
        "--witness",
        metavar="VKEY|FILE",
        help="A witness's verifier key, or a file of such; again for more.",
    ),
]
QuorumOption = Annotated[
    int | None,
    typer.Option(
        "--quorum",
        metavar="N",
        min=0,
        max=64,
        help="How many of the witnesses must have cosigned. Default: all that are named.",
    ),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="Logs, witnesses and quorum as a tlog-policy file says, in place of the three above.",
    ),
]
MAX_KEYS_FILE = 1 << 18


def trusted(
    key: list[str] | None, witness: list[str] | None, quorum: int | None, policy: Path | None
) -> "Policy":
    """The policy that the options say.

    Raises:
        UsageError: they contradict each other, or a file cannot be read.
        VerifierKeyUnusable: a key is none.
        PolicyUnusable: a file of a policy is none, or a log is its own witness.
    """
    from bellwire.ledger.policy import MAX_POLICY_BYTES, of_witnesses, parse_policy

    if policy is not None:
        if key or witness or quorum is not None:
            raise UsageError("expected --policy alone, or --key, --witness and --quorum")
        return parse_policy(read(policy, MAX_POLICY_BYTES))
    if not key:
        raise UsageError(
            "expected --key or --policy, which say what log is trusted",
            hint="The log's operator publishes its key; a file cannot vouch for itself.",
        )
    witnesses = [each for text in witness or () for each in keys_of(text)]
    least = len(witnesses) if quorum is None else quorum
    return of_witnesses([each for text in key for each in keys_of(text)], witnesses, least)


def read(path: Path, limit: int) -> bytes:
    """A file's content.

    Raises:
        UsageError: it cannot be read, or is over `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"expected to read {path}, got: {error.strerror}") from error
    if len(data) > limit:
        raise UsageError(f"expected at most {limit:,} bytes in {path}, got more")
    return data


def keys_of(text: str) -> "list[VerifierKey]":
    """One key, or those of a file: a line each, empty ones and those with # passed over."""
    from bellwire.ledger.errors import VerifierKeyUnusable
    from bellwire.ledger.verifier_keys import parse_vkey

    try:
        return [parse_vkey(text)]
    except VerifierKeyUnusable:
        if len(text) > 1024 or not Path(text).is_file():
            raise
    lines = read(Path(text), MAX_KEYS_FILE).decode("utf-8", "replace").splitlines()
    keys = [parse_vkey(line) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise UsageError(f"expected a verifier key in {text}, got none")
    return keys
