"""`bellwire node`: one site's node."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import parse_address
from bellwire.cli.options import ConfigOption, SeedOption, StateOption, WithParentFlag

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from bellwire.node.settings import Settings


def command(
    site: Annotated[
        str | None, typer.Option(metavar="a|b", help="Whose node: a is Alice's, b is Bob's.")
    ] = None,
    link_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the link's sockets. Default: STATE/link."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="link|timetags:DIR|etsi014",
            help="What blocks are made from: photons of the link, this site's recording of time "
            "tags, or keys of a vendor's box.",
        ),
    ] = None,
    random: Annotated[
        str | None,
        typer.Option(
            metavar="os|device:PATH",
            help="What random bytes come from: the operating system, or a hardware generator "
            "beside it.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Site b: where the classical channel listens."),
    ] = None,
    peer: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Site a: where site b listens.")
    ] = None,
    kme: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT|off",
            help="Where keys are served over HTTPS. Default: as the settings say.",
        ),
    ] = None,
    authentication_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Pre-placed key for the first start; the file is removed."
        ),
    ] = None,
    new_authentication_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a new pre-placed key for both sites to FILE, and exit."
        ),
    ] = None,
    first_contact: Annotated[
        str | None,
        typer.Option(
            metavar="preplaced|signed",
            help="How the first authentication key is come by. Default: as the settings say.",
        ),
    ] = None,
    peer_identity: Annotated[
        str | None,
        typer.Option(
            metavar="FINGERPRINT",
            help="What the other site's `bellwire node --identity` says; for signed first contact.",
        ),
    ] = None,
    identity: Annotated[
        bool,
        typer.Option(
            "--identity",
            help="Print this node's identity for signed first contact, made if there is none; "
            "and exit.",
        ),
    ] = False,
    with_parent: WithParentFlag = False,
    lab: Annotated[
        bool, typer.Option("--lab", help="Allow what only experiments do: --seed, lab overhear.")
    ] = False,
    seed: SeedOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Run one site's node: distillation, key pool, link status, keys for local consumers."""
    import asyncio
    import signal
    from functools import partial

    from bellwire.node import assemble, logs
    from bellwire.node.first_contact import new_authentication_key as make_key
    from bellwire.node.settings import load

    if new_authentication_key is not None:
        size = make_key(new_authentication_key)
        output.emit({"written": str(new_authentication_key), "bytes": size})
        return
    if site not in assemble.SITES:
        raise UsageError("expected --site a or --site b")
    if seed is not None and not lab:
        raise UsageError(
            "--seed makes this node's choices known in advance: it is for experiments only",
            hint="Add --lab to run an experiment.",
        )
    overrides: dict[str, dict[str, object | None]] = {
        "state": {"dir": state},
        "distill": {"source": source},
        "random": {"source": random},
        "first_contact": {"method": first_contact, "peer_identity": peer_identity},
    }
    settings = load(config, overrides)
    if identity:
        _print_identity(assemble.node_folder(settings.state.dir, site), site)
        return
    logs.setup(settings.log.level, settings.log.format)
    # Until the node minds it: settings have just been read.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    default = (settings.addresses.classical_host, settings.addresses.classical_port)
    options = assemble.NodeOptions(
        site=site,
        link_dir=link_dir or settings.state.dir / "link",
        listen=parse_address(listen) if listen else default,
        peer=parse_address(peer) if peer else default,
        authentication_key=authentication_key,
        with_parent=with_parent,
        lab_seed=seed,
        kme=_kme(settings, site, kme),
        lab=lab,
    )
    # Keys are asked for often: this loop takes less of the processor for a request.
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        again = partial(load, config, overrides)
        runner.run(assemble.run_node(settings, options, output.emit, again))


def loop_factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    """uvloop's, where it is installed; None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _kme(settings: "Settings", site: str, said: str | None) -> tuple[str, int] | None:
    if said == "off":
        return None
    if said is not None:
        return parse_address(said)
    addresses = settings.addresses
    port = addresses.kme_a_port if site == "a" else addresses.kme_b_port
    return addresses.kme_host, port


def _print_identity(folder: Path, site: str) -> None:
    from bellwire.crypto.signatures import ALGORITHM, fingerprint
    from bellwire.node.identity import PUBLIC_FILE, load_or_create_identity

    key = load_or_create_identity(folder)
    output.emit(
        {
            "site": site,
            "identity": fingerprint(key.public_bytes).hex(),
            "algorithm": ALGORITHM,
            "public_key": folder / PUBLIC_FILE,
        }
    )
