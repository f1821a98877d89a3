"""`bellwire keys ca`: certificates of a site's SAEs, and the authority that signs them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.node.settings import Settings
    from bellwire.pki.authority import Authority
    from bellwire.pki.files import Written
    from bellwire.pki.index import Certificate

SITES = ("a", "b")
KME_URLS = {"a": "https://127.0.0.1:8441", "b": "https://127.0.0.1:8442"}
NETWORK_URL = "https://127.0.0.1:8443"
"""Where a site's key server listens, on this machine, unless told otherwise."""

app = typer.Typer(no_args_is_help=True, help="Certificates of a site's SAEs.")

SiteOption = Annotated[
    str, typer.Option(metavar="a|b", help="Whose SAE it is; or a network's site.")
]
SaeArgument = Annotated[str, typer.Argument(metavar="SAE_ID", help="Id of the SAE.")]
OptionalSae = Annotated[
    str | None, typer.Argument(metavar="[SAE_ID]", show_default=False, help="Id of the SAE.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", file_okay=False, help="Where the files go; made if missing."),
]
DaysOption = Annotated[
    float, typer.Option(metavar="DAYS", help="How long the certificate is valid.")
]
NewProfile = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Write a profile of this name for `bellwire keys` as well."),
]
KmeUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="With --profile: the key server. Default: this machine's."),
]
PeerOption = Annotated[
    str | None, typer.Option(metavar="SAE_ID", help="With --profile: the other SAE.")
]


@app.callback()
def _group() -> None:
    """Certificates of a site's SAEs."""


@app.command("issue")
def issue(
    sae: SaeArgument,
    site: SiteOption,
    out: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Where files go; made if missing.")
    ],
    days: DaysOption = 365.0,
    profile: NewProfile = None,
    kme: KmeUrl = None,
    peer: PeerOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Issue a certificate: SAE_ID.crt, SAE_ID.key and ca.crt in DIR; makes the site's authority."""
    from bellwire.etsi014.credentials import Credentials
    from bellwire.etsi014.profile import Profile, check_profile, write_profile
    from bellwire.pki.files import sae_files, write_new
    from bellwire.pki.names import check_id

    if profile is None and (kme or peer):
        raise UsageError("--kme and --peer are for a profile: expected --profile NAME as well")
    settings = _settings(state, config)
    folder = settings.state.dir
    authority = _authority(folder, site)
    files = sae_files(out, check_id(sae))
    credentials = Credentials(files.certificate, files.key, files.authorities)
    ours = Profile(kme or KME_URLS.get(site, NETWORK_URL), sae, credentials, peer)
    if profile is not None:
        check_profile(folder, profile, ours)
    authority.create()
    written = write_new(authority, sae, out, days=days)
    _record(settings, site, "certificate issued", written.record)
    where = None if profile is None else write_profile(folder, profile, ours)
    _tell(site, written, {"profile": where}, as_json=json)


