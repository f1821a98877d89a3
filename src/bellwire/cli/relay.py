"""`bellwire relay`: carries messages for people who are away."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import parse_address
from bellwire.cli.options import ConfigOption, StateOption

if TYPE_CHECKING:
    import ssl

    from bellwire.chat.accounts.admission import Admission


def command(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
    ] = "127.0.0.1:8765",
    certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Listen with TLS: the certificate's chain, PEM."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate's private key, PEM.")
    ] = None,
    sign_up: Annotated[
        str,
        typer.Option(metavar="open|invited|closed", help="Who may have a new handle here."),
    ] = "open",
    invitations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For --sign-up invited: 32 hexadecimal digits a line, 0600."
        ),
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Stop when standard input ends.")
    ] = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Carry messages between people: store them while one is away, deliver them in order.

    The relay sees payloads of three sizes and random mailboxes; neither who drops nor what is said.
    The first line on standard output is a JSON document that says where it listens. It runs until
    it is told to stop.
    """
    import asyncio
    import contextlib
    import time

    from bellwire.base.descriptors import raise_limit
    from bellwire.base.lifetime import until_stopped
    from bellwire.chat.accounts.desk import AccountDesk
    from bellwire.chat.accounts.service import AccountService
    from bellwire.chat.accounts.store import AccountStore
    from bellwire.chat.relay.server import Relay, RelayLimits
    from bellwire.chat.relay.store import RelayStore
    from bellwire.node.settings import load

    if (certificate is None) != (key is None):
        raise UsageError("expected --certificate together with --key")
    admission = _admission(sign_up, invitations)
    settings = load(config, {"state": {"dir": state}})
    host, port = parse_address(listen)
    tls = None if certificate is None or key is None else _tls(certificate, key)
    # Some descriptors are for the store, standard streams and the loop.
    limits = RelayLimits(connections=min(8192, raise_limit() - 64))

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as undo:
            folder = settings.state.dir / "relay"
            store = RelayStore(folder)
            undo.callback(store.close)
            people = AccountStore(folder)
            undo.callback(people.close)
            service = AccountService(
                people,
                store.relay_id,
                admission=admission,
                now=time.time,
                clock=time.monotonic,
            )
            desk = AccountDesk(service)
            undo.callback(desk.close)
            relay = Relay(store, limits, accounts=desk)
            undo.push_async_callback(relay.stop)
            try:
                taken = await relay.start(host, port, tls)
            except OSError as error:
                raise UsageError(
                    f"expected to listen at {listen}, got: {error.strerror}"
                ) from error
            address = f"[{taken[0]}]:{taken[1]}" if ":" in taken[0] else f"{taken[0]}:{taken[1]}"
            output.emit(
                {
                    "ready": True,
                    "service": "relay",
                    "listen": address,
                    "url": f"{'ws' if tls is None else 'wss'}://{address}",
                    "accounts": desk.fingerprint.hex(),
                }
            )
            await until_stopped(with_parent=with_parent)

    asyncio.run(serve())


def _admission(sign_up: str, invitations: Path | None) -> "Admission":
    from bellwire.chat.accounts.admission import Admission, SignUps, invitations_in

    if sign_up not in {each.value for each in SignUps}:
        raise UsageError(f"--sign-up: expected open, invited or closed, got {sign_up[:40]!r}")
    chosen = SignUps(sign_up)
    if (chosen is SignUps.INVITED) != (invitations is not None):
        raise UsageError("expected --invitations together with --sign-up invited")
    if invitations is None:
        return Admission(chosen)
    invitations_in(invitations)  # what is wrong with it is said now
    return Admission(chosen, lambda: invitations_in(invitations))


def _tls(certificate: Path, key: Path) -> "ssl.SSLContext":
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"expected a certificate in {certificate} and its key in {key}, got neither or others"
        ) from error
    return context
