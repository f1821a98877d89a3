"""`bellwire up`: prepare, start, mind and stop all services of this machine."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.lifetime import until_stopped
from bellwire.base.together import until_one_ends
from bellwire.node.settings import Settings
from bellwire.services.keeper import Say
from bellwire.services.messages import Services
from bellwire.services.place import Place, place_of
from bellwire.services.plan import programs
from bellwire.services.ports import check_ports
from bellwire.services.prepare import prepare, write_profiles
from bellwire.services.supervisor import Supervisor

Watch = Callable[[Callable[[], Services]], Awaitable[None]]
"""Shows how services are, until it is cancelled."""


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line says.

    Attributes:
        settings: Of all services.
        config: The settings file to hand on to them, absolute.
        lab: Whether the link is one of the lab.
    """

    settings: Settings
    config: Path | None
    lab: bool


async def run_up(
    options: UpOptions, say: Say, ready: Callable[[Services], None], watch: Watch | None = None
) -> None:
    """Run all services until a signal or `bellwire down`.

    Args:
        options: From the command line.
        say: Called with a sentence for people whenever something happens.
        ready: Called once, when all services are up.
        watch: Runs beside them, if given.

    Raises:
        ServicesUp, PortTaken, PlanUnusable: they cannot be started here.
        UsageError, RefusedError: what a service said that can never start.
        PathUnusable, PathExposed: a folder or file cannot be used.
    """
    settings = options.settings
    place = place_of(settings.state.dir)
    with place.taken():
        plan = programs(
            settings,
            place,
            config=options.config,
            lab=options.lab,
            identities=await asyncio.to_thread(prepare, settings, place),
        )
        check_ports(port for each in plan for port in each.ports)
        stopping = asyncio.create_task(until_stopped(with_parent=False))
        try:
            async with Supervisor(plan, place, say) as supervisor:
                works = [stopping, _up(supervisor, place, ready), supervisor.asked_to_stop.wait()]
                if watch is not None:
                    works.append(watch(supervisor.services))
                await until_one_ends(*works)
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)


async def _up(supervisor: Supervisor, place: Place, ready: Callable[[Services], None]) -> None:
    await supervisor.until_up()
    write_profiles(place, supervisor.known)
    # Whoever started us need not read on.
    with contextlib.suppress(BrokenPipeError):
        ready(supervisor.services())
    await asyncio.Event().wait()
