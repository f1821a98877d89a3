"""What is chosen about sessions: cipher, hidden lengths, and a device's tickets and fresh keys."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from bellwire.channel.handshake import SessionOptions, Suite

CipherChoice = Literal["aes-256-gcm", "chacha20-poly1305"]
PaddingChoice = Literal["off", "padme"]

CipherOption = Annotated[
    CipherChoice,
    typer.Option(help="Cipher of the records; chacha20 where a processor has no AES."),
]
PaddingOption = Annotated[
    PaddingChoice,
    typer.Option(help="Hide how long messages are: padme adds up to 12 %, to 128 bytes at least."),
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume/--no-resume", help="Begin by the ticket of the last session."),
]
RefreshOption = Annotated[
    float,
    typer.Option(
        metavar="S", min=1, max=86400, help="Seconds after which a session gets fresh keys."
    ),
]


def suite_of(cipher: CipherChoice) -> "Suite":
    """The suite that has this cipher."""
    from bellwire.channel.handshake import Suite

    return Suite[cipher.upper().replace("-", "_")]


def session_options(padding: PaddingChoice, refresh_s: float = 3600.0) -> "SessionOptions":
    """One end's choices for its sessions; only a device asks for fresh keys."""
    from bellwire.channel.handshake import RefreshLimits, SessionOptions
    from bellwire.channel.padding import Padding

    return SessionOptions(padding=Padding(padding), refresh=RefreshLimits(refresh_s))
