"""`bellwire device enroll`: a device and its cloud become known to each other."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, protection_of

if TYPE_CHECKING:
    from bellwire.iot.admitted import Admitted
    from bellwire.iot.cloud_certificate import CloudCertificate
    from bellwire.iot.code import Code
    from bellwire.iot.enrolment import Enrolment
    from bellwire.iot.identity import PublicIdentity
    from bellwire.node.settings import Settings


def command(
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
            help="Where the cloud listens. Default: as the server says, or the settings.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="URL", help="The server of admission, which admits it."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What that server is called. Default: the host in URL."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Who signs its certificate, PEM. Default: as the system says."
        ),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Has the enrolment token; - reads standard input."),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="LOG",
            help="With --at: pin the cloud's key only if this log has the same.",
        ),
    ] = None,
    log_policy: Annotated[
        Path | None,
        typer.Option(
            "--log-policy",
            metavar="FILE",
            help="Who must have signed and cosigned that log, as a tlog-policy file says.",
        ),
    ] = None,
    log_ca: Annotated[
        Path | None,
        typer.Option(
            "--log-ca", metavar="FILE", help="Authorities that may vouch for its TLS, PEM."
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
    name: Annotated[
        str | None,
        typer.Option(help="What the cloud calls this device. Default: device; none with --at."),
    ] = None,
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
    """Pin a cloud's public key, and have the cloud admit this device: by a code, or by files.

    Or by a server of admission, --at: it registers the keys that are made here, certifies the
    device's, and tells of the cloud. Without any of these, that is done again as it was said the
    last time, and the certificate is renewed.
    """
    import time

    from bellwire.cli.addresses import parse_address
    from bellwire.iot import admitted, enrolment
    from bellwire.iot.cloud_certificate import CloudCertificate
    from bellwire.node.settings import load

    by_files = (cloud_key, cloud_certificate, authority, revoked, certificate, allow)
    otherwise = code is not None or any(each is not None for each in by_files)
    if code is not None and any(each is not None for each in by_files):
        raise UsageError("expected --code CODE, or files of keys and certificates, got both")
    if otherwise and any(each is not None for each in (at, server, ca, token, log, log_policy)):
        raise UsageError("expected what goes with --at URL alone, or another way to enrol")
    if not otherwise:
        settings = load(config, {"state": {"dir": state}})
        before = admitted.load(settings.state.dir / "device")
        said = _said(before, at, name, server, ca, (log, log_policy, log_ca), to)
        _admission(settings, said, token, key_protection, replace=replace, json=json)
        return
    name = name or "device"
    if code is None and to is not None:
        raise UsageError("expected --to HOST:PORT beside --code CODE or --at URL alone")
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
    admitted.forget(folder)
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
    console.print(
        "The cloud admits it."
        if given is not None
        else _next_step(done, vouched=authority is not None, certified=certificate is not None)
    )


def _next_step(done: "Enrolment", *, vouched: bool, certified: bool) -> str:
    """How the cloud admits the device, or what is still to be done for that."""
    if done.admitted is not None:
        return f"The cloud admits it by {done.admitted}."
    if certified:
        return "The cloud admits it by its certificate."
    if vouched:
        return (
            f"Have the authority certify {done.public_key} (bellwire device ca issue), and enrol "
            "again with --certificate."
        )
    return f"Copy {done.public_key} into the cloud's folder of admitted devices."


def _said(
    before: "Admitted | None",
    at: str | None,
    name: str | None,
    server: str | None,
    ca: Path | None,
    log: tuple[str | None, Path | None, Path | None],
    to: str | None,
) -> "Admitted":
    """What the options say of a server of admission, and else what they said the last time."""
    from msgspec.structs import replace

    from bellwire.base.handles import canonical
    from bellwire.cli.destinations import parse_destination
    from bellwire.iot.admitted import Admitted

    place, policy, log_ca = log
    if (place is None) != (policy is None) or (place is None and log_ca is not None):
        raise UsageError("expected --log LOG and --log-policy FILE together, or neither")
    if to is not None and not to.startswith(("mqtt://", "mqtts://")):
        parse_destination(to)
    if at is None:
        if before is None:
            raise UsageError(
                "expected --at URL, --code CODE, --cloud-key FILE or --cloud-certificate FILE"
            )
        if server is not None or ca is not None or name not in {None, before.name}:
            raise UsageError("expected --at URL beside --server, --ca and another --name")
        found = before
    else:
        if name is None and (before is None or before.at != at):
            raise UsageError("expected --name NAME beside --at URL, by which it registers")
        known = before.name if name is None and before is not None else canonical(name or "")
        found = Admitted(at, known, server, _text(ca))
    if place is not None:
        found = replace(
            found,
            log=place if "://" in place else _text(Path(place)),
            log_policy=_text(policy),
            log_authorities=_text(log_ca),
        )
    return found if to is None else replace(found, cloud=to)


def _text(path: Path | None) -> str | None:
    """As it is found from any folder."""
    return None if path is None else str(path.absolute())


def _admission(
    settings: "Settings",
    said: "Admitted",
    token: Path | None,
    key_protection: str | None,
    *,
    replace: bool,
    json: bool,
) -> None:
    """Enrol with a server of admission, where this program can."""
    name = "bellwire.cli.device_admission"
    try:
        # By its name, as the program of a device alone is made of what this imports.
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise UsageError(
            "expected the whole of bellwire for --at URL, got the program of a device alone",
            hint="Enrol by a one-time code: bellwire-device enroll --code CODE --to HOST:PORT",
        ) from error
    module.enroll(settings, module.Wanted(said, token, replace, key_protection), json=json)


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
