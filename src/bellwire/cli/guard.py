"""`bellwire guard`: lets packets of a service pass while the quantum link is well."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bellwire.cli import output
from bellwire.cli.guard_override import (
    guard_folder,
    journal_of,
    override,
    recording_of,
    show_log,
)
from bellwire.cli.keys.options import CaOption, CertOption, KeyOption, KmeOption, ProfileOption
from bellwire.cli.options import ConfigOption, MetricsOption, StateOption, WithParentFlag

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bellwire.guard.enforcer import Enforcer
    from bellwire.guard.report import Reporter
    from bellwire.guard.scope import Scope
    from bellwire.guard.service import Guard

app = typer.Typer(add_completion=False)
app.command("override")(override)
app.command("log")(show_log)

PortOption = Annotated[
    list[int] | None, typer.Option("--port", help="A guarded port; again for more. Default: 8765.")
]
AddressOption = Annotated[
    list[str] | None,
    typer.Option(
        "--address", help="An address or network of the guarded service; default: any address."
    ),
]
InterfaceOption = Annotated[
    list[str] | None,
    typer.Option("--interface", help="Packets count that come or go by it; default: by any."),
]

Firewall = Literal["nftables", "iptables-nft", "iptables-legacy"]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    kme: KmeOption = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    profile: ProfileOption = None,
    port: PortOption = None,
    address: AddressOption = None,
    interface: InterfaceOption = None,
    link: Annotated[
        list[str] | None,
        typer.Option("--link", help="A link that must be well; default: each that the node has."),
    ] = None,
    lease: Annotated[
        float, typer.Option(min=1.5, max=60.0, help="Seconds that a good word of the node lasts.")
    ] = 3.0,
    good: Annotated[
        int, typer.Option(min=1, max=600, help="Good words, one a second, before packets pass.")
    ] = 3,
    firewall: Annotated[
        Firewall, typer.Option(help="Which firewall of the kernel has the rules.")
    ] = "nftables",
    on_exit: Annotated[
        Literal["remove", "stop"],
        typer.Option(help="At an orderly end: take the rules away, or let nothing pass."),
    ] = "remove",
    nats: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Hear the node over this NATS server, not at its door."),
    ] = None,
    node_identity: Annotated[
        str | None,
        typer.Option(
            metavar="FINGERPRINT", help="Who signs then: as `bellwire node --identity` says."
        ),
    ] = None,
    site: Annotated[str | None, typer.Option(metavar="a|b", help="Whose node that is.")] = None,
    console: Annotated[
        str | None,
        typer.Option(metavar="URL", help="This site's console, which is told how the guard is."),
    ] = None,
    console_token: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Has the token of the guard's account there."),
    ] = None,
    console_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Who signs its certificate, PEM. Default: as the system says."
        ),
    ] = None,
    places: Annotated[
        str | None,
        typer.Option(metavar="FILE|URL", help="Follow a relay that moves, by its notices there."),
    ] = None,
    relay_id: Annotated[
        str | None,
        typer.Option(metavar="FINGERPRINT", help="Which relay: who must have signed them."),
    ] = None,
    grace: Annotated[
        float,
        typer.Option(min=0.0, max=600.0, help="Seconds that its old places pass after a move."),
    ] = 5.0,
    metrics: MetricsOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the rules, and change nothing.")
    ] = False,
    print_states: Annotated[
        bool, typer.Option("--print", help="Print each change of state, one JSON line each.")
    ] = False,
    with_parent: WithParentFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Let packets of a service pass in the kernel while the quantum link is well, and no longer.

    The node tells its status once a second and at each change; each good word is a lease of some
    seconds, after which the kernel by itself lets nothing pass. The first line on standard output
    is a JSON document that says what is guarded. It runs until it is told to stop, and needs
    CAP_NET_ADMIN and the status of the node: any SAE's certificate, or --nats.
    """
    if context.invoked_subcommand is not None:
        return
    import asyncio

    from bellwire.base.clock import system_clock
    from bellwire.cli.guard_console import reporter_to
    from bellwire.cli.guard_places import AskedPlaces, follower_of
    from bellwire.cli.guard_rules import show_rules
    from bellwire.cli.guard_telling import Telling
    from bellwire.cli.guard_words import OverNats, words_of
    from bellwire.cli.keys.options import Asked
    from bellwire.guard.decision import Decision, Rules
    from bellwire.guard.journal import Recorder
    from bellwire.guard.override import read_override
    from bellwire.guard.scope import CHAT_PORT, Scope, read_addresses
    from bellwire.guard.service import Guard
    from bellwire.node import logs
    from bellwire.node.ledger import delivering
    from bellwire.node.settings import load

    addresses = read_addresses(tuple(address or ()))
    scope = Scope(tuple(port or [CHAT_PORT]), addresses, tuple(interface or ()))
    settings = load(config, {"state": {"dir": state}, "push": {"nats": nats}})
    logs.setup(settings.log.level, settings.log.format)
    folder = guard_folder(settings.state.dir)
    moves = follower_of(AskedPlaces(places, relay_id, grace), scope, folder)
    if dry_run:
        if moves is not None:
            asyncio.run(moves.ask(keep=False))
            scope = moves.scope()
        show_rules(scope, firewall, lease)
        return
    enforcer = _enforcer(firewall, scope if moves is None else moves.scope(), lease)
    asked = Asked(kme, cert, key, ca, None, profile, state, config)
    url, words = words_of(asked, OverNats(nats, node_identity, site), settings)
    fixed: dict[str, object] = {
        "firewall": firewall,
        "ports": scope.ports,
        "addresses": [str(each) for each in scope.addresses],
        "interfaces": scope.interfaces,
        "lease_s": lease,
    }
    followed = {} if places is None else {"places": places, "relay_id": relay_id, "grace_s": grace}
    recorder = Recorder(folder, system_clock, recording_of(settings))
    bringing = delivering(settings.ledger, journal_of(settings).transaction)
    reporter = reporter_to(console, console_token, console_ca, fixed)
    telling = Telling(recorder, reporter, print_states=print_states)
    guard = Guard(
        enforcer,
        Decision(Rules(lease_s=lease, good=good, links=frozenset(link or ()))),
        words,
        lease_s=lease,
        override=lambda: read_override(folder, system_clock()),
        clock=system_clock,
        told=telling.tell,
        did=telling.did,
        moves=moves,
    )
    try:
        with telling.shown(guard, metrics) as scraped_at:
            guard.begin()
            _warn_of_offload()
            about = {"ready": True, "service": "guard", "node": url, **fixed, **followed}
            asyncio.run(
                _guard(
                    guard,
                    reporter,
                    {**about, "metrics": scraped_at},
                    bringing,
                    with_parent=with_parent,
                    remove=on_exit == "remove",
                )
            )
    finally:
        recorder.close()


