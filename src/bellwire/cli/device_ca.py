"""`bellwire device ca`: an authority that certifies devices and clouds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, ToOption, protect, protection_of

if TYPE_CHECKING:
    from bellwire.crypto.kek.source import KekSource

app = typer.Typer(no_args_is_help=True, help="An authority that certifies devices and clouds.")

CertificateOf = Literal["device", "cloud"]


@app.callback()
def _group() -> None:
    """An authority that certifies devices and clouds."""


@app.command("init")
def init(
    algorithms: Annotated[
        Literal["both", "ed25519", "ml-dsa-65"],
        typer.Option(help="What it signs with; all of it must verify."),
    ] = "both",
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Make an authority."""
    from bellwire.iot import authority

    folder, protection = _place(state, config, key_protection)
    made = authority.create(folder, algorithms, protection)
    document = {
        "authority": made.public.fingerprint.hex(),
        "public_key": made.folder / authority.PUBLIC_FILE,
        "revoked": made.folder / authority.REVOKED_FILE,
    }
    if json:
        output.emit(document)
        return
    console = output.stdout()
    console.print(f"The authority is {document['authority']}.")
    console.print(f"Its public key, for clouds and devices: {document['public_key']}")
    console.print(f"Its list of revoked certificates, for clouds: {document['revoked']}")


@app.command("issue")
def issue(
    key: Annotated[Path, typer.Argument(metavar="FILE", help="device.pub or cloud.pub.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the certificate goes.")],
    role: Annotated[CertificateOf, typer.Option(help="Whose key it is.")] = "device",
    days: Annotated[float, typer.Option(help="How long it is valid.")] = 365.0,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Certify a device's or a cloud's public key."""
    from bellwire.base.private import write_whole
    from bellwire.channel.certificates import Role, read_certificate
    from bellwire.iot.authority import load
    from bellwire.iot.identity import read_public

    authority = load(*_place(state, config, key_protection))
    data = authority.issue(read_public(key, role), days)
    write_whole(out, data, 0o644, replace=True)
    certificate = read_certificate(data, authority.public, Role[role.upper()])
    if json:
        output.emit(
            {
                "serial": certificate.serial.hex(),
                "name": certificate.name,
                "role": role,
                "not_after": certificate.not_after,
                "certificate": out,
                "bytes": len(data),
            }
        )
        return
    output.stdout().print(
        f"{out}: certificate {certificate.serial.hex()} of {role} {certificate.name!r}, "
        f"{len(data):,} bytes, for {days:g} days."
    )


@app.command("revoke")
def revoke(
    certificate: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate.")],
    role: Annotated[CertificateOf, typer.Option(help="Whose certificate it is.")] = "device",
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Take a certificate back: renew the list that clouds read."""
    from bellwire.channel.certificates import MAX_CERTIFICATE_BYTES, Role
    from bellwire.iot.authority import REVOKED_FILE, load
    from bellwire.iot.trust_files import read_public_bytes

    authority = load(*_place(state, config, key_protection))
    data = read_public_bytes(certificate, MAX_CERTIFICATE_BYTES)
    taken = authority.revoke(data, Role[role.upper()])
    path = authority.folder / REVOKED_FILE
    number = authority.revoked().number
    if json:
        output.emit({"serial": taken.serial.hex(), "revoked": path, "number": number})
        return
    output.stdout().print(
        f"Certificate {taken.serial.hex()} of {taken.name!r} is revoked. "
        f"Copy {path}, list {number}, to every cloud."
    )


@app.command("protect")
def protect_seeds(
    to: ToOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Say how the authority's seeds rest, or wrap them: see `device protect`."""
    from bellwire.iot.authority import FOLDER, SEEDS
    from bellwire.node import settings as node_settings

    settings = node_settings.load(config, {"state": {"dir": state}})
    folder = settings.state.dir / FOLDER
    protect(settings, folder, SEEDS, key_protection, to, json=json)


def _place(
    state: Path | None, config: Path | None, key_protection: str | None
) -> "tuple[Path, KekSource | None]":
    """The authority's folder, and what wraps its seeds."""
    from bellwire.iot.authority import FOLDER
    from bellwire.node import settings as node_settings

    settings = node_settings.load(config, {"state": {"dir": state}})
    folder = settings.state.dir / FOLDER
    return folder, protection_of(settings, key_protection, folder)
