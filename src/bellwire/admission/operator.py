"""What a console on the same machine may ask a server of admission: who waits; to decide; to carry.

A Unix socket that only the server's owner may open (`base.operating`). What is decided goes into
the log as everything that the server writes does. What is carried is a step of somebody's own
registration, as it came to the console: it is judged as if it had come to the server itself, from
the address that the console saw.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bellwire.admission.assessment import Verdict
from bellwire.admission.circuit import Angles, angles, distance, probabilities
from bellwire.admission.evidence import Address
from bellwire.admission.fingerprint import colour
from bellwire.admission.register import Register, Registration, Standing
from bellwire.admission.waiting import Evidence, EvidenceBook
from bellwire.base.clock import Clock, system_clock
from bellwire.base.handles import canonical
from bellwire.base.operating import ask_operated

MOST: Final = 1000

CARRIED_BYTES: Final = 64 << 10
"""Longest body of a step."""

REQUEST_LIMIT: Final = CARRIED_BYTES + 256

CARRIED_WITHIN_S: Final = 40.0
"""A model may take 25 seconds to judge."""

Decision = Literal["admit", "refuse", "revoke"]
Step = Literal["/register/challenge", "/register/echo", "/register/"]
Revoke = Callable[[str, int], Registration]
"""Takes an admission back, with all certificates: a handle, and the time."""


class Look(msgspec.Struct, frozen=True, array_like=True, tag="look"):
    """Who is registered, or waits, whose name has this in it?"""

    find: Annotated[str, Meta(max_length=64)]
    most: Annotated[int, Meta(ge=1, le=MOST)]


class Decide(msgspec.Struct, frozen=True, array_like=True, tag="decide"):
    """Let in or turn away who waits, or take an admission back."""

    handle: Annotated[str, Meta(max_length=64)]
    decision: Decision


class Carry(msgspec.Struct, frozen=True, array_like=True, tag="carry"):
    """A step of a registration, which came to the site's console.

    Attributes:
        path: Where it would have gone.
        body: As it is sent there.
        address: Whom the console had it from.
    """

    path: Step
    body: Annotated[bytes, Meta(max_length=CARRIED_BYTES)]
    address: Annotated[str, Meta(max_length=64)]


class Carried(msgspec.Struct, frozen=True):
    """What the server answers to it.

    Attributes:
        code: Of HTTP.
        body: JSON of the answer, or of an error.
        retry_after: Seconds after which asking again may help; null where none are said.
    """

    code: int
    body: bytes
    retry_after: str | None = None


Carrier = Callable[[Carry], Awaitable[Carried]]

Request = Look | Decide | Carry
REQUESTS: "Final[msgspec.msgpack.Decoder[Request]]" = msgspec.msgpack.Decoder(Request)


class CircuitView(msgspec.Struct, frozen=True):
    """The circuit of admission for three numbers.

    Attributes:
        angles: By which RY turns each of four wires, radians.
        probabilities: Of the 16 outcomes 0000 to 1111, wire 0 first.
    """

    angles: list[float]
    probabilities: list[float]


class ConnectionView(msgspec.Struct, frozen=True):
    """A connection, as it is claimed or was measured.

    Attributes:
        ping_ms: Milliseconds.
        jitter_ms: Milliseconds; null where fewer than two echoes were timed.
        address: Of IPv4 or IPv6.
        colour: Of the address, `#rrggbb`: decoration.
        circuit: What it turns.
    """

    ping_ms: float
    jitter_ms: float | None
    address: str
    colour: str
    circuit: CircuitView


class EvidenceView(msgspec.Struct, frozen=True):
    """What a verdict on a newcomer rests on.

    Attributes:
        handle: What it wants to be called.
        at: When it was seen, seconds since the epoch.
        verdict: `SECURE` or `INSECURE`.
        reasons: What speaks against.
        assessor: Who judged: `local`, or a model.
        claimed: Its connection, as it says.
        measured: The same, as the server saw it.
        echoes: How many were timed.
        distance: Between the circuit's outcomes for both, 0 to 1.
    """

    handle: str
    at: int
    verdict: Verdict
    reasons: tuple[str, ...]
    assessor: str
    claimed: ConnectionView
    measured: ConnectionView
    echoes: int
    distance: float


class RegistrationView(msgspec.Struct, frozen=True):
    """A name, and how it stands with it.

    Attributes:
        handle: The name.
        keys: SHA-256 of its public keys by kind, hexadecimal digits.
        standing: `waiting`, `admitted`, `refused` or `revoked`.
        verdict: `SECURE` or `INSECURE`.
        reasons: What spoke against.
        assessor: Who judged.
        since: When it was first asked for, seconds since the epoch.
        changed: When its standing last changed.
        by: What changed it: `token`, `open`, `operator`, or `assessor` while nobody decided.
        entry: Number of the log's entry about its admission; null: none yet, or no log is told.
        evidence: Of who waits; null where the server did not see it since it started.
    """

    handle: str
    keys: dict[str, str]
    standing: Standing
    verdict: Verdict
    reasons: tuple[str, ...]
    assessor: str
    since: int
    changed: int
    by: str
    entry: int | None
    evidence: EvidenceView | None


class AdmissionView(msgspec.Struct, frozen=True):
    """A server of admission, and who is registered there.

    Attributes:
        server: Its name, which proofs name.
        gate: What opens the door, beside a good verdict: `token`, `operator`, `either`, `open`.
        counts: How many names there are by their standing.
        found: How many are what was looked for.
        registrations: Those, or the first of them: who waits longest, then who changed last.
        turned_away: Whom the verdict was against lately, the latest first.
    """

    server: str
    gate: str
    counts: dict[str, int]
    found: int
    registrations: list[RegistrationView]
    turned_away: list[EvidenceView]


class OperatorDesk:
    """Answers operators of one server, in its loop.

    Args:
        server: Its name.
        gate: What opens its door.
        register: Who is registered, the server's own: closing another of this process would take
            this one's locks from it.
        turn: Held while what writes in the register is used.
        evidence: Of who waits.
        revoke: Takes an admission back.
        carry: Takes steps of registrations.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        server: str,
        gate: str,
        register: Register,
        turn: asyncio.Lock,
        *,
        evidence: EvidenceBook,
        revoke: Revoke,
        carry: Carrier,
        clock: Clock = system_clock,
    ) -> None:
        self._server = server
        self._gate = gate
        self._register = register
        self._evidence = evidence
        self._revoke = revoke
        self._carry = carry
        self._clock = clock
        self._turn = turn

    async def answer(self, request: Request) -> msgspec.Struct:
        """What was asked for.

        Raises:
            HandleMalformed: the name is none.
            RegistrationUnknown: nobody of that name is where that can be decided.
            BellwireError: it cannot be read or written.
        """
        if isinstance(request, Carry):
            return await self._carry(request)  # it takes its turn by itself
        async with self._turn:
            if isinstance(request, Look):
                return await asyncio.to_thread(self._look, request)
            decided = await asyncio.to_thread(self._decide, request)
            self._evidence.forget(decided.handle)
            return _registration(decided, None, None)

    def _look(self, request: Look) -> AdmissionView:
        counts, found, rows = self._register.some(request.find.casefold(), request.most)
        return AdmissionView(
            server=self._server,
            gate=self._gate,
            counts={standing.value: counts.get(standing, 0) for standing in Standing},
            found=found,
            registrations=[
                _registration(
                    one,
                    number,
                    self._evidence.of(one.handle) if one.standing is Standing.WAITING else None,
                )
                for one, number in rows
            ],
            turned_away=[_evidence(each) for each in self._evidence.away()],
        )

    def _decide(self, request: Decide) -> Registration:
        handle, now = canonical(request.handle), int(self._clock())
        if request.decision == "revoke":
            return self._revoke(handle, now)
        standing = Standing.ADMITTED if request.decision == "admit" else Standing.REFUSED
        return self._register.decide(handle, standing, now)


