"""`bellwire device`: enrol a device with a cloud, and send readings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import device_ca, device_fleet, device_run, output
from bellwire.cli.addresses import QkdOption, key_source
from bellwire.cli.destinations import LoginOption, parse_destination
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
    from bellwire.iot.cloud_certificate import CloudCertificate
    from bellwire.iot.code import Code
    from bellwire.iot.identity import PublicIdentity
    from bellwire.iot.sending import SendReport

app = typer.Typer(no_args_is_help=True, help="An IoT device: enrol it with a cloud, send readings.")
app.add_typer(device_ca.app, name="ca")
app.command("fleet")(device_fleet.command)
app.command("run")(device_run.command)


@app.command()
def enroll(
    code: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="One-time code from `bellwire cloud invite`; - reads it as input."
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="With --code: where the cloud listens. Default: as the settings say.",
        ),
    ] = None,
    cloud_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The cloud's public key: its file cloud.pub."),
    ] = None,
    cloud_certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The cloud's certificate, in the place of its key."),
    ] = None,
    authority: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Public key of the authority of certificates."),
    ] = None,
    revoked: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The authority's list of revoked certificates."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="This device's own certificate, to keep.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the cloud calls this device.")] = "device",
    allow: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The cloud's folder of admitted devices, if it is here."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Pin this cloud in the place of another.")
    ] = False,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Pin a cloud's public key, and have the cloud admit this device: by a code, or by files."""
    import time

    from bellwire.cli.addresses import parse_address
    from bellwire.iot import enrolment
    from bellwire.iot.cloud_certificate import CloudCertificate
    from bellwire.node.settings import load

    by_files = (cloud_key, cloud_certificate, authority, revoked, certificate, allow)
    if code is not None and any(each is not None for each in by_files):
        raise UsageError("expected --code CODE, or files of keys and certificates, got both")
    if code is None and to is not None:
        raise UsageError("expected --to HOST:PORT beside --code CODE alone")
    if authority is None and (cloud_certificate is not None or certificate is not None):
        raise UsageError("expected --authority FILE beside a certificate")
    settings = load(config, {"state": {"dir": state}})
    folder = settings.state.dir / "device"
    if revoked is not None and cloud_certificate is None:
        raise UsageError("expected --revoked FILE beside --cloud-certificate alone")
    given = None if code is None else _read_code(code)
    vouched = (
        CloudCertificate(cloud_certificate, authority, revoked)
        if cloud_certificate is not None and authority is not None
        else None
    )
    cloud = None if given else _cloud_of(cloud_key, vouched)
    key = enrolment.own_key(folder, protection_of(settings, key_protection, folder))
    if given is not None:
        default = (settings.addresses.cloud_host, settings.addresses.cloud_port)
        cloud, name = _join(given, key.public_bytes, parse_address(to) if to else default)
    assert cloud is not None
    done = enrolment.enroll(
        folder, key, cloud, name=name, allow=allow, replace=replace, vouched=vouched
    )
    if certificate is not None and authority is not None:
        enrolment.keep_certificate(folder, key, certificate, authority, now=time.time())
    if json:
        output.emit(
            {
                "device": done.device.fingerprint.hex(),
                "cloud": done.cloud.fingerprint.hex(),
                "public_key": done.public_key,
                "admitted": done.admitted,
            }
        )
        return
    console = output.stdout()
    console.print(f"This device, {name!r}, is {done.device.fingerprint.hex()}.")
    console.print(f"It trusts the cloud {done.cloud.name!r}, {done.cloud.fingerprint.hex()}.")
    if given is not None:
        console.print("The cloud admits it.")
    elif done.admitted is None:
        console.print(f"Copy {done.public_key} into the cloud's folder of admitted devices.")
    else:
        console.print(f"The cloud admits it by {done.admitted}.")


def _read_code(text: str) -> "Code":
    """The code, from the option or from standard input."""
    import sys

    from bellwire.crypto.spelling import MAX_TYPED
    from bellwire.iot.code import parse_code

    if text != "-":
        return parse_code(text)
    if sys.stdin.isatty():
        output.stderr().print("Code: ", end="")
    return parse_code(sys.stdin.readline(MAX_TYPED + 1))


def _join(code: "Code", public: bytes, to: tuple[str, int]) -> "tuple[PublicIdentity, str]":
    """The cloud that admits us by a code, and what it calls us."""
    import asyncio

    from bellwire.iot.destination import Address
    from bellwire.iot.identity import PublicIdentity
    from bellwire.iot.joining import join

    answer = asyncio.run(join(code, public, Address(*to)))
    return PublicIdentity("cloud", answer.cloud, answer.public), answer.device


def _cloud_of(key: Path | None, vouched: "CloudCertificate | None") -> "PublicIdentity":
    """The cloud, by its key file or by its certificate."""
    from bellwire.iot.identity import read_public

    if key is not None and vouched is None:
        return read_public(key, "cloud")
    if vouched is not None and key is None:
        return vouched.cloud()
    raise UsageError("expected either --cloud-key FILE or --cloud-certificate FILE")


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
    from bellwire.iot.destination import Address
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
    address = parse_destination(to, broker_login) if to else Address(*default)
    folder = settings.state.dir / "device"
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
