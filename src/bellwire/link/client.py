"""How a node asks the link for its half, and how the lab sets Eve.

Each call has a connection of its own: a call after the link was restarted finds the new one, and
a call that is cancelled takes its request back by hanging up.
"""

from pathlib import Path

from msgspec.structs import replace

from bellwire.base.decoys import Decoys
from bellwire.base.detections import Half, Protocol
from bellwire.base.local import AnswerMalformed, NotAnswered, ask
from bellwire.link.attacks import AnyEve
from bellwire.link.choices import PreparedPulses
from bellwire.link.config import LinkConfig, check_pulses, check_rectilinear
from bellwire.link.errors import (
    LinkMisbehaved,
    LinkRefused,
    LinkTimeout,
    LinkUnreachable,
    ParameterError,
    Refusal,
)
from bellwire.link.messages import (
    ANSWER_LIMIT,
    REQUEST_LIMIT,
    TICKET_BYTES,
    Attack,
    BlockRequest,
    GetLink,
    LinkState,
    Message,
    Prepared,
    Refused,
    SetEve,
    decode_block_answer,
    decode_control_answer,
    encode,
    to_half,
)
from bellwire.link.weak import decoy_config
from bellwire.link.weak_nodes import WeakPulses

ANSWER_WITHIN_S = 60.0


class LinkClient:
    """One side's way to its half.

    Args:
        path: This side's socket.
        timeout_s: Seconds to wait for a whole answer, the other side's request included.
        rectilinear: Probability of the rectilinear basis in blocks of BB84 and BBM92, the same at
            both sides.
        decoys: What Alice's laser sends in blocks of decoy states, the same at both sides.
        decoy_rectilinear: Probability of the rectilinear basis in them, the same at both sides.
    """

    def __init__(
        self,
        path: Path,
        *,
        timeout_s: float = ANSWER_WITHIN_S,
        rectilinear: float = 0.5,
        decoys: Decoys | None = None,
        decoy_rectilinear: float = 0.7,
    ) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._decoys = decoys or Decoys()
        self._rectilinear = check_rectilinear(rectilinear)
        self._decoy_rectilinear = decoy_rectilinear

    @property
    def spent(self) -> None:
        """Nothing: simulated light has no end."""
        return

    async def block(
        self, ticket: bytes, protocol: Protocol, pulses: int, choice_seed: bytes
    ) -> Half:
        """This side's half of the block that both sides call by `ticket`.

        Args:
            ticket: 16 bytes, the same at both sides, new for every block.
            protocol: The same at both sides.
            pulses: 1 … 2²⁷, the same at both sides.
            choice_seed: 32 bytes, this side's alone, new for every block. Secret.

        Raises:
            ParameterError: the ticket's length, or pulses.
            ValueError: the seed is not 32 bytes.
            LinkUnreachable: no link answers, or it went away.
            LinkTimeout: the other side, or the link, did not come in time.
            LinkRefused: the link declined; the error says why.
            LinkMisbehaved: the answer was not one.
        """
        if len(ticket) != TICKET_BYTES:
            raise ParameterError("ticket", f"of {TICKET_BYTES} bytes", f"{len(ticket)} bytes")
        # Made before the link is asked: it also checks pulses and seed.
        prepared = self._prepared(protocol, check_pulses(pulses), choice_seed)
        request = BlockRequest(ticket, protocol, pulses, choice_seed, plane=True)
        if protocol.weak:
            request = replace(request, rectilinear=self._decoy_rectilinear, decoys=self._decoys)
        elif not protocol.judged_on_chsh:
            request = replace(request, rectilinear=self._rectilinear)
        answer = decode_block_answer(await _ask(self._path, request, ANSWER_LIMIT, self._timeout_s))
        if isinstance(answer, Refused):
            raise _refusal(answer)
        if not isinstance(answer, Prepared):
            return to_half(answer, protocol, pulses)
        if protocol.entangled:
            raise LinkMisbehaved(f"expected detections in {protocol}, got prepared pulses")
        return prepared

    def _prepared(self, protocol: Protocol, pulses: int, choice_seed: bytes) -> Half:
        """Alice's half of pulses, which is hers before they are sent."""
        if not protocol.weak:
            return PreparedPulses(choice_seed, pulses, self._rectilinear)
        # Her choices do not depend on what lies behind her laser.
        config = decoy_config(self._decoys, self._decoy_rectilinear, LinkConfig())
        return WeakPulses(config, choice_seed, 0, pulses)


class ControlClient:
    """The lab's hand on the link.

    Args:
        path: The control socket.
        timeout_s: Seconds to wait for an answer.
    """

    def __init__(self, path: Path, *, timeout_s: float = 10.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    async def set_eve(self, eve: AnyEve | None) -> LinkState:
        """From the next block on, this attack, or none; how the link is set up now.

        Raises:
            LinkUnreachable, LinkTimeout, LinkRefused, LinkMisbehaved: as in `LinkClient.block`.
        """
        return await self._ask(SetEve(Attack.of(eve)))

    async def link(self) -> LinkState:
        """How the link is set up; errors as in `set_eve`."""
        return await self._ask(GetLink())

    async def _ask(self, message: Message) -> LinkState:
        answer = decode_control_answer(
            await _ask(self._path, message, REQUEST_LIMIT, self._timeout_s)
        )
        if isinstance(answer, Refused):
            raise _refusal(answer)
        return answer


async def _ask(path: Path, message: Message, limit: int, timeout_s: float) -> bytes:
    try:
        return await ask(path, encode(message), answer_limit=limit, timeout_s=timeout_s)
    except NotAnswered as error:
        if isinstance(error.__cause__, TimeoutError):
            raise LinkTimeout(
                f"expected an answer of the link in {timeout_s:g} s, got none"
            ) from error
        raise LinkUnreachable(
            f"expected a link that answers at {path}, got none",
            hint="Start it with 'bellwire link', or see why it ended.",
        ) from error
    except AnswerMalformed as error:
        raise LinkMisbehaved(str(error)) from error


def _refusal(answer: Refused) -> LinkRefused | LinkTimeout:
    if answer.refusal is Refusal.TIMEOUT:
        return LinkTimeout(answer.message)
    return LinkRefused(answer.refusal, answer.message)
