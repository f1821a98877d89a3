"""The link's process: three Unix sockets, one per side and, in the lab, one for control.

A side's socket gives that side's half and nothing else; who may open the socket is that side.
Every connection carries one request at a time. Bytes that are no message end their connection, a
client that leaves takes its request with it, and the link lives on (`base.local`). Messages:
spec/link-socket.md.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Self

from bellwire.base.detections import Half, Side
from bellwire.base.limits import MAX_DETECTIONS
from bellwire.base.local import LocalServer
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.stream import SEED_BYTES
from bellwire.link import sockets
from bellwire.link.attacks import AnyEve, on_photons, on_weak_pulses
from bellwire.link.click_stream import State
from bellwire.link.config import LinkConfig
from bellwire.link.errors import LabOnly, LinkRefused, ParameterError, Refusal
from bellwire.link.meeting import Answers, Meeting
from bellwire.link.messages import (
    REQUEST_LIMIT,
    Attack,
    BlockRequest,
    LinkState,
    Refused,
    SetEve,
    decode_block_request,
    decode_control,
    encode,
    to_answer,
    too_many_detections,
)
from bellwire.link.simulate import simulate
from bellwire.link.weak import WeakConfig, decoy_config
from bellwire.link.weak_law import joint_law
from bellwire.link.weak_nodes import WeakLink

PARTNER_TIMEOUT_S = 10.0
_Answer = Callable[[bytes], Awaitable[bytes]]


def socket_path(run_dir: Path, name: Side | str) -> Path:
    """Where a side's socket, or `control`, is."""
    return run_dir / f"{name}.sock"


class LinkService:
    """The link, between `start` and `close`, or as an async context manager.

    Args:
        run_dir: Folder of the sockets, ours alone; made if it is missing.
        config: The link's physics.
        lab: Whether there is a control socket, and may be an Eve or a seed.
        eve: The attack at the start.
        seed: Makes the noise of a ticket reproducible.
        partner_timeout_s: Seconds that one side's request waits for the other's.

    Raises:
        LabOnly: an Eve or a seed outside the lab.
    """

    def __init__(
        self,
        run_dir: Path,
        config: LinkConfig,
        *,
        lab: bool = False,
        eve: AnyEve | None = None,
        seed: int | None = None,
        partner_timeout_s: float = PARTNER_TIMEOUT_S,
    ) -> None:
        if not lab and (eve is not None or seed is not None):
            raise LabOnly("an attack" if seed is None else "a seed of the noise")
        self._run_dir = run_dir
        self._config = config
        self._lab = lab
        self._eve = eve
        self._seed = seed
        self._meeting = Meeting(self._produce, partner_timeout_s)
        # One simulation at a time: a second one would only halve the speed of the first.
        self._one_at_a_time = asyncio.Semaphore(1)
        self._lock: int | None = None
        self._servers: dict[Path, LocalServer] = {}

    @property
    def socket_paths(self) -> list[Path]:
        """The sockets that are open."""
        return list(self._servers)

    @property
    def waiting(self) -> int:
        """How many requests wait for the other side's."""
        return self._meeting.waiting

    async def start(self) -> None:
        """Listen.

        Raises:
            RunDirTaken: another link has the folder.
            PathUnusable, PathExposed: the folder cannot be made, or is open to others.
            SocketUnusable: something that is no link listens in it, or its path is too long.
        """
        self._lock = sockets.claim(self._run_dir)
        answers: dict[str, _Answer] = {side: partial(self._answer_side, side) for side in Side}
        if self._lab:
            answers["control"] = self._answer_control
        try:
            for name, answer in answers.items():
                path = socket_path(self._run_dir, name)
                server = LocalServer(path, answer, request_limit=REQUEST_LIMIT, withdraw=True)
                await server.start()
                self._servers[path] = server
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Cut everybody off, remove the sockets, give up the folder; again is harmless."""
        servers, self._servers = self._servers, {}
        for server in servers.values():
            await server.close()
        await self._meeting.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _answer_side(self, side: Side, body: bytes) -> bytes:
        request = decode_block_request(body)
        try:
            often = _clicks_per_pulse(request, self._config, self._eve)
        except ParameterError as error:
            return encode(Refused(Refusal.PARAMETER, str(error)))
        if too_many_detections(often, request.pulses):
            words = (
                f"expected at most {MAX_DETECTIONS} detections, {request.pulses} pulses mean more"
            )
            return encode(Refused(Refusal.TOO_LARGE, words))
        try:
            return await self._meeting.answer(side, request)
        except LinkRefused as error:
            return encode(Refused(error.refusal, error.reason))

    async def _answer_control(self, body: bytes) -> bytes:
        message = decode_control(body)
        if isinstance(message, SetEve):
            try:
                self._eve = None if message.attack is None else message.attack.eve()
            except ParameterError as error:
                return encode(Refused(Refusal.PARAMETER, str(error)))
        return encode(LinkState(self._config, Attack.of(self._eve)))

    async def _produce(self, requests: dict[Side, BlockRequest]) -> Answers:
        async with self._one_at_a_time:
            noise = self._noise_seed(requests[Side.ALICE].ticket)
            return await asyncio.to_thread(_simulated, requests, self._config, self._eve, noise)

    def _noise_seed(self, ticket: bytes) -> bytes:
        if self._seed is None:
            return os.urandom(SEED_BYTES)
        root = self._seed.to_bytes(16, "big", signed=True)
        return hkdf(root, info=b"link noise " + ticket, length=SEED_BYTES)


def _clicks_per_pulse(request: BlockRequest, config: LinkConfig, eve: AnyEve | None) -> float:
    """Upper limit of a side's clicks per pulse.

    Raises:
        ParameterError: a block that this link cannot give, or not while this Eve is on it.
    """
    if not request.protocol.weak:
        if request.decoys is not None:
            raise ParameterError("decoys", "only in decoy-bb84", f"them in {request.protocol}")
        if request.protocol.judged_on_chsh and request.rectilinear != 0.5:
            raise ParameterError("rectilinear", "½ in e91", f"{request.rectilinear:g}")
        on_photons(eve, request.protocol)
        often = config.clicks(request.protocol).any
    else:
        law = joint_law(_weak(request, config), on_weak_pulses(eve))
        often = float(law[:, 1:].sum())
    # A click may release another, that one the next, and so on.
    return min(1.0, often / (1.0 - config.detectors.afterpulse))


def _weak(request: BlockRequest, config: LinkConfig) -> WeakConfig:
    if request.decoys is None:
        raise ParameterError("decoys", f"with {request.protocol}", "none")
    return decoy_config(request.decoys, request.rectilinear, config)


def _simulated(
    requests: dict[Side, BlockRequest], config: LinkConfig, eve: AnyEve | None, noise: bytes
) -> Answers:
    alice, bob = requests[Side.ALICE], requests[Side.BOB]
    seeds = alice.choice_seed, bob.choice_seed, noise
    halves: tuple[Half, Half]
    if alice.protocol.weak:
        link = WeakLink(_weak(alice, config), on_weak_pulses(eve), *seeds)
        halves = link.block(State.start(), alice.pulses)[:2]
    else:
        attack = on_photons(eve, alice.protocol)
        halves = simulate(
            alice.protocol, config, alice.pulses, *seeds, attack, rectilinear=alice.rectilinear
        )
    return {
        side: encode(to_answer(half, requests[side]))
        for side, half in zip(Side, halves, strict=True)
    }
