#!/usr/bin/env python
"""All services at once, used all the while, with random faults: what is lost, doubled, or wrong?

    python tools/soak.py --minutes 30 --seed 7

`bellwire up --lab` runs in a network namespace of its own, on its usual ports: link, two nodes with
their KMEs, cloud, consoles, relay, log, two witnesses and admission. The relay's store is on a
PostgreSQL server, a guard that hears node A over NATS guards the relay's port in the kernel, and a
second cloud is reached through a Mosquitto. SAEs get keys at one site and fetch them at the other,
two devices send readings, and two people talk. Meanwhile, at random moments: a service is killed,
or frozen for seconds; `up` itself is killed with all of them, and started anew; one of the three
servers is killed; Eve comes onto the link; packets are late, or lost; a service's disk is full; the
wall clock jumps by minutes, forth or back. Then all is left in peace, and what was begun must have
come. Counted as wrong are

- a key given twice, two keys under one id, or lost while nothing was done to a node;
- a key that was given while the link was RED, or a connection to the relay in spite of the guard;
- a reading or a message that is lost, came twice, or out of order;
- services that do not come back, or a log that does not verify under its policy.

The last line is one JSON document; the exit code is 0 if nothing was wrong. Needs root for the
namespace; what the kernel or the system has no means for is left out, and told.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.soak.clock import FILE, movable
from tests.soak.faults import DISKS, Faults, disk
from tests.soak.parts import CLOUD, LOG, Chat, Device, Door, Machine, Unsound, command
from tests.soak.servers import Minded, Servers, can_guard, guard_of, plant
from tests.soak.watch import Watch
from tools.kill_kmes import BAD, Workers

INSIDE = "SOAK_FOLDER"
WORKERS = 4
PAUSE_S = 0.05
RECOVERS_WITHIN_S = 240.0


async def soak(
    folder: Path, seconds: float, seed: int, without: frozenset[str]
) -> dict[str, object]:
    """Run for so long; the figures."""
    rng = random.Random(seed)  # noqa: S311 - a soak has to be repeatable, as far as timing lets it
    began = time.monotonic()
    servers = Servers(folder, without)
    try:
        await asyncio.to_thread(servers.start)
        machine = Machine(folder, servers.settings)
        machine.state.mkdir(mode=0o700)
        for name in DISKS:
            disk(machine.state / name)
        try:
            await machine.start()
            figures = await used(machine, servers, rng, seconds, without)
        finally:
            await machine.stop()
    finally:
        await asyncio.to_thread(servers.stop)
    minutes = round((time.monotonic() - began) / 60, 1)
    return {**figures, "minutes": minutes, "seed": seed}


async def used(
    machine: Machine,
    servers: Servers,
    rng: random.Random,
    seconds: float,
    without: frozenset[str],
) -> dict[str, object]:
    """Use the services under faults, then in peace."""
    await until_well(machine)
    minded: list[Minded] = []
    left_out: dict[str, str] = {}
    devices = [Device(machine, "device", machine.state / "cloud", CLOUD)]
    guarded = "nats" in servers.names and "guard" not in without and can_guard()
    if guarded:
        minded.append(await guard_of(machine))
    else:
        left_out["guard"] = "not asked for, or nothing to guard with here"
    if servers.broker is not None:
        minded.append(plant(machine, servers.broker))
        folder = machine.folder / "plant" / "cloud"
        devices.append(Device(machine, "device-mqtt", folder, servers.broker))
    doors = [Door(machine.state, site) for site in "ab"]
    workers = Workers(doors[0], doors[1], rng, ("app-a", "app-b"), PAUSE_S)
    clock = Path(os.environ[FILE]) if FILE in os.environ else None
    faults = Faults(machine, rng, doors, servers, minded, clock, without)
    watch = Watch(machine, workers, guarded=guarded)
    chat = Chat(machine)
    memory_mb = [machine.memory_mb]
    tasks: list[asyncio.Task[Counter[str]]] = []
    others: list[asyncio.Task[None]] = []
    wrong: Counter[str] = Counter()
    try:
        for each in minded:
            await each.start()
        workers.begin(seconds)
        others.append(asyncio.create_task(watch.run()))
        tasks += [asyncio.create_task(device.run(seconds)) for device in devices]
        tasks.append(asyncio.create_task(chat.run(seconds)))
        working = [asyncio.create_task(workers.work()) for _ in range(WORKERS)]
        others += working
        await faults.run(seconds)
        await faults.end()
        wrong["services that did not come back"] = int(not await until_well(machine, ask=True))
        for found in await asyncio.gather(*tasks):
            wrong += found
        await asyncio.gather(*working)
        await workers.audit()
        memory_mb.append(machine.memory_mb)
    finally:
        for task in (*others, *tasks):
            task.cancel()
        await asyncio.gather(*others, *tasks, return_exceptions=True)
        for each in minded:
            await each.stop()
        for door in doors:
            await door.close()
    wrong["keys given on RED"] = watch.given_on_red
    wrong["connections in spite of the guard"] = watch.passed_on_red
    wrong["logs that do not verify"] = int(not await log_verifies(machine))
    wrong += Counter({name: workers.counts[name] for name in BAD})
    return {
        "passed": not +wrong,
        "wrong": dict(+wrong),
        "faults": dict(faults.done),
        "left_out": {**faults.left_out, **left_out},
        "keys": {name: workers.counts[name] for name in sorted(workers.counts)},
        "readings": {each.name: each.sent for each in devices},
        "messages": chat.messages,
        "looks_at_status": dict(watch.looks),
        "knocks_on_red": watch.knocks,
        "starts": {each.name: each.starts for each in minded},
        "services_memory_mb": [round(each) for each in memory_mb],
    }


async def until_well(machine: Machine, *, ask: bool = False) -> bool:
    """Wait until all services are ready and keys flow; whether they do.

    Raises:
        Unsound: they do not, and nobody asks.
    """
    until = time.monotonic() + RECOVERS_WITHIN_S
    while time.monotonic() < until:
        if await machine.well():
            return True
        await asyncio.sleep(0.5)
    if ask:
        return False
    raise Unsound("the services do not become ready")


async def log_verifies(machine: Machine) -> bool:
    """Whether the log can be read under its policy, witnesses included."""
    policy = str(machine.state / "ledger.policy")
    for _ in range(10):
        code, _ = await command(machine.state, "log", "entries", LOG, "--policy", policy, "--json")
        if code == 0:
            return True
        await asyncio.sleep(3.0)
    return False


def inside(folder: Path, seconds: float, seed: int, without: frozenset[str]) -> dict[str, object]:
    """The soak, in the namespace."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    try:
        figures = asyncio.run(soak(folder, seconds, seed, without))
    except Unsound as error:
        figures = {"passed": False, "wrong": {str(error): 1}, "seed": seed}
    if not figures["passed"]:
        kept = Path(tempfile.mkdtemp(prefix="soak-"))
        for log in folder.glob("*.log"):
            shutil.copy(log, kept)
        print(f"logs: {kept}", file=sys.stderr)
    return figures


def main() -> int:
    """Soak, in namespaces of its own; the figures as JSON."""
    parser = argparse.ArgumentParser(description="All services under use and random faults.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None, help="of faults and moments")
    parser.add_argument(
        "--without", action="append", default=[], help="a fault, a server or guard; again for more"
    )
    asked = parser.parse_args()
    if folder := os.environ.get(INSIDE):
        seed = random.SystemRandom().randrange(1 << 32) if asked.seed is None else asked.seed
        print(f"seed {seed}", file=sys.stderr, flush=True)
        figures = inside(Path(folder), 60 * asked.minutes, seed, frozenset(asked.without))
        print(json.dumps(figures))
        return 0 if figures["passed"] else 1
    with tempfile.TemporaryDirectory(prefix="bw", ignore_cleanup_errors=True) as name:
        clock = movable(Path(name)) or {}
        words = ["unshare", "--net", "--mount", sys.executable, *sys.argv]
        process = subprocess.Popen(words, env={**os.environ, INSIDE: name, **clock})
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()
        return process.wait()


if __name__ == "__main__":
    sys.exit(main())
