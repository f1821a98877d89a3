"""The responder's side of a resumption: it knows who comes by the ticket.

Step numbers are those of spec/channel.md.
"""

from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.macs import Hello
from bellwire.channel.messages import NO_KEY, RESUME_ANSWER_BODY, Kind, Policy, parse_policy
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.responding import RespondingEnd
from bellwire.channel.resumption import Ticket
from bellwire.channel.terms import Event, QkdKey, opening_state


class ResumptionResponder(RespondingEnd):
    """The end that is reached with a ticket; one object, one attempt.

    Args:
        hello: That the gate let through, and whose handle named the ticket.
        ticket: Forgotten wherever it was kept.
        name: What initiators call us.
        own_public: Our public key.
        policy: What we ask of QKD.
        options: Of the session.

    Raises:
        ChannelMisuse: the ticket is another than the hello names.
    """

    __slots__ = ("_ticket",)

    _ANSWER = (Kind.RESUME_ANSWER, RESUME_ANSWER_BODY)
    _EXPECTED = "a hello by the holder of the ticket"

    def __init__(
        self,
        hello: Hello,
        ticket: Ticket,
        *,
        name: str,
        own_public: bytes,
        policy: Policy,
        options: SessionOptions | None = None,
    ) -> None:
        if hello.kind is not Kind.RESUME or hello.opening != ticket.handle:
            raise ChannelMisuse("expected the ticket that the hello names, got another")
        super().__init__(policy, options)
        self._hello = hello
        self._ticket = ticket
        self._state = opening_state(
            ticket.suite, self._options.transport, name, own_public, resuming=ticket.peer
        )

    def receive_hello(self) -> bytes | None:
        """Step R2: open the hello; which QKD key to fetch before `answer`, or None.

        Raises:
            HandshakeFailed: who sent it has not the ticket, or policies exclude each other; send
                `alert`.
            ChannelMisuse: it was done before.
        """
        with self._progress.attempt(Event.TAKE_HELLO):
            opened = self._open_hello(self._hello, self._state)
            with self._refusing():
                wanted = parse_policy(opened[0])
            self._settle(wanted, None if opened[1:] == NO_KEY else opened[1:])
            return self._key_id

    def _mix_opening(self, opening: bytes) -> None:
        self._state.mix_key_and_hash(self._ticket.psk)
        self._ticket.psk.wipe()

    def _seal_grant(self, used: bytes) -> bytes:
        return self._state.seal(used)

    @property
    def _peer(self) -> bytes:
        return self._ticket.peer

    def _protections(self, qkd: QkdKey | None) -> Protections:
        return self._ticket.protections.resume(qkd)
