"""How long-term keys rest: the option that all their commands share, and the command itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.crypto.kek.envelope import Wrapped
    from bellwire.crypto.kek.source import KekSource
    from bellwire.node.settings import Settings

ProtectionOption = Annotated[
    str | None,
    typer.Option(
        "--key-protection",
        metavar="SOURCE",
        help="How the long-term key rests: plain, file:FOLDER, passphrase[:FILE], keyring or "
        "pkcs11:URI. Default: as the settings say.",
    ),
]
"""Handed to `protection_of`; a passphrase or PIN never stands in it."""

ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="SOURCE",
        help="What is to wrap it: file:FOLDER, passphrase[:FILE], keyring or pkcs11:URI. Without "
        "it, say how it rests.",
    ),
]


def protection_of(settings: "Settings", given: str | None, folder: Path) -> "KekSource | None":
    """What wraps the key in `folder`, by the option or else the settings; None: nothing."""
    from bellwire.iot.keeping import parse_protection
    from bellwire.node.settings import credentials_folder

    text = settings.identity.protection if given is None else given
    return parse_protection(text, folder, credentials_folder())


def protect(
    settings: "Settings",
    folder: Path,
    wrapped: "Wrapped",
    given: str | None,
    to: str | None,
    *,
    json: bool,
) -> None:
    """Say how a key rests, or wrap it under a new key-encryption key, and say so.

    Args:
        settings: From `settings.load`.
        folder: Where the key rests.
        wrapped: Which it is.
        given: `--key-protection`.
        to: `--to`.
        json: `--json`.

    Raises:
        KekUnusable: `to` is `plain`: what was wrapped once stays so.
    """
    from bellwire.crypto.kek.errors import KekUnusable
    from bellwire.crypto.kek.record import named
    from bellwire.iot import keeping
    from bellwire.node.settings import credentials_folder

    if to is None:
        shown = keeping.show(folder, wrapped)
        if json:
            output.emit(shown)
        else:
            _show(shown, wrapped.what)
        return
    new = keeping.parse_protection(to, folder, credentials_folder())
    if new is None:
        raise KekUnusable(
            "expected --to SOURCE that wraps the key, got plain",
            hint="What was protected once does not become plain again: enrol with a new key.",
        )
    old = protection_of(settings, given, folder)
    destroyed = keeping.protect(folder, wrapped, old, new)
    if json:
        output.emit({"source": new.setting, "destroyed": named(destroyed)})
        return
    out = output.stdout()
    out.print(f"the {wrapped.what} is wrapped under a new key-encryption key")
    if destroyed is not None:
        out.print(f"destroyed: source {destroyed.source}, key {destroyed.key}")
    if new.setting != settings.identity.protection:
        out.print(f"from now on, set {keeping.SETTING} to:", new.setting)


def _show(shown: dict[str, object], what: str) -> None:
    out = output.stdout()
    key = f", key {shown['key']}" if shown["key"] else ""
    out.print(f"{what}: {shown['source']}{key}")
    if isinstance(shown["argon2id"], dict):
        words = ", ".join(f"{name} {value}" for name, value in shown["argon2id"].items())
        out.print(f"Argon2id: {words}")
    if isinstance(shown["replaces"], dict):
        left = shown["replaces"]
        out.print(f"replaced, not yet destroyed: source {left['source']}, key {left['key']}")
