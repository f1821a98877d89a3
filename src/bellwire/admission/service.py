"""Registration, step by step: challenge, echoes, proofs, verdict, gate, certificate.

Sans-HTTP: `web.admission` bounds and reads what comes and calls this.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from bellwire.admission.assessment import Assessment, assess
from bellwire.admission.challenges import Challenges, Pending
from bellwire.admission.channel import ChannelAuthority, ChannelDesk, ChannelGiven
from bellwire.admission.desk import Certified, Desk, sae_of
from bellwire.admission.errors import AssessorAbsent, NotAdmitted, PossessionUnproven
from bellwire.admission.evidence import Address, Claim, Measured
from bellwire.admission.register import Entry, Gate, Register, Registration, Standing
from bellwire.admission.waiting import Evidence, EvidenceBook
from bellwire.base.clock import Clock, system_clock
from bellwire.base.handles import canonical
from bellwire.pki.authority import Authority

log = structlog.get_logger("admission")


class Assessor(Protocol):
    """A second opinion, which can only be stricter."""

    async def assess(self, claim: Claim, seen: Measured, ours: Assessment) -> Assessment:
        """The stricter of both; AssessorAbsent if there is no clear one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a newcomer sends at the end.

    Attributes:
        handle: As it wrote it.
        keys: Public keys by kind.
        claim: Of its connection.
        challenge: Id of the challenge that it answers.
        proofs: By kind.
        token: For the gate.
    """

    handle: str
    keys: Mapping[str, bytes]
    claim: Claim
    challenge: bytes
    proofs: Mapping[str, bytes]
    token: str | None

    def __repr__(self) -> str:
        return f"Asked({self.handle!r})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a registration.

    Attributes:
        registration: As it stands now.
        new: False of one that was there already.
        certificate: For who is admitted and has a P-256 key; else None.
        channel: For who is admitted with a key of a device's; else None.
    """

    registration: Registration
    new: bool
    certificate: Certified | None
    channel: ChannelGiven | None = None


class Admission:
    """One server's admission; for one event loop.

    Args:
        server: Our name, which proofs name.
        register: Who is registered.
        authority: Signs certificates of who is admitted; None gives none.
        channel: Gives certificates of the channel; None gives none.
        gate: What opens the door.
        assessor: A second opinion; None asks nobody.
        clock: Seconds since the epoch.
        timer: Seconds of a clock that only advances.
    """

    def __init__(
        self,
        server: str,
        register: Register,
        authority: Authority | None,
        *,
        channel: ChannelDesk | None = None,
        gate: Gate = Gate.EITHER,
        assessor: Assessor | None = None,
        clock: Clock = system_clock,
        timer: Clock = time.perf_counter,
    ) -> None:
        self.server = server
        self.challenges = Challenges(server)
        self.register = register
        self.channel = channel
        self.evidence = EvidenceBook()
        self._desk = Desk(register, authority, channel)
        self._gate = gate
        self._assessor = assessor
        self._clock = clock
        self._timer = timer

    @property
    def turn(self) -> asyncio.Lock:
        """To be held by whoever uses what writes in the register."""
        return self._desk.turn

    def challenge(self, handle: str, keys: Mapping[str, bytes], address: Address) -> Pending:
        """Challenge who wants to be called so.

        Raises:
            HandleMalformed: it is no handle.
            PossessionUnusable: the keys are none.
        """
        return self.challenges.begin(canonical(handle), keys, address, self._timer())

    def echo(self, challenge: bytes, word: bytes, address: Address) -> bytes:
        """Time an echo; the next word.

        Raises:
            ChallengeUnknown: as `Challenges.echo`.
        """
        return self.challenges.echo(challenge, word, address, self._timer())

    async def enter(self, asked: Asked, address: Address) -> Outcome:
        """Register, or find out how it stands with a registration.

        Raises:
            HandleMalformed, ChallengeUnknown, PossessionUnproven, HandleTaken, NotAdmitted,
            TokenUnusable, RegisterUnusable: it is not entered.
        """
        handle = canonical(asked.handle)
        pending = self.challenges.take(asked.challenge, address, self._timer())
        if pending.challenge.handle != handle or pending.challenge.keys != asked.keys:
            raise PossessionUnproven("expected the name and the keys of the challenge, got others")
        pending.challenge.verify(asked.proofs)
        known = self.register.find(handle)
        now = int(self._clock())
        evidence = None
        if known is None or known.standing is Standing.WAITING:
            judged, gate = await self._judge(asked.claim, pending)
            seen = pending.measured()
            if seen is not None:
                evidence = Evidence(handle, asked.claim, seen, judged, now)
            entry = Entry(handle, asked.keys, judged, gate, asked.token, now)
        else:  # who is admitted asks for a certificate again: there is nothing to judge
            judged = Assessment(known.verdict, known.reasons, 0.0, known.assessor)
            entry = Entry(handle, asked.keys, judged, Gate.OPERATOR, None, now)
        try:
            entered, certificate, channel = await self._desk.enter(entry)
        except NotAdmitted:
            if evidence is not None:
                self.evidence.turned_away(evidence)
            raise
        if evidence is not None and entered.standing is Standing.WAITING:
            self.evidence.waits(evidence)
        else:
            self.evidence.forget(handle)
        log.info("registration", standing=entered.standing.value, new=known is None)
        return Outcome(entered, known is None, certificate, channel)

    async def _judge(self, claim: Claim, pending: Pending) -> tuple[Assessment, Gate]:
        seen = pending.measured()
        if seen is None:
            raise NotAdmitted(
                "expected echoes to be timed before, got none",
                hint="POST /register/echo with the word of the last answer, at least 8 times.",
            )
        ours = assess(claim, seen)
        if self._assessor is None:
            return ours, self._gate
        try:
            return await self._assessor.assess(claim, seen, ours), self._gate
        except AssessorAbsent:
            log.warning("the assessor gives no verdict: the operator decides")
            return ours, Gate.OPERATOR


def revoke(
    register: Register,
    authorities: Iterable[Authority],
    handle: str,
    now: int,
    channel: Callable[[], ChannelAuthority] | None = None,
) -> Registration:
    """Take an admission back, then all certificates: a crash in between leaves none renewable.

    Args:
        register: Who is registered.
        authorities: May have signed certificates of TLS.
        handle: Whose.
        now: Seconds since the epoch.
        channel: Opens what signed certificates of the channel; called if there are any that hold.

    Raises:
        RegistrationUnknown: nobody of that name is admitted.
        BellwireError: the authority of the channel does not open; the admission is taken back.
    """
    name = canonical(handle)
    found = register.find(name)
    if found is None or found.standing is not Standing.REVOKED:
        found = register.decide(name, Standing.REVOKED, now)
    for authority in authorities if "p-256" in found.keys else ():
        issued = {each.issued.name for each in authority.certificates()}
        if sae_of(name) in issued:
            authority.revoke(name=sae_of(name))
    if channel is not None and (serials := register.serials(name, now)):
        channel().revoke(serials)
    return found