async def _guard(
    guard: "Guard",
    reporter: "Reporter | None",
    about: dict[str, object],
    bringing: "AbstractAsyncContextManager[object]",
    *,
    with_parent: bool,
    remove: bool,
) -> None:
    import asyncio

    from bellwire.base.lifetime import until_stopped
    from bellwire.base.memory import settle_memory
    from bellwire.guard.turns import take_turns_soon

    stop = asyncio.create_task(until_stopped(with_parent=with_parent))
    guarding = asyncio.create_task(guard.run())
    await asyncio.sleep(0)
    settle_memory()
    take_turns_soon()
    output.emit(about)
    reporting = None if reporter is None else asyncio.create_task(reporter.run(lambda: guard.state))
    try:
        async with bringing:
            await asyncio.wait({stop, guarding}, return_when=asyncio.FIRST_COMPLETED)
        if guarding.done():
            guarding.result()
    finally:
        tasks = [task for task in (stop, guarding, reporting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        guard.end(remove=remove)


def _warn_of_offload() -> None:
    """Say which connections would go past the rules; where nothing can tell, say nothing."""
    import structlog

    from bellwire.base.errors import BellwireError
    from bellwire.guard.machine import flow_tables
    from bellwire.guard.nft import Nft

    try:
        nft = Nft()
        try:
            flows = flow_tables(nft)
        finally:
            nft.close()
    except BellwireError:
        return
    if flows:
        structlog.get_logger("guard").warning(
            "flow tables let established connections past the rules", tables=flows
        )


def _enforcer(firewall: Firewall, scope: "Scope", lease_s: float) -> "Enforcer":
    from bellwire.guard.enforcer import NftEnforcer
    from bellwire.guard.errors import FirewallUnusable
    from bellwire.guard.iptables import IptablesEnforcer
    from bellwire.guard.nft import Nft

    if firewall == "nftables":
        return NftEnforcer(Nft(), scope)
    if lease_s < 2 or not lease_s.is_integer():
        raise FirewallUnusable(
            f"--lease: expected whole seconds from 2 on, which is what ipset knows, got {lease_s:g}"
        )
    return IptablesEnforcer("nft" if firewall == "iptables-nft" else "legacy", scope)
