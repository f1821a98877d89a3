"""`bellwire device`: enrol a device with a cloud, and send readings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import device_ca, device_enrol, device_fleet, device_run, output
from bellwire.cli.addresses import QkdOption, key_source
from bellwire.cli.destinations import LoginOption, destination_of
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, ToOption, protection_of
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
    from bellwire.iot.sending import SendReport

app = typer.Typer(no_args_is_help=True, help="An IoT device: enrol it with a cloud, send readings.")
app.add_typer(device_ca.app, name="ca")
app.command("enroll")(device_enrol.command)
app.command("fleet")(device_fleet.command)
app.command("run")(device_run.command)


@app.command()
def send(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Where the cloud listens: HOST:PORT, udp://HOST:PORT or "
            "mqtt://HOST, or with :PORT and /PREFIX. Default: as the "
            "settings say.",
        ),
    ] = None,
    broker_login: LoginOption = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="SOCKET", help="Key delivery socket of this site's node.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Readings: CSV or JSON lines.")
    ] = None,
    live: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=100_000, help="Send N readings of this machine."),
    ] = None,
    interval: Annotated[
        float, typer.Option(metavar="S", min=0, max=3600, help="Seconds between live readings.")
    ] = 0.2,
    first: Annotated[
        int, typer.Option("--from", metavar="I", min=0, help="First reading, counted from 0.")
    ] = 0,
    stop: Annotated[
        int | None,
        typer.Option("--to-reading", metavar="J", min=0, help="Stop before this reading."),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(help="Name of the stream, for a file that grows. Default: its content."),
    ] = None,
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
    """Send readings to the cloud, each exactly once: what is there already is not sent again."""
    import asyncio

    from bellwire.channel.handshake import Policy
    from bellwire.iot import enrolment
    from bellwire.iot.counters import CallCounter
    from bellwire.iot.device import Device
    from bellwire.iot.readings import read_readings
    from bellwire.iot.tickets import TicketFile
    from bellwire.node.settings import load

    if (data is None) == (live is None):
        raise UsageError("expected either --data FILE or --live N")
    if keys is None and qkd == "require":
        raise UsageError(
            "expected --keys SOCKET, because this device insists on a QKD key",
            hint="Name the node's delivery socket, or choose --qkd off.",
        )
    settings = load(config, {"state": {"dir": state}})
    default = (settings.addresses.cloud_host, settings.addresses.cloud_port)
    folder = settings.state.dir / "device"
    address = destination_of(to, broker_login, folder, default)
    identity, pin = enrolment.load(folder, protection_of(settings, key_protection, folder))
    path = data or _record_live(folder, live or 0, interval)
    readings = read_readings(path)
    with inbox_of(folder, received, json=json) as inbox:
        device = Device(
            identity=identity,
            pin=pin,
            keys=key_source(keys),
            policy=Policy[qkd.upper()],
            counter=CallCounter(folder / "handshakes"),
            tickets=TicketFile(folder / "ticket") if resume else None,
            certificate=enrolment.load_certificate(folder),
            suite=suite_of(cipher),
            options=session_options(padding, refresh),
            inbox=inbox,
        )
        with output.progress("sending", total=len(readings), unit="readings") as meter:
            sending = device.send(
                readings,
                address,
                first=first,
                stop=stop,
                stream_name=stream,
                progress=meter.advance,
            )
            report = asyncio.run(served(inbox, sending))
    if json:
        output.emit(_document(report, path))
    else:
        _show(report, path)


@app.command()
def protect(
    to: ToOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Say how this device's key rests, or wrap it under a passphrase, a keyring or a token."""
    from bellwire.cli import protection
    from bellwire.iot.identity import IDENTITY
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    folder = settings.state.dir / "device"
    protection.protect(settings, folder, IDENTITY, key_protection, to, json=json)


def _record_live(folder: Path, count: int, interval_s: float) -> Path:
    """Take live readings into a file of the device, so that an interrupted send can be repeated."""
    from bellwire.iot.sensors import record

    with output.progress("reading sensors", total=count, unit="readings") as meter:
        path = record(folder / "live", count, interval_s=interval_s, taken=meter.advance)
    output.stderr().print(f"{count} readings are kept in {path}; to send them again: --data {path}")
    return path


def _document(report: "SendReport", path: Path) -> dict[str, object]:
    return {
        "data": path,
        "stream": report.stream.hex(),
        "readings": report.readings,
        "sent": report.sent,
        "already": report.already,
        "stored": report.stored,
        "complete": report.complete,
        "sha256_in": report.sha256_in.hex(),
        "sha256_out": report.sha256_out.hex(),
        "protections": report.protections.names,
        "qkd_source": report.protections.qkd_source,
        "qkd_keys": report.protections.qkd_keys,
        "resumed": report.protections.resumed > 0,
        "cipher": report.protections.suite.label,
        "handshake_ms": 1000 * report.handshake_s,
        "message_ms": _answers(report),
        "records": report.records,
        "overhead_bytes": report.overhead_bytes,
    }


def _answers(report: "SendReport") -> dict[str, float] | None:
    """Milliseconds from a batch to its acknowledgement: the middle one, and the longest."""
    if not report.answers_s:
        return None
    ordered = sorted(report.answers_s)
    return {"p50": 1000 * ordered[len(ordered) // 2], "max": 1000 * ordered[-1]}


def _show(report: "SendReport", path: Path) -> None:
    console = output.stdout()
    console.print(
        f"{path}: sent {report.sent:,} readings, {report.already:,} were there; "
        f"the cloud has {report.stored:,} of {report.readings:,}."
    )
    console.print(f"SHA-256 of these, here and there: {report.sha256_out.hex()}")
    console.print(f"Keys rest on {', '.join(report.protections.names)}.")
    answers = _answers(report)
    said = (
        ""
        if answers is None
        else f", a message {answers['p50']:.1f} ms ({answers['max']:.1f} ms at most)"
    )
    console.print(
        f"The handshake took {1000 * report.handshake_s:.1f} ms{said}; {report.records} records "
        f"had {report.overhead_bytes:,} bytes beside the readings."
    )
