"""Resumption and fresh keys in symbols: what an attacker can do to what follows a session.

As in `symbols`, ciphers, hashes and KEMs give nothing away but what their equations say, and the
attacker has the wire. A ticket's secret, or a session's root, is where these runs begin; the scenes
say who else has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.channel.models.symbols import (
    COINS,
    NONE,
    OWN,
    Knowledge,
    Noise,
    Pair,
    Term,
    atom,
    constant,
    decapsulate,
    encapsulate,
    make,
    public,
    qkd_key,
)

CLOUD = public(atom("cloud's seed"))
PSK = atom("psk of the device's ticket")
OTHER = atom("psk of the attacker's ticket")
EPHEMERAL = atom("ephemeral of the resumption")
KEY_ID = atom("key id")
ZERO = constant("32 zero bytes")
ROOT, UP, DOWN = (atom(f"session's {name}") for name in ("root", "up", "down"))


@dataclass(frozen=True)
class Ticket:
    """What both ends of a session kept of it."""

    name: str
    psk: Term

    @property
    def handle(self) -> Term:
        """Travels in the clear."""
        return constant(f"handle of {self.name}")


TICKETS = (Ticket("device", PSK), Ticket("attacker", OTHER))


@dataclass(frozen=True)
class Visit:
    """The cloud has taken a ticket and answered; perhaps it has the confirm."""

    ticket: Ticket
    state: Noise
    confirmed: Term | None = None


@dataclass(frozen=True)
class Resumed:
    """Where everybody stands in a resumption."""

    known: Knowledge
    call: Noise
    accepted: tuple[Term, Term] | None = None
    visits: tuple[Visit, ...] = ()


@dataclass(frozen=True)
class Resumption:
    """A device that resumes, or does so with something left out.

    Attributes:
        psk: The ticket's secret is mixed in.
        ephemeral_kem: `ss_E` is.
        mix_qkd: The QKD key is.
        confirm: The cloud waits for the third message.
        qkd: Whether policies require QKD, or switch it off.
        broken: Halves of the KEM that are broken.
        leaked: What the attacker has from the start: `psk`, `qkd`.
        insider: Whether it has a ticket of its own.
    """

    psk: bool = True
    ephemeral_kem: bool = True
    mix_qkd: bool = True
    confirm: bool = True
    qkd: bool = False
    broken: frozenset[str] = frozenset()
    leaked: frozenset[str] = frozenset()
    insider: bool = True

    def secret(self, name: str) -> Term:
        """What a leak gives away."""
        return PSK if name == "psk" else qkd_key(KEY_ID)

    def start(self) -> Resumed:
        """The device has sent R1."""
        told = [COINS, OWN, NONE, *CLOUD, *map(self.secret, self.leaked)]
        told += [OTHER] * self.insider
        ephemeral = public(EPHEMERAL)
        sealed, state = self._opened(TICKETS[0], ephemeral).seal(self._offer)
        known = Knowledge(frozenset(), self.broken).learn(*told, *ephemeral, sealed)
        return Resumed(known, state)

    @property
    def _offer(self) -> Term:
        return KEY_ID if self.qkd else NONE

    def _opened(self, ticket: Ticket, ephemeral: Pair) -> Noise:
        state = Noise.start(CLOUD).mix_hash(constant(f"id of {ticket.name}"))
        state = state.mix_hash(ticket.handle)
        state = state.mix_key_and_hash(ticket.psk if self.psk else ZERO)
        return state.mix_hash(*ephemeral)

    def _mix_ephemeral(self, state: Noise, secret: Term) -> Noise:
        return state.mix_key(secret if self.ephemeral_kem else ZERO)

    def _mix_qkd(self, state: Noise) -> Noise:
        return state.mix_key_and_hash(qkd_key(KEY_ID) if self.qkd and self.mix_qkd else ZERO)

    def moves(self, runs: Resumed) -> Iterator[Resumed]:
        """All that the attacker can bring about next."""
        used = {visit.ticket for visit in runs.visits}
        for ticket in TICKETS:
            if ticket not in used:
                yield from self._visit(runs, ticket)
        if runs.accepted is None:
            yield from self._answers(runs)
        for place, visit in enumerate(runs.visits):
            sent, after = visit.state.seal(constant("nothing"))
            if visit.confirmed is None and runs.known.derives(sent):
                served = replace(visit, confirmed=after.split())
                yield replace(
                    runs, visits=(*runs.visits[:place], served, *runs.visits[place + 1 :])
                )

    def _visit(self, runs: Resumed, ticket: Ticket) -> Iterator[Resumed]:
        """R2, for every resume that opens."""
        for ephemeral in runs.known.publics():
            state = self._opened(ticket, ephemeral)
            for offer in self._texts(runs.known, state, [self._offer]):
                after = state.seal(offer)[1]
                ct_e, ss_e = encapsulate(ephemeral, atom(f"coins to e for {ticket.name}"))
                after = self._mix_ephemeral(after.mix_hash(*ct_e), ss_e)
                grant, after = after.seal(constant("used"))
                last, after = self._mix_qkd(after).seal(atom(f"session id for {ticket.name}"))
                visit = Visit(ticket, after)
                if not self.confirm:
                    visit = replace(visit, confirmed=after.seal(constant("nothing"))[1].split())
                known = runs.known.learn(*ct_e, grant, last)
                yield replace(runs, known=known, visits=(*runs.visits, visit))

    def _answers(self, runs: Resumed) -> Iterator[Resumed]:
        """R3, for every answer that opens."""
        for ct_e in runs.known.ciphertexts([public(EPHEMERAL)], COINS):
            state = self._mix_ephemeral(runs.call.mix_hash(*ct_e), decapsulate(EPHEMERAL, ct_e))
            for grant in self._texts(runs.known, state, [constant("used")]):
                after = self._mix_qkd(state.seal(grant)[1])
                for session_id in self._texts(runs.known, after, [COINS]):
                    answered = after.seal(session_id)[1]
                    sent, done = answered.seal(constant("nothing"))
                    accepted = (done.split(), answered.h)
                    yield replace(runs, known=runs.known.learn(sent), accepted=accepted)

    def _texts(self, known: Knowledge, state: Noise, own: list[Term]) -> Iterator[Term]:
        yield from known.sealed(state.k, state.place, state.h)
        if known.derives(state.k):
            yield from own


@dataclass(frozen=True)
class Refreshed:
    """Where both ends stand with fresh keys: what each would have, once it has it."""

    known: Knowledge
    device: Term | None = None
    cloud: Term | None = None


@dataclass(frozen=True)
class Refresh:
    """Fresh keys within a session, or with something left out.

    Attributes:
        kem: The KEM's secret is in them.
        mix_qkd: The QKD key is.
        root: What the ends had before is.
        sealed: Offer and answer travel in records of the session.
        qkd: Whether there is a QKD key.
        broken: Halves of the KEM that are broken.
        leaked: What the attacker has: `session` (root and keys of both directions), `qkd`.
        listens: It only listens.
    """

    kem: bool = True
    mix_qkd: bool = True
    root: bool = True
    sealed: bool = True
    qkd: bool = False
    broken: frozenset[str] = frozenset()
    leaked: frozenset[str] = frozenset()
    listens: bool = False

    def start(self) -> Refreshed:
        """The device has sent its offer."""
        told = [COINS, OWN, NONE]
        if "session" in self.leaked:
            told += [ROOT, UP, DOWN]
        if "qkd" in self.leaked:
            told.append(qkd_key(KEY_ID))
        known = Knowledge(frozenset(), self.broken).learn(*told)
        return Refreshed(known.learn(self._record(UP, self._offer(public(EPHEMERAL)))))

    def _offer(self, ephemeral: Pair) -> Term:
        return make("list", *ephemeral, KEY_ID if self.qkd else NONE)

    def _record(self, key: Term, text: Term) -> Term:
        return make("sealed", key, constant("number"), ZERO, text) if self.sealed else text

    def _fresh(self, secret: Term, offer: Term, answer: Pair) -> Term:
        mixed = [secret if self.kem else ZERO, ROOT if self.root else ZERO]
        mixed.append(qkd_key(KEY_ID) if self.qkd and self.mix_qkd else ZERO)
        return make("fresh", *mixed, offer, *answer)

    def moves(self, runs: Refreshed) -> Iterator[Refreshed]:
        """Steps 12 and 13, for all that the attacker can have the ends open."""
        own_offer = self._offer(public(EPHEMERAL))
        if runs.cloud is None:
            others = [] if self.listens else runs.known.publics()
            for ephemeral in {public(EPHEMERAL), *others}:
                offer = self._offer(ephemeral)
                if runs.known.derives(self._record(UP, offer)):
                    sent, secret = encapsulate(ephemeral, atom("coins of the answer"))
                    answer = self._record(DOWN, make("list", *sent))
                    fresh = self._fresh(secret, offer, sent)
                    yield replace(runs, known=runs.known.learn(answer), cloud=fresh)
        if runs.device is None:
            for sent in self._answers(runs):
                if runs.known.derives(self._record(DOWN, make("list", *sent))):
                    secret = decapsulate(EPHEMERAL, sent)
                    yield replace(runs, device=self._fresh(secret, own_offer, sent))

    def _answers(self, runs: Refreshed) -> list[Pair]:
        honest = encapsulate(public(EPHEMERAL), atom("coins of the answer"))[0]
        if self.listens:
            return [honest]
        return [honest, *runs.known.ciphertexts([public(EPHEMERAL)], COINS)]