def _registration(
    one: Registration, entry: int | None, evidence: Evidence | None
) -> RegistrationView:
    return RegistrationView(
        handle=one.handle,
        keys={kind: hashlib.sha256(key).hexdigest() for kind, key in sorted(one.keys.items())},
        standing=one.standing,
        verdict=one.verdict,
        reasons=one.reasons,
        assessor=one.assessor,
        since=one.since,
        changed=one.changed,
        by=one.by,
        entry=entry,
        evidence=None if evidence is None else _evidence(evidence),
    )


def _evidence(one: Evidence) -> EvidenceView:
    claim, seen = one.claim, one.seen
    claimed = angles(claim.ping_ms, claim.jitter_ms, claim.address)
    measured = angles(seen.ping_ms, seen.jitter_ms or 0.0, seen.address)
    return EvidenceView(
        handle=one.handle,
        at=one.at,
        verdict=one.judged.verdict,
        reasons=one.judged.reasons,
        assessor=one.judged.assessor,
        claimed=_connection(claim.ping_ms, claim.jitter_ms, claim.address, claimed),
        measured=_connection(seen.ping_ms, seen.jitter_ms, seen.address, measured),
        echoes=seen.echoes,
        distance=distance(claimed, measured),
    )


def _connection(
    ping_ms: float, jitter_ms: float | None, address: Address, turns: Angles
) -> ConnectionView:
    circuit = CircuitView(list(turns), list(probabilities(turns)))
    return ConnectionView(ping_ms, jitter_ms, str(address), str(colour(address)), circuit)


class AdmissionOperator:
    """Asks the server of admission of a folder; every call raises as `ask_operated`.

    Args:
        folder: The server's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def look(self, find: str = "", most: int = MOST) -> AdmissionView:
        """Who is registered, or waits."""
        return await ask_operated(self._folder, Look(find, most), AdmissionView)

    async def decide(self, handle: str, decision: Decision) -> RegistrationView:
        """Let in or turn away who waits, or take an admission back."""
        return await ask_operated(self._folder, Decide(handle, decision), RegistrationView)

    async def carry(self, step: Carry) -> Carried:
        """Take a step of somebody's registration there."""
        return await ask_operated(self._folder, step, Carried, within_s=CARRIED_WITHIN_S)
