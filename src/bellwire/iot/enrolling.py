"""The cloud's side of enrolment by a code: who asks is admitted, or told why not.

What is decided here is in spec/enrolment.md, step 3. Whoever has no code that we know gets bytes
that say nothing, not even whether there is such an invitation.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bellwire.base.clock import Clock, system_clock
from bellwire.base.secret import Secret
from bellwire.iot.enrol_messages import (
    Answer,
    Reason,
    Request,
    make_answer,
    make_noise,
    make_refusal,
    read_request,
)
from bellwire.iot.errors import (
    CodeExpired,
    CodeRefused,
    CodeSpent,
    CodeUnknown,
    CodeUsed,
    EnrolmentFailed,
)
from bellwire.iot.events import Enrolled, Event
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.invitations import Invitation, Invitations

_WHY: dict[str, tuple[Reason, type[CodeRefused]]] = {
    "used": (Reason.USED, CodeUsed),
    "expired": (Reason.EXPIRED, CodeExpired),
    "spent": (Reason.SPENT, CodeSpent),
}


@dataclass(frozen=True)
class Enroller:
    """Answers requests by the invitations of one cloud.

    Attributes:
        cloud: Our public key and name.
        invitations: The cloud's.
        notify: Told of each device that is enrolled.
        clock: Seconds since the epoch.
    """

    cloud: PublicIdentity
    invitations: Invitations
    notify: Callable[[Event], None]
    clock: Clock = system_clock

    async def answer(self, message: bytes) -> tuple[bytes, CodeRefused | None]:
        """What to say to a request; the device is admitted, durably, before this returns.

        Args:
            message: As received.

        Returns:
            The message to send, and why it refuses, if it does.

        Raises:
            EnrolmentFailed: the message is no request.
            PathUnusable, PathExposed: an invitation cannot be read or written.
        """
        request = read_request(message)
        said, outcome = await asyncio.to_thread(self._decide, request)
        if isinstance(outcome, PublicIdentity):
            self.notify(Enrolled(outcome))
            return said, None
        return said, outcome

    def _decide(self, request: Request) -> tuple[bytes, PublicIdentity | CodeRefused]:
        with self.invitations.held():
            found = self.invitations.find(request.id)
            if found is None:
                return make_noise(), CodeUnknown("expected the code of an invitation, got another")
            try:
                public = request.open(Secret(found.key))
            except EnrolmentFailed as error:
                return self._turn_away(found, str(error))
            if public == self.cloud.public:
                return self._turn_away(found, "expected a device's key, got our own")
            return self._take(request, found, public)

    def _turn_away(self, found: Invitation, why: str) -> tuple[bytes, CodeRefused]:
        self.invitations.wrong(found)
        return make_noise(), CodeUnknown(f"invitation of {found.name!r}: {why}")

    def _take(
        self, request: Request, found: Invitation, public: bytes
    ) -> tuple[bytes, PublicIdentity | CodeRefused]:
        key = Secret(found.key)
        state = found.state(self.clock())
        # A device whose answer was lost may ask again; not one that was taken off the list since.
        again = found.device == public and (
            not found.admitted or self.invitations.is_listed(public)
        )
        if state != "open" and not again:
            reason, refusal = _WHY[state]
            told = refusal(f"the code of {found.name!r} was presented, and is {state}")
            return make_refusal(request.message, key, reason), told
        if not found.admitted:
            self.invitations.admit(found, public)
        answer = Answer(self.cloud.public, self.cloud.name, found.name)
        device = PublicIdentity("device", found.name, public)
        return make_answer(request.message, key, answer), device
