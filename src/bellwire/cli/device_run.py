"""`bellwire device run`: takes readings always, and sends them when the network lets it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import QkdOption, key_source
from bellwire.cli.destinations import LoginOption, destination_of
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, protection_of
from bellwire.cli.received import ReceivedOption, inbox_of, served
from bellwire.cli.session import (
    CipherOption,
    PaddingOption,
    RefreshOption,
    ResumeOption,
    session_options,
    suite_of,
)

if TYPE_CHECKING:
    from bellwire.base.errors import BellwireError
    from bellwire.iot.running import RunReport


def command(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Where the cloud listens, as for `device send`. Default: as the settings say.",
        ),
    ] = None,
    broker_login: LoginOption = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="SOCKET", help="Key delivery socket of this site's node.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Readings: CSV or JSON lines; -: lines of standard input, a reading each.",
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go on as the file grows or is replaced, without end."),
    ] = False,
    live: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="N readings of this machine; 0: without end."),
    ] = None,
    interval: Annotated[
        float, typer.Option(metavar="S", min=0.01, max=3600, help="Seconds between live readings.")
    ] = 10.0,
    buffer_mib: Annotated[
        int,
        typer.Option(
            "--buffer", metavar="MIB", min=16, max=65_536, help="How much waits on the disk."
        ),
    ] = 64,
    qkd: QkdOption = "require",
    resume: ResumeOption = True,
    cipher: CipherOption = "aes-256-gcm",
    padding: PaddingOption = "off",
    refresh: RefreshOption = 3600.0,
    received: ReceivedOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Take readings and send them, through lost connections and deaths, each exactly once.

    What the cloud does not have yet waits on the disk, encrypted; the next run goes on with it. It
    ends when the source has ended and the cloud has everything.
    """
    import asyncio
    import sys
    from functools import partial

    from bellwire.channel.handshake import Policy
    from bellwire.iot import enrolment
    from bellwire.iot.buffer import Buffer
    from bellwire.iot.counters import CallCounter
    from bellwire.iot.device import Device
    from bellwire.iot.files import file_readings
    from bellwire.iot.running import Runner
    from bellwire.iot.sources import lines, sensors
    from bellwire.iot.tickets import TicketFile
    from bellwire.node.settings import load

    if (data is None) == (live is None):
        raise UsageError("expected either --data FILE, --data - or --live N")
    if follow and data in {None, "-"}:
        raise UsageError("expected --follow beside --data FILE alone")
    if keys is None and qkd == "require":
        raise UsageError(
            "expected --keys SOCKET, because this device insists on a QKD key",
            hint="Name the node's delivery socket, or choose --qkd off.",
        )
    settings = load(config, {"state": {"dir": state}})
    default = (settings.addresses.cloud_host, settings.addresses.cloud_port)
    folder = settings.state.dir / "device"
    identity, pin = enrolment.load(folder, protection_of(settings, key_protection, folder))
    address = destination_of(to, broker_login, folder, default)
    with (
        Buffer(folder / "buffer", identity.seed, limit=buffer_mib * 2**20) as buffer,
        inbox_of(folder, received, json=json) as inbox,
    ):
        device = Device(
            identity=identity,
            pin=pin,
            keys=key_source(keys),
            policy=Policy[qkd.upper()],
            counter=CallCounter(folder / "handshakes"),
            tickets=TicketFile(folder / "ticket") if resume else None,
            certificate=partial(enrolment.load_certificate, folder),
            suite=suite_of(cipher),
            options=session_options(padding, refresh),
            inbox=inbox,
        )
        with output.progress("sending", unit="readings") as meter:
            runner = Runner(device, address, buffer, tell=_tell, sent=meter.advance)
            if data == "-":
                source = lines(sys.stdin.buffer, "standard input")
            elif data is not None:
                source = file_readings(Path(data), buffer.mark, follow=follow, tell=_say)
            else:
                source = sensors(live or 0, interval_s=interval)
            report = asyncio.run(served(inbox, runner.run(source)))
        _show(report, json=json)


def _tell(error: "BellwireError") -> None:
    output.stderr().print(f"{error}; trying again")


def _say(text: str) -> None:
    output.stderr().print(text)


def _show(report: "RunReport", *, json: bool) -> None:
    if json:
        output.emit(
            {
                "taken": report.taken,
                "sent": report.sent,
                "waiting": report.waiting,
                "sessions": report.sessions,
                "lost": report.lost,
            }
        )
    else:
        output.stdout().print(
            f"Took {report.taken:,} readings, and the cloud has {report.sent:,} more in "
            f"{report.sessions:,} sessions, of which {report.lost:,} were lost."
        )
