"""The initiator's side of a resumption: a ticket in the place of both static keys.

Step numbers are those of spec/channel.md.
"""

from typing import ClassVar

from bellwire.channel.errors import ChannelMisuse, TicketUnknown
from bellwire.channel.initiating import InitiatingEnd
from bellwire.channel.macs import check_unknown, mac
from bellwire.channel.messages import (
    NO_KEY,
    RESUME_ANSWER_BODY,
    RESUME_BODY,
    UNKNOWN_BODY,
    Kind,
    Policy,
    header,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.resumption import Ticket
from bellwire.channel.terms import QkdKey, fingerprint


class Resumer(InitiatingEnd):
    """The end that has a ticket; one object, one attempt, and the ticket is spent.

    Args:
        ticket: Of our last session with this responder, forgotten wherever it was kept.
        own_public: Our public key.
        responder_name: As for `Initiator`.
        responder_public: The pinned public key.
        policy: What we ask of QKD.
        qkd: The key we drew, or None, as for `Initiator`.
        options: Of the session.

    Raises:
        ChannelMisuse: policy and key do not fit, or the ticket is of another responder.
    """

    __slots__ = ("_ticket",)

    _ANSWERS: ClassVar = {Kind.RESUME_ANSWER: RESUME_ANSWER_BODY, Kind.UNKNOWN: UNKNOWN_BODY}
    _GRANT_BYTES = 1
    _REFUSED = "the responder refused to resume the session"

    def __init__(
        self,
        *,
        ticket: Ticket,
        own_public: bytes,
        responder_name: str,
        responder_public: bytes,
        policy: Policy,
        qkd: QkdKey | None,
        options: SessionOptions | None = None,
    ) -> None:
        if ticket.peer != fingerprint(responder_public):
            raise ChannelMisuse("expected a ticket of the pinned responder, got another's")
        super().__init__(
            suite=ticket.suite,
            responder_name=responder_name,
            responder_public=responder_public,
            resuming=fingerprint(own_public),
            policy=policy,
            qkd=qkd,
            options=options,
        )
        self._ticket = ticket

    def _header(self) -> bytes:
        return header(Kind.RESUME, self._suite, RESUME_BODY)

    def _open_call(self) -> bytes:
        ticket = self._ticket
        self._state.mix_hash(ticket.handle)
        self._state.mix_key_and_hash(ticket.psk)
        ticket.psk.wipe()
        return ticket.handle

    def _seal_offer(self) -> bytes:
        key_id = NO_KEY if self._qkd is None else self._qkd.key_id
        return self._state.seal(bytes([self._policy]) + key_id)

    def _take_grant(self, grant: bytes) -> int:
        return grant[0]

    def _protections(self, qkd: QkdKey | None) -> Protections:
        return self._ticket.protections.resume(qkd)

    def _check_not_refused(self, kind: Kind, head: bytes, body: bytes) -> None:
        if kind is Kind.UNKNOWN:
            check_unknown(head, body, self._mac_key, mac(self._mac_key, self._core))
            raise TicketUnknown("the responder does not know our ticket")
        super()._check_not_refused(kind, head, body)
