"""The demo: photons to a decrypted message, Eve on the fibre and gone again, told as it happens.

Five processes (link, two nodes, device, cloud) do the work; this module starts them, asks the
nodes for blocks as an operator would, sends the device's readings, and writes down what came.
Nothing here sees a key.
"""

import asyncio
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.base.errors import BellwireError, RefusedError
from bellwire.crypto.kdf import hkdf
from bellwire.demo.processes import Crew, Service, error_of
from bellwire.demo.recordings import EVE_LEFT_OUT, Recordings
from bellwire.demo.stages import sentence, to_stage
from bellwire.demo.story import (
    GENERATED_HONESTY,
    RECORDED_HONESTY,
    Authentication,
    Device,
    Event,
    EventKind,
    Process,
    Stage,
    Story,
    Thresholds,
    preview,
)
from bellwire.demo.workplace import workplace
from bellwire.distill.report import ASSUMPTIONS
from bellwire.iot.readings import Readings, read_readings
from bellwire.iot.sensors import record
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.model import KeySourceKind
from bellwire.keys.status import Status
from bellwire.link.client import ControlClient
from bellwire.link.eve import Eve as EveOnLink
from bellwire.link.eve import EveKind
from bellwire.node.first_contact import new_authentication_key
from bellwire.node.operator import OperatorClient
from bellwire.node.physics import link_config
from bellwire.node.settings import Settings

E91_PAIRS = 200_000
"""Pairs of a block, or coincidences of one from recordings."""

BB84_PULSES = 200_000
DEATH_IS_KNOWN_S = 3.0
LIVE_READINGS = 24
LIVE_INTERVAL_S = 0.05
SPARE_RECOVERY_BLOCKS = 3
PATIENCE_S = 300.0
"""With a node that is there but busy. One that dies ends the demo at once."""

ASK_AGAIN_S = 0.02

Say = Callable[[str, str], None]
"""Called with (mark, sentence) as the story goes on; marks are `note`, `good` and `bad`."""


class NotAsExpected(BellwireError):
    """The demo ran, and what it showed is not what it must show."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says.

    Attributes:
        data: File of readings that the device sends; None takes live ones of this machine.
        report: Folder of the report.
        seed: Makes link and choices reproducible.
        settings: Of all services.
        config: Settings file to hand on to the services.
        recordings: Where the light comes from; None simulates it.
    """

    data: Path | None
    report: Path
    seed: int | None
    settings: Settings
    config: Path | None
    recordings: Recordings | None = None


@dataclass(slots=True)
class _Told:
    """What has happened so far."""

    began: float = field(default_factory=time.monotonic)
    stages: list[Stage] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    refusal: str | None = None
    sends: list[dict[str, Any]] = field(default_factory=list)
    programs: dict[str, int] = field(default_factory=dict)


async def run_demo(options: DemoOptions, say: Say) -> Story:
    """Run the whole story and write its report.

    Raises:
        ServiceStopped: a service died; UsageError: the folder cannot be used, or is in use;
        BellwireError: what a service said.
    """
    with workplace(options.settings.state.dir) as folder:
        async with Crew(folder / "logs", _environment(options)) as crew:
            demo = asyncio.create_task(_Demo(options, folder, crew, say).tell())
            death = asyncio.create_task(crew.until_one_dies())
            try:
                await asyncio.wait({demo, death}, return_when=asyncio.FIRST_COMPLETED)
                if demo.done() and demo.exception() is not None:
                    # A story can stumble over a dead service before the watcher hears of it.
                    await asyncio.wait({death}, timeout=DEATH_IS_KNOWN_S)
                if death.done():
                    raise death.result()
                return demo.result()
            finally:
                for task in (demo, death):
                    task.cancel()
                await asyncio.gather(demo, death, return_exceptions=True)


def _environment(options: DemoOptions) -> dict[str, str]:
    environment = dict(os.environ)
    environment["BELLWIRE_STATE__DIR"] = str(options.settings.state.dir / "demo")
    environment["BELLWIRE_LOG__FORMAT"] = "json"
    environment["BELLWIRE_FIRST_CONTACT__METHOD"] = "preplaced"
    # The story's blocks are asked for one by one; nothing else may come between.
    environment["BELLWIRE_DISTILL__TARGET_STOCK_BITS"] = "0"
    if options.recordings is not None:
        environment["BELLWIRE_DISTILL__PROTOCOL"] = options.recordings.protocol
        # A probe would use photons up that are not coming again.
        environment["BELLWIRE_DISTILL__PROBE_INTERVAL_S"] = "3600"
    return environment


