"""Registration over HTTP: a challenge, echoes to be timed, and the registration itself.

It bounds and reads what comes, and puts outcomes and errors into words of HTTP; what happens is in
`admission.service`. Every error is one JSON object with a message.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from bellwire.admission.channel import ChannelGiven
from bellwire.admission.desk import Certified
from bellwire.admission.errors import (
    AssessorAbsent,
    ChallengeUnknown,
    EvidenceUnusable,
    HandleTaken,
    NotAdmitted,
    PossessionUnproven,
    PossessionUnusable,
    RegistrationUnknown,
    TokenUnusable,
    TooManyWait,
)
from bellwire.admission.evidence import Address, Claim, read_address, seen_address
from bellwire.admission.fingerprint import colour
from bellwire.admission.operator import Carried, Carry
from bellwire.admission.possession import MAX_PROOF_BYTES, PUBLIC_BYTES
from bellwire.admission.receipts import Receipts
from bellwire.admission.register import Standing
from bellwire.admission.service import Admission, Outcome
from bellwire.admission.service import Asked as AskedToEnter
from bellwire.base.errors import BellwireError
from bellwire.base.handles import HandleMalformed
from bellwire.ledger.errors import LedgerError
from bellwire.web.api import Answered
from bellwire.web.errors import RequestRefused
from bellwire.web.plain import for_verb, read_body, require_pace
from bellwire.web.rates import Rates
from bellwire.web.reader import Asked
from bellwire.web.requests import split_target
from bellwire.web.settings import DoorLimits

ADMISSION_LIMITS = DoorLimits(
    head_bytes=16 << 10,
    body_bytes=64 << 10,
    connections=400,
    connections_per_caller=32,
    requests_per_s=100.0,
    burst=400.0,
)
"""Of a server of admission; rates are of an address: a registration takes some dozens of echoes."""

CHALLENGES_PER_S = 1.0
CHALLENGES_AT_ONCE = 20.0

RECEIPTS = b"/register/receipts/"
CHANNEL_AUTHORITY = b"/register/channel/authority"
CHANNEL_REVOKED = b"/register/channel/revoked"
_BYTES = b"content-type: application/octet-stream\r\ncache-control: no-cache\r\n"
_RECEIPT = b"content-type: text/plain; charset=utf-8\r\ncache-control: no-cache\r\n"
_LATER = b"content-type: application/json\r\nretry-after: 1\r\n"

log = structlog.get_logger("admission")

_Word = Annotated[bytes, Meta(max_length=16)]
_Keys = Annotated[
    dict[
        Annotated[str, Meta(max_length=16)],
        Annotated[bytes, Meta(max_length=max(PUBLIC_BYTES.values()))],
    ],
    Meta(max_length=len(PUBLIC_BYTES)),
]
_Proofs = Annotated[
    dict[Annotated[str, Meta(max_length=16)], Annotated[bytes, Meta(max_length=MAX_PROOF_BYTES)]],
    Meta(max_length=len(PUBLIC_BYTES)),
]
_Name = Annotated[str, Meta(max_length=64)]


class ChallengeRequest(msgspec.Struct, frozen=True):
    """Who wants to be called how, with which keys."""

    username: _Name
    public_keys: _Keys


class EchoRequest(msgspec.Struct, frozen=True):
    """The word of the last answer."""

    challenge: _Word
    word: _Word


class QuantumState(msgspec.Struct, frozen=True):
    """What a newcomer claims of its connection, in ms; the name is of the first clients."""

    ping: float
    jitter: float
    ip_address: Annotated[str, Meta(max_length=64)]


class RegisterRequest(msgspec.Struct, frozen=True):
    """A registration, whole."""

    username: _Name
    quantum_state: QuantumState
    public_keys: _Keys
    challenge: _Word
    proofs: _Proofs
    token: Annotated[str, Meta(max_length=128)] | None = None


_Route = Callable[[Asked, Address], Awaitable[Answered]]


class AdmissionApi:
    """What a server of admission answers; `api.Handler` is its `answer`.

    Args:
        admission: Behind it.
        receipts: Of the log that is told who is admitted; None: no log is told.
        proxies: How many reverse proxies of ours a connection goes through.
        timer: Seconds of a clock that only advances.
        limits: Rates of an address.
    """

    def __init__(
        self,
        admission: Admission,
        receipts: Receipts | None = None,
        *,
        proxies: int = 0,
        timer: Callable[[], float] = time.monotonic,
        limits: DoorLimits = ADMISSION_LIMITS,
    ) -> None:
        self._admission = admission
        self._receipts = receipts
        self._proxies = proxies
        self._timer = timer
        self._rates = Rates(limits.requests_per_s, limits.burst)
        self._challenges = Rates(CHALLENGES_PER_S, CHALLENGES_AT_ONCE)
        self._routes: dict[bytes, dict[bytes, _Route]] = {
            b"/register/challenge": {b"POST": self._challenge},
            b"/register/echo": {b"POST": self._echo},
            b"/register/": {b"POST": self._register},
            b"/register": {b"POST": self._register},
            CHANNEL_AUTHORITY: {b"GET": self._channel},
            CHANNEL_REVOKED: {b"GET": self._channel},
            b"/healthz": {b"GET": self._health},
        }

    async def answer(self, asked: Asked, address: str) -> Answered:
        """The answer to a request.

        Raises:
            RequestRefused: any code from 400 on.
        """
        return await self._answer(asked, lambda: self._caller(asked, address))

    async def carry(self, step: Carry) -> Carried:
        """The answer to a step that a console of this machine carries."""
        asked = Asked(b"POST", step.path.encode(), [], step.body, keep_alive=False)
        try:
            answered = await self._answer(asked, lambda: _plain_address(step.address))
        except RequestRefused as error:
            body = msgspec.json.encode({"message": str(error)})
            return Carried(error.code, body, dict(error.headers).get("retry-after"))
        return Carried(answered.code, answered.body)

    async def _answer(self, asked: Asked, whom: Callable[[], Address]) -> Answered:
        path, _ = split_target(asked.target)
        verbs = self._routes.get(path)
        if path.startswith(RECEIPTS):
            verbs = {b"GET": self._receipt}
        route = for_verb(verbs, asked.verb)
        try:
            caller = whom()
            self._slow_down(self._rates, caller)
            return await route(asked, caller)
        except RequestRefused:
            raise
        except BellwireError as error:
            raise _refusal(error) from error

    # What there is

    async def _challenge(self, asked: Asked, caller: Address) -> Answered:
        wanted = read_body(asked.body, ChallengeRequest, misfit=422)
        self._slow_down(self._challenges, caller)
        made = self._admission.challenge(wanted.username, wanted.public_keys, caller)
        return _json(
            {
                "challenge": made.id,
                "server": made.challenge.server,
                "username": made.challenge.handle,
                "nonce": made.challenge.nonce,
                "ciphertexts": made.challenge.ciphertexts,
                "word": made.word,
                "ip_address": str(caller),
                "colour": str(colour(caller)),
            }
        )

    async def _echo(self, asked: Asked, caller: Address) -> Answered:
        wanted = read_body(asked.body, EchoRequest, misfit=422)
        return _json({"word": self._admission.echo(wanted.challenge, wanted.word, caller)})

    async def _register(self, asked: Asked, caller: Address) -> Answered:
        wanted = read_body(asked.body, RegisterRequest, misfit=422)
        state = wanted.quantum_state
        outcome = await self._admission.enter(
            AskedToEnter(
                handle=wanted.username,
                keys=wanted.public_keys,
                claim=Claim(state.ping, state.jitter, read_address(state.ip_address)),
                challenge=wanted.challenge,
                proofs=wanted.proofs,
                token=wanted.token,
            ),
            caller,
        )
        receipt = None
        if self._receipts is not None and outcome.registration.standing is Standing.ADMITTED:
            receipt = RECEIPTS.decode() + outcome.registration.handle
        return _json({**_shown(outcome), "receipt": receipt}, _code(outcome))

    async def _receipt(self, asked: Asked, _: Address) -> Answered:
        name = split_target(asked.target)[0].removeprefix(RECEIPTS).decode("ascii", "replace")
        if self._receipts is None:
            raise RequestRefused(404, "no log is told who is admitted")
        try:
            found = await self._receipts.of(name)
        except LedgerError as error:
            log.warning("no receipt", error=str(error))
            raise RequestRefused(
                503, "the log does not show it now", headers=[("retry-after", "1")]
            ) from error
        if found is None:
            later = {"message": "the log does not show it yet"}
            return Answered(msgspec.json.encode(later), 202, _LATER)
        return Answered(found, kind=_RECEIPT)

    async def _channel(self, asked: Asked, _: Address) -> Answered:
        """What is public of who signs certificates of the channel: signed, or of no secret."""
        desk = self._admission.channel
        if desk is None:
            raise RequestRefused(404, "no certificates of the channel are given here")
        wants_list = split_target(asked.target)[0] == CHANNEL_REVOKED
        data = await asyncio.to_thread(desk.revoked if wants_list else desk.authority)
        return Answered(data, kind=_BYTES)

    async def _health(self, _: Asked, __: Address) -> Answered:
        return _json({"status": "ok"})

    # Who asks

    def _caller(self, asked: Asked, address: str) -> Address:
        peer = _plain_address(address)
        forwarded: list[Address] = []
        if self._proxies:
            for name, value in asked.fields:
                if name == b"x-forwarded-for":
                    for part in value.decode("latin-1").split(","):
                        with contextlib.suppress(EvidenceUnusable):
                            forwarded.append(read_address(part.strip()))
        return seen_address(peer, forwarded, self._proxies)

    def _slow_down(self, rates: Rates, caller: Address) -> None:
        # One IPv6 network has more addresses than there are buckets.
        name = str(caller) if caller.version == 4 else caller.packed[:8].hex()
        require_pace(rates.wait_s(name, self._timer()))


def _plain_address(address: str) -> Address:
    return read_address(address.partition("%")[0])


def _shown(outcome: Outcome) -> dict[str, object]:
    found = outcome.registration
    return {
        "username": found.handle,
        "status": found.standing,
        "verdict": found.verdict,
        "reasons": found.reasons,
        "assessor": found.assessor,
        "since": found.since,
        "certificate": None if outcome.certificate is None else _certificate(outcome.certificate),
        "channel": None if outcome.channel is None else _channel(outcome.channel),
    }


def _channel(given: ChannelGiven) -> dict[str, object]:
    place, cloud = given.place, given.cloud
    return {
        "certificate": given.device.certificate,
        "not_after": given.device.not_after,
        "authority": given.authority,
        "cloud": None
        if cloud is None
        else {
            "username": place.handle,
            "certificate": cloud.certificate,
            "address": place.address,
        },
    }


def _certificate(made: Certified) -> dict[str, object]:
    return {
        "sae_id": made.sae,
        "certificate": made.certificate.decode(),
        "authorities": made.authorities.decode(),
        "not_after": made.not_after,
    }


def _code(outcome: Outcome) -> int:
    if outcome.registration.standing is Standing.WAITING:
        return 202
    return 201 if outcome.new else 200


def _refusal(error: BellwireError) -> RequestRefused:
    match error:
        case HandleMalformed() | PossessionUnusable() | EvidenceUnusable():
            return RequestRefused(422, str(error))
        case RegistrationUnknown():
            return RequestRefused(404, str(error))
        case HandleTaken():
            return RequestRefused(409, str(error))
        case ChallengeUnknown() | PossessionUnproven() | NotAdmitted() | TokenUnusable():
            return RequestRefused(403, str(error))
        case AssessorAbsent() | TooManyWait():
            return RequestRefused(503, str(error))
    # A file of ours: the client cannot mend it, and need not know its name.
    log.error("request failed", kind=type(error).__name__)
    return RequestRefused(500, "admission failed")


def _json(content: object, code: int = 200) -> Answered:
    return Answered(msgspec.json.encode(content), code)