@app.command("rotate")
def rotate(
    site: SiteOption,
    sae: OptionalSae = None,
    out: OutOption = None,
    days: DaysOption = 365.0,
    revoke_old: Annotated[
        bool, typer.Option("--revoke-old", help="Revoke the SAE's earlier certificates.")
    ] = False,
    authority: Annotated[
        bool, typer.Option("--authority", help="Replace the site's authority itself.")
    ] = False,
    overlap_days: Annotated[
        float,
        typer.Option(metavar="DAYS", help="How long the old authority is believed as well."),
    ] = 90.0,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Issue a new certificate and key for an SAE that has one, or make a new authority."""
    from bellwire.node.audit import record
    from bellwire.pki.files import write_again

    if authority == (sae is not None):
        raise UsageError("expected either an SAE's id or --authority")
    if sae is not None and out is None:
        raise UsageError("expected --out DIR, where the files of the SAE go")
    settings = _settings(state, config)
    keeper = _authority(settings.state.dir, site)
    if sae is None or out is None:
        ends = _moment(keeper.rotate(overlap_days=overlap_days))
        record(settings, site, "authority replaced", others_end=ends)
        if json:
            output.emit({"site": site, "others_end": ends})
        else:
            output.stdout().print(
                f"A new authority signs for site {site}; others are believed until {ends}. "
                "Give each SAE a certificate of it before then: bellwire keys ca rotate SAE_ID"
            )
        return
    written = write_again(keeper, sae, out, days=days, revoke_old=revoke_old)
    revoked = [each.issued.serial for each in written.revoked]
    _record(settings, site, "certificate issued", written.record)
    for each in written.revoked:
        _record(settings, site, "certificate revoked", each)
    _tell(site, written, {"revoked": revoked}, as_json=json)


@app.command("revoke")
def revoke(
    site: SiteOption,
    sae: OptionalSae = None,
    serial: Annotated[
        str | None, typer.Option(metavar="HEX", help="One certificate, by its serial number.")
    ] = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Revoke all certificates of an SAE, or one; a running node heeds it within a second."""
    if (sae is None) == (serial is None):
        raise UsageError("expected either an SAE's id or --serial HEX")
    settings = _settings(state, config)
    revoked = _authority(settings.state.dir, site).revoke(name=sae, serial=serial)
    for each in revoked:
        _record(settings, site, "certificate revoked", each)
    if json:
        output.emit({"site": site, "revoked": [_document(each) for each in revoked]})
        return
    for each in revoked:
        output.stdout().print(f"revoked {each.issued.serial} of {each.issued.name}")
    if not revoked:
        output.stdout().print("All of these were revoked before.")


@app.command("list")
def show(
    site: SiteOption,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show every certificate that the site's authority has issued, and what it is worth now."""
    rows = [
        _document(each)
        for each in _authority(_settings(state, config).state.dir, site).certificates()
    ]
    if json:
        output.emit({"site": site, "certificates": rows})
        return
    for each in rows:
        output.stdout().print(
            f"{each['serial']:<40}  {each['kind']}  {each['state']:<10}  until {each['not_after']}"
            f"  {each['name']}",
            soft_wrap=True,
        )


def _settings(state: Path | None, config: Path | None) -> "Settings":
    from bellwire.node.settings import load

    return load(config, {"state": {"dir": state}})


def _record(settings: "Settings", site: str, event: str, certificate: "Certificate") -> None:
    from bellwire.node.audit import record

    issued = certificate.issued
    record(settings, site, event, name=issued.name, serial=issued.serial, kind=issued.kind)


def _authority(folder: Path, site: str) -> "Authority":
    from bellwire.node.network.place import is_network_site
    from bellwire.pki.authority import Authority, authority_folder

    if site not in SITES and not is_network_site(folder, site):
        raise UsageError(
            f"expected --site {' or --site '.join(SITES)}, got {site[:40]!r}",
            hint="A site of a network has its state here once `bellwire network identity` was run.",
        )
    return Authority(authority_folder(folder, site), site)


def _tell(site: str, written: "Written", more: dict[str, Any], *, as_json: bool) -> None:
    files, record = written.files, _document(written.record)
    if as_json:
        output.emit(
            {
                "site": site,
                "sae": record["name"],
                "serial": record["serial"],
                "not_after": record["not_after"],
                "certificate": files.certificate,
                "key": files.key,
                "ca": files.authorities,
                **more,
            }
        )
        return
    lines = [
        f"{record['name']} of site {site}, valid until {record['not_after']}",
        f"certificate  {files.certificate}",
        f"private key  {files.key}",
        f"authority    {files.authorities}",
    ]
    if more.get("profile") is not None:
        lines.append(f"profile      {more['profile']}")
    lines += [f"revoked      {each}" for each in more.get("revoked", [])]
    for line in lines:
        output.stdout().print(line, soft_wrap=True)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _document(certificate: "Certificate") -> dict[str, Any]:
    import time

    issued, revoked = certificate.issued, certificate.revoked_at
    return {
        "name": issued.name,
        "kind": issued.kind,
        "serial": issued.serial,
        "fingerprint": issued.fingerprint,
        "state": certificate.state(time.time()).value,
        "not_before": _moment(issued.not_before),
        "not_after": _moment(certificate.ends),
        "revoked_at": None if revoked is None else _moment(revoked),
    }