class _Demo:
    def __init__(self, options: DemoOptions, folder: Path, crew: Crew, say: Say) -> None:
        self._options = options
        self._folder = folder
        self._crew = crew
        self._say = say
        self._told = _Told()
        link = options.settings.link
        self._recordings = options.recordings
        self._config = link_config(link) if self._recordings is None else None

    async def tell(self) -> Story:
        who = "two nodes" if self._recordings else "the link, two nodes"
        self._say("note", f"starting {who} and the cloud, each a process of its own")
        _, self._path = await asyncio.gather(self._start(), self._readings())
        readings = await asyncio.to_thread(read_readings, self._path)
        self._say("good", "everybody is there; the nodes have a line to each other")
        # The pictures' library takes a second to load, and a core is often idle.
        page = asyncio.create_task(asyncio.to_thread(import_module, "bellwire.demo.page"))
        if self._recordings is None:
            await self._simulated(len(readings))
        else:
            await self._recorded(len(readings), self._recordings)
        story = await self._conclude(readings)
        self._say("note", "drawing the pictures")
        await asyncio.to_thread((await page).write_report, story, self._options.report)
        return story

    async def _simulated(self, readings: int) -> None:
        await self._stage("e91", "E91: entangled pairs, judged on S", Protocol.E91)
        await self._stage("bb84", "BB84: single photons, judged on QBER", Protocol.BB84)
        await self._send((readings + 1) // 2)
        await self._attacks()
        await self._try_on_red()
        await self._recover()
        await self._send(readings)

    async def _recorded(self, readings: int, recordings: Recordings) -> None:
        """The honest part: blocks for as long as the recordings have light for whole ones."""
        protocol = recordings.protocol
        name = protocol.upper()
        first = await self._stage(protocol, f"{name} from recorded time tags", protocol)
        self._say("note", EVE_LEFT_OUT)
        self._event(EventKind.NOTE, "Eve is left out", first.status)
        await self._send((readings + 1) // 2)
        if first.step("coincidences") == E91_PAIRS:
            await self._more_light(protocol, f"{name}, the next stretch of tags")
        await self._send(readings)

    async def _more_light(self, protocol: Protocol, title: str) -> None:
        began = time.monotonic()
        report = await self._block(protocol, E91_PAIRS)
        if report["detected"] < E91_PAIRS and not report["accepted"]:
            self._say("note", f"the recordings end: {report['message']}")
            self._event(EventKind.NOTE, "the recordings end", await self._status())
            return
        await self._tell_stage(f"{protocol}-2", title, report, None, began)

    # -- services ----------------------------------------------------------------------------

    async def _start(self) -> None:
        folder = self._folder
        key = folder / "authentication.key"
        new_authentication_key(key)
        for site in "ab":
            shutil.copyfile(key, folder / f"authentication-{site}.key")
            (folder / f"authentication-{site}.key").chmod(0o600)
        key.unlink()
        _, self._bob, self._cloud = await asyncio.gather(
            self._begin_link(),
            self._begin("node-b", *self._node_arguments("b"), "--listen", "127.0.0.1:0"),
            self._begin(
                "cloud", "cloud", "--with-parent", "--listen", "127.0.0.1:0",
                "--keys", str(folder / "node-b" / "keys.sock"),
            ),
        )  # fmt: skip
        self._alice, _ = await asyncio.gather(
            self._begin(
                "node-a", *self._node_arguments("a"), "--peer", self._bob.ready["classical"]
            ),
            self._enroll(),
        )
        self._control = ControlClient(folder / "link" / "control.sock")
        self._operator = OperatorClient(Path(self._alice.ready["operator"]))
        self._witness = OperatorClient(Path(self._bob.ready["operator"]))
        self._keys = [DeliveryClient(Path(node.ready["keys"])) for node in (self._alice, self._bob)]

    async def _begin_link(self) -> None:
        if self._recordings is None:
            await self._begin("link", *self._link_arguments())

    async def _begin(self, name: str, *arguments: str) -> Service:
        service = await self._crew.start(name, *arguments)
        self._say("note", f"{name} is there, process {service.process.pid}")
        return service

    def _link_arguments(self) -> list[str]:
        config = self._config
        assert config is not None
        arguments = [
            "link", "--run-dir", str(self._folder / "link"), "--lab", "--with-parent",
            "--km", repr(config.fibre_km),
            "--loss", repr(config.loss_db_per_km),
            "--insertion-loss", repr(config.insertion_loss_db),
            "--efficiency", repr(config.detector_efficiency),
            "--dark", repr(config.dark_count_probability),
            "--misalignment", repr(config.misalignment),
        ]  # fmt: skip
        return arguments + self._seed_arguments("link")

    def _node_arguments(self, site: str) -> list[str]:
        arguments = [
            "node", "--site", site, "--with-parent", "--kme", "off",
            "--authentication-key", str(self._folder / f"authentication-{site}.key"),
        ]  # fmt: skip
        if self._options.config is not None:
            arguments += ["--config", str(self._options.config)]
        arguments += ["--source", self._recordings.source(site) if self._recordings else "link"]
        seed = self._seed_arguments(f"node {site}")
        return arguments + (["--lab", *seed] if seed else [])

    def _seed_arguments(self, purpose: str) -> list[str]:
        """Three independent seeds from one: no process can tell another's from its own."""
        if self._options.seed is None:
            return []
        derived = hkdf(str(self._options.seed).encode(), info=purpose.encode(), length=8)
        return ["--seed", str(int.from_bytes(derived, "big"))]

    async def _readings(self) -> Path:
        if self._options.data is not None:
            return self._options.data.resolve()
        return await asyncio.to_thread(
            record, self._folder / "readings", LIVE_READINGS, interval_s=LIVE_INTERVAL_S
        )

    async def _enroll(self) -> None:
        """Device and cloud pin each other's public keys, as an installer would."""
        ready = self._cloud.ready
        await self._device(
            "enroll", "--name", "sensor-1",
            "--cloud-key", ready["public_key"], "--allow", ready["allowed"],
        )  # fmt: skip

    # -- blocks ------------------------------------------------------------------------------

    async def _stage(
        self, name: str, title: str, protocol: Protocol, eve: EveOnLink | None = None
    ) -> Stage:
        began = time.monotonic()
        pulses = E91_PAIRS if protocol.entangled else BB84_PULSES
        report = await self._block(protocol, pulses)
        return await self._tell_stage(name, title, report, eve, began)

    async def _tell_stage(
        self,
        name: str,
        title: str,
        report: dict[str, Any],
        eve: EveOnLink | None,
        began: float,
    ) -> Stage:
        wall_s = time.monotonic() - began
        status = await self._status()
        stage = to_stage(
            report, self._config, eve, name=name, title=title, wall_s=wall_s, status=status
        )
        self._told.stages.append(stage)
        kind = EventKind.BLOCK_ACCEPTED if stage.accepted else EventKind.BLOCK_REJECTED
        self._event(kind, title, stage.status)
        self._say("good" if stage.accepted == (eve is None) else "bad", sentence(stage))
        return stage

    async def _block(self, protocol: Protocol, pulses: int) -> dict[str, Any]:
        """Run a block at Alice's node; Bob's must have come to the same verdict by itself."""
        deadline = time.monotonic() + PATIENCE_S
        report: dict[str, Any] | None = None
        while report is None:
            try:
                report = await self._operator.distil(protocol, pulses)
            except BellwireError:
                # Alice's node may still be connecting.
                if time.monotonic() > deadline or self._told.stages:
                    raise
                await asyncio.sleep(0.1)
        theirs = await self._report_of_bob(report["number"])
        if theirs["accepted"] != report["accepted"]:
            raise NotAsExpected(
                f"node A {'accepts' if report['accepted'] else 'rejects'} block "
                f"{report['number']} and node B does not agree"
            )
        return report

    async def _report_of_bob(self, number: int) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for _at, _time, report in await self._witness.reports():
                if report["number"] == number and not report["probe"]:
                    return report
            await asyncio.sleep(ASK_AGAIN_S)
        raise NotAsExpected(f"node B has not heard of block {number}")

    async def _status(self) -> Status:
        """What both nodes say; the worse of the two where they differ for a moment."""
        order = (Status.GREEN, Status.YELLOW, Status.RED)
        views = await asyncio.gather(*(client.status() for client in self._keys))
        return max((view.status for view in views), key=order.index)

    # -- Eve ---------------------------------------------------------------------------------

    async def _attacks(self) -> None:
        whole = [
            ("eve-bb84-intercept", Protocol.BB84, EveOnLink(EveKind.INTERCEPT_RESEND, 1.0)),
            ("eve-e91-intercept", Protocol.E91, EveOnLink(EveKind.INTERCEPT_RESEND, 1.0)),
            ("eve-e91-ghz", Protocol.E91, EveOnLink(EveKind.GHZ, 1.0)),
        ]
        for name, protocol, eve in whole:
            await self._control.set_eve(eve)
            what = "measures and resends" if eve.kind is EveKind.INTERCEPT_RESEND else "entangles"
            self._event(EventKind.EVE_ON, f"Eve {what} every photon", await self._status())
            whose = f"every photon of {protocol.upper()}"
            self._say("bad", f"Eve is on the fibre: she {what} {whose}")
            stage = await self._stage(name, f"{protocol.upper()} while Eve {what}", protocol, eve)
            if stage.accepted or stage.status is not Status.RED:
                raise NotAsExpected(f"Eve was not caught in stage {name}")

    async def _recover(self) -> None:
        await self._control.set_eve(None)
        self._event(EventKind.EVE_OFF, "Eve is gone", await self._status())
        needed = self._options.settings.status.recovery_blocks
        self._say("note", f"Eve is gone; {needed} accepted blocks in a row end RED")
        tries = needed + SPARE_RECOVERY_BLOCKS
        for attempt in range(1, tries + 1):
            stage = await self._stage(
                f"recovery-{attempt}", f"E91 again, block {attempt}", Protocol.E91
            )
            if stage.status is Status.GREEN:
                return
        raise NotAsExpected(f"the link did not turn GREEN within {tries} clean blocks")

    # -- the device --------------------------------------------------------------------------

    async def _device(self, verb: str, *arguments: str) -> dict[str, Any]:
        """Run the device's program; its document, or the error that it printed."""
        done = await self._crew.run("device", "device", verb, "--json", *arguments)
        self._told.programs["device"] = done.pid
        if done.code:
            raise error_of(done)
        document: dict[str, Any] = json.loads(done.output)
        return document

    async def _send_until(self, stop: int | None) -> dict[str, Any]:
        arguments = [
            "--data", str(self._path), "--to", self._cloud.ready["listen"],
            "--keys", self._alice.ready["keys"], "--qkd", "require",
        ]  # fmt: skip
        return await self._device(
            "send", *arguments, *([] if stop is None else ["--to-reading", str(stop)])
        )

    async def _send(self, stop: int) -> None:
        sent = await self._send_until(stop)
        self._told.sends.append(sent)
        title = f"{sent['sent']} readings sent, {sent['stored']} are with the cloud"
        self._event(EventKind.SENT, title, await self._status())
        self._say("good", f"device to cloud: {title}, under {', '.join(sent['protections'])}")

    async def _try_on_red(self) -> None:
        try:
            await self._send_until(None)
        except RefusedError as error:
            self._told.refusal = str(error)
        else:
            raise NotAsExpected("the device got a key while the link was RED")
        self._event(EventKind.REFUSED, "the device's send is refused", await self._status())
        self._say("good", f"the device may not send, and hears why: “{self._told.refusal}”")

    # -- the end -----------------------------------------------------------------------------

    async def _conclude(self, readings: Readings) -> Story:
        accounts = await self._operator.accounts()
        received = await asyncio.to_thread(_only_stream, Path(self._cloud.ready["devices"]))
        told, last = self._told, self._told.sends[-1]
        order = ("link", "node-a", "node-b", "cloud")
        services = sorted(self._crew.services, key=lambda service: order.index(service.name))
        processes = [Process(s.name, s.process.pid) for s in services]
        processes += [Process(name, pid) for name, pid in told.programs.items()]
        rules = self._options.settings.status
        return Story(
            stages=tuple(told.stages),
            device=Device(
                origin=(
                    "live readings of this machine"
                    if self._options.data is None
                    else f"the file {self._options.data.name}"
                ),
                sent=sum(sent["sent"] for sent in told.sends),
                received=last["stored"],
                sha256_in=readings.sha256(len(readings)).hex(),
                sha256_out=hashlib.sha256(received).hexdigest(),
                refused_while_red=told.refusal is not None,
                refusal=told.refusal,
                protections=tuple(last["protections"]),
                readings_preview=preview(received),
            ),
            timeline=tuple(told.events),
            authentication=Authentication(
                accounts.consumed_bits, accounts.refilled_bits, accounts.first_contact or "none"
            ),
            processes=tuple(processes),
            wall_s=time.monotonic() - told.began,
            versions=_versions(),
            report=str(self._options.report / "index.html"),
            thresholds=Thresholds(
                yellow_qber=rules.yellow_qber,
                red_qber=rules.red_qber,
                chsh_floor=rules.chsh_floor,
            ),
            **_of_light(self._recordings),
        )

    def _event(self, kind: EventKind, title: str, status: Status) -> None:
        self._told.events.append(Event(time.monotonic() - self._told.began, kind, title, status))


def _of_light(recordings: Recordings | None) -> dict[str, Any]:
    """What the story says of its light: all of it follows from where that came from."""
    if recordings is None:
        return {"assumptions": {protocol.value: ASSUMPTIONS[protocol] for protocol in OF_PHOTONS}}
    made = recordings.generated
    return {
        "source": KeySourceKind.SIMULATED if made else KeySourceKind.RECORDED,
        "honesty": GENERATED_HONESTY if made else RECORDED_HONESTY,
        "eve_left_out": EVE_LEFT_OUT,
        "assumptions": {recordings.protocol.value: ASSUMPTIONS[recordings.protocol]},
    }


def _only_stream(devices: Path) -> bytes:
    (stream,) = devices.glob("*/*.readings")
    return stream.read_bytes()


def _versions() -> dict[str, str]:
    packages = ("bellwire", "cryptography", "numpy", "numba")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
