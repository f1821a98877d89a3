"""The handshake in symbols, and all that an attacker can do to a few runs of it.

Ciphers, hashes and KEMs are symbols that give nothing away but what their equations say (Dolev and
Yao, 1983). The attacker has the wire: it takes what is sent apart, and gives an end any message
that it can put together. A KEM ciphertext may be mixed from the halves of others. Every choice is
tried; the number of runs is bounded, and messages have the fields of their kind. The steps and
names are those of spec/channel.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

Term = int
"""A number that stands for a symbol and its arguments; equal terms are one number."""

_TABLE: list[tuple[str, tuple[Term, ...]]] = []
_NUMBERS: dict[tuple[str, tuple[Term, ...]], Term] = {}

_PRIVATE = {"atom", "qkd"}
"""Known only to who was told; all other symbols are functions that everybody can apply."""


def make(symbol: str, *arguments: Term) -> Term:
    """The term of this symbol over these terms."""
    content = (symbol, arguments)
    if content not in _NUMBERS:
        _NUMBERS[content] = len(_TABLE)
        _TABLE.append(content)
    return _NUMBERS[content]


def atom(name: str) -> Term:
    """Something drawn at random, or kept by one end; different for each name."""
    return make("atom", make("name " + name))


def constant(name: str) -> Term:
    """What everybody knows."""
    return make("name " + name)


class Pair(NamedTuple):
    """The two halves of something of X-Wing: ML-KEM's, and X25519's."""

    m: Term
    x: Term


def public(seed: Term) -> Pair:
    return Pair(make("public m", seed), make("public x", seed))


def encapsulate(key: Pair, coins: Term) -> tuple[Pair, Term]:
    """Ciphertext, and shared secret."""
    sent = Pair(make("ciphertext m", key.m, coins), make("ciphertext x", key.x, coins))
    return sent, combine(
        make("shared m", key.m, coins), make("shared x", key.x, coins), sent.x, key.x
    )


def combine(m: Term, x: Term, ciphertext: Term, key: Term) -> Term:
    return make("combine", m, x, ciphertext, key)


def decapsulate(seed: Term, sent: Pair) -> Term:
    """The shared secret; another, that nobody has, for what was not made for this key."""
    key = public(seed)

    def half(name: str, half_key: Term, ciphertext: Term) -> Term:
        symbol, arguments = _TABLE[ciphertext]
        if symbol == f"ciphertext {name}" and arguments[0] == half_key:
            return make(f"shared {name}", *arguments)
        return make(f"rejected {name}", seed, ciphertext)

    return combine(half("m", key.m, sent.m), half("x", key.x, sent.x), sent.x, key.x)


@dataclass(frozen=True)
class Knowledge:
    """What the attacker has, taken apart as far as it goes.

    Attributes:
        terms: Of all that was sent or leaked.
        broken: Halves of the KEM (`m`, `x`) whose ciphertexts it opens.
    """

    terms: frozenset[Term]
    broken: frozenset[str] = frozenset()

    def derives(self, term: Term) -> bool:
        """Whether it can put `term` together."""
        if term in self.terms:
            return True
        symbol, arguments = _TABLE[term]
        return symbol not in _PRIVATE and all(map(self.derives, arguments))

    def learn(self, *new: Term) -> "Knowledge":
        """With these as well, and what they open."""
        known = replace(self, terms=self.terms | set(new))
        while True:
            more = {got for term in known.terms for got in known._opens(term)} - known.terms
            if not more:
                return known
            known = replace(known, terms=known.terms | more)

    def _opens(self, term: Term) -> Iterator[Term]:
        symbol, arguments = _TABLE[term]
        match symbol.split():
            case ["list"]:
                yield from arguments
            case ["sealed"] if self.derives(arguments[0]):
                yield arguments[-1]
            case ["ciphertext", half]:
                _, seeds = _TABLE[arguments[0]]
                if half in self.broken or all(map(self.derives, seeds)):
                    yield make(f"shared {half}", *arguments)

    def ciphertexts(self, keys: list[Pair], coins: Term) -> Iterator[Pair]:
        """Every ciphertext that it can send, of its own or mixed from others."""
        halves: dict[str, list[Term]] = {"m": [], "x": []}
        for term in self.terms:
            symbol = _TABLE[term][0].split()
            if symbol[0] == "ciphertext":
                halves[symbol[1]].append(term)
        for key in keys:
            own, _ = encapsulate(key, coins)
            halves["m"].append(own.m)
            halves["x"].append(own.x)
        for m in sorted(set(halves["m"])):
            for x in sorted(set(halves["x"])):
                yield Pair(m, x)

    def publics(self) -> list[Pair]:
        """Every public key that it knows whole."""
        seeds = {_TABLE[t][1][0] for t in self.terms if _TABLE[t][0] == "public m"}
        return [public(seed) for seed in sorted(seeds)]

    def sealed(self, key: Term, place: Term, over: Term) -> Iterator[Term]:
        """The texts that it can have opened under this key, number and transcript."""
        for term in sorted(self.terms):
            symbol, arguments = _TABLE[term]
            if symbol == "sealed" and arguments[:3] == (key, place, over):
                yield arguments[3]


class Noise(NamedTuple):
    """The running state of a handshake."""

    h: Term
    ck: Term
    k: Term
    n: int = 0

    @classmethod
    def start(cls, responder: Pair) -> "Noise":
        h = make("hash", constant("protocol and prologue"), *responder)
        return cls(h, h, constant("no key"))

    def mix_hash(self, *data: Term) -> "Noise":
        return self._replace(h=make("hash", self.h, *data))

    def mix_key(self, secret: Term) -> "Noise":
        return self._replace(ck=make("ck", self.ck, secret), k=make("k", self.ck, secret), n=0)

    def mix_key_and_hash(self, secret: Term) -> "Noise":
        mixed = self.mix_key(secret)
        return mixed.mix_hash(make("t", self.ck, secret))

    @property
    def place(self) -> Term:
        """The nonce of what is sealed next."""
        return constant(f"nonce {self.n}")

    def seal(self, text: Term) -> tuple[Term, "Noise"]:
        sealed = make("sealed", self.k, self.place, self.h, text)
        return sealed, self.mix_hash(sealed)._replace(n=self.n + 1)

    def split(self) -> Term:
        """The session's secrets; one stands for all that is derived from it."""
        return make("split", self.ck, self.h)


@dataclass(frozen=True)
class Protocol:
    """The handshake, or one with something left out.

    Attributes:
        responder_kem: `ss_S` is mixed in.
        ephemeral_kem: `ss_E` is.
        initiator_kem: `ss_C` is.
        qkd: The QKD key is.
        confirm: The responder waits for the third message.
        sealed_offer: The offer is sealed.
        both_halves: Both halves of the KEM are in its secret.
    """

    responder_kem: bool = True
    ephemeral_kem: bool = True
    initiator_kem: bool = True
    qkd: bool = True
    confirm: bool = True
    sealed_offer: bool = True
    both_halves: bool = True

    def mix(self, state: Noise, secret: Term, *, when: bool = True) -> Noise:
        """MixKey, unless that is what is left out."""
        if not when:
            return state.mix_key(constant("left out"))
        if not self.both_halves:
            secret = make("combine", _TABLE[secret][1][0])
        return state.mix_key(secret)

    def mix_qkd(self, state: Noise, key: Term | None) -> Noise:
        zero = constant("32 zero bytes")
        return state.mix_key_and_hash(key if key is not None and self.qkd else zero)


@dataclass(frozen=True)
class Call:
    """An initiator's run.

    Attributes:
        name: Tells runs apart.
        seed: Its static key's.
        pinned: Whom it calls.
        key_id: Of its QKD key, or None.
        state: After its hello, then after its confirm.
        accepted: The session's secrets, and what it was sent.
    """

    name: str
    seed: Term
    pinned: Pair
    key_id: Term | None
    state: Noise
    accepted: tuple[Term, Term] | None = None

    @property
    def ephemeral(self) -> Term:
        return atom(f"ephemeral of {self.name}")


@dataclass(frozen=True)
class Visit:
    """A responder's run: after its answer, then after the confirm."""

    name: str
    peer: Pair
    state: Noise
    confirmed: Term | None = None


@dataclass(frozen=True)
class Runs:
    """Where everybody stands."""

    known: Knowledge
    calls: tuple[Call, ...]
    visits: tuple[Visit, ...] = ()


def qkd_key(key_id: Term) -> Term:
    return make("qkd", key_id)


def _list(*terms: Term) -> Term:
    return make("list", *terms)


NONE = constant("no key id")
COINS = atom("attacker's coins")
OWN = atom("attacker's seed")


@dataclass(frozen=True)
class Scene:
    """Who is there, and what the attacker has from the start.

    Attributes:
        protocol: Which is run.
        qkd: Whether policies require QKD, or switch it off.
        broken: Halves of the KEM that are broken.
        leaked: Long-term secrets that the attacker has: `device`, `cloud`, `qkd`.
        device_known: Whether the attacker knows the device's public key.
        visits: How many hellos the cloud takes.
        insider: Whether the attacker has a QKD key that the cloud can fetch.
    """

    protocol: Protocol = field(default_factory=Protocol)
    qkd: bool = True
    broken: frozenset[str] = frozenset()
    leaked: frozenset[str] = frozenset()
    device_known: bool = True
    visits: int = 1
    insider: bool = True

    DEVICE = atom("device's seed")
    CLOUD = atom("cloud's seed")

    def secret(self, name: str) -> list[Term]:
        """The terms that a leak gives away."""
        if name == "qkd":
            return [qkd_key(self.key_id(call)) for call in ("one", "two")]
        return [self.DEVICE if name == "device" else self.CLOUD]

    def key_id(self, call: str) -> Term:
        return atom(f"key id of {call}")

    def start(self) -> Runs:
        """The device has called its cloud, and another cloud, which is the attacker's."""
        told = [COINS, OWN, NONE, *public(self.CLOUD), *public(OWN)]
        if self.insider:
            told += [atom("attacker's key id"), qkd_key(atom("attacker's key id"))]
        if self.device_known:
            told += public(self.DEVICE)
        for name in self.leaked:
            told += self.secret(name)
        known = Knowledge(frozenset(), self.broken).learn(*told)
        calls = []
        pins = [public(self.CLOUD)] + [public(OWN)] * self.device_known
        for name, pinned in zip(("one", "two"), pins, strict=False):
            call, sent = self._call(name, pinned)
            calls.append(call)
            known = known.learn(*sent)
        return Runs(known, tuple(calls))

    def _call(self, name: str, pinned: Pair) -> tuple[Call, list[Term]]:
        """Step 1."""
        protocol = self.protocol
        key_id = self.key_id(name) if self.qkd else None
        own, ephemeral = public(self.DEVICE), public(atom(f"ephemeral of {name}"))
        ct_s, ss_s = encapsulate(pinned, atom(f"coins of {name}"))
        state = Noise.start(pinned).mix_hash(constant("hello")).mix_hash(*ct_s)
        state = protocol.mix(state, ss_s, when=protocol.responder_kem).mix_hash(*ephemeral)
        offer = _list(make("id", *own), NONE if key_id is None else key_id)
        sealed, state = state.seal(offer)
        state = state.mix_hash(*own)
        sent = [*ct_s, *ephemeral, sealed]
        if not protocol.sealed_offer:
            sent.append(offer)
        return Call(name, self.DEVICE, pinned, key_id, state), sent

    def moves(self, runs: Runs) -> Iterator[Runs]:
        """All that the attacker can bring about next."""
        if len(runs.visits) < self.visits:
            yield from self._visits(runs)
        for place, call in enumerate(runs.calls):
            if call.accepted is None:
                for done, sent in self._answers(runs.known, call):
                    calls = (*runs.calls[:place], done, *runs.calls[place + 1 :])
                    yield Runs(runs.known.learn(sent), calls, runs.visits)
        for place, visit in enumerate(runs.visits):
            if visit.confirmed is None:
                for served in self._confirms(runs.known, visit):
                    visits = (*runs.visits[:place], served, *runs.visits[place + 1 :])
                    yield Runs(runs.known, runs.calls, visits)

    def _texts(self, known: Knowledge, state: Noise, own: list[Term]) -> Iterator[Term]:
        """What an end in this state can be made to open: what was sealed for it, or made up."""
        yield from known.sealed(state.k, state.place, state.h)
        if known.derives(state.k):
            yield from own

    def _visits(self, runs: Runs) -> Iterator[Runs]:
        """Step 3 and 4, for every hello that opens."""
        known, protocol = runs.known, self.protocol
        enrolled = {make("id", *each): each for each in (public(self.DEVICE), public(OWN))}
        key_ids = [NONE, atom("attacker's key id"), *map(self.key_id, ("one", "two"))]
        offers = [_list(i, key_id) for i in enrolled for key_id in key_ids]
        offers = [offer for offer in offers if known.derives(offer)]
        for ct_s in known.ciphertexts([public(self.CLOUD)], COINS):
            opened = Noise.start(public(self.CLOUD)).mix_hash(constant("hello")).mix_hash(*ct_s)
            secret = decapsulate(self.CLOUD, ct_s)
            keyed = protocol.mix(opened, secret, when=protocol.responder_kem)
            for ephemeral in known.publics():
                state = keyed.mix_hash(*ephemeral)
                for offer in self._texts(known, state, offers):
                    identity, key_id = _TABLE[offer][1]
                    if (key_id != NONE) == self.qkd and identity in enrolled:
                        peer = enrolled[identity]
                        yield self._answer(runs, state.seal(offer)[1], ephemeral, peer, key_id)

    def _answer(self, runs: Runs, state: Noise, ephemeral: Pair, peer: Pair, key_id: Term) -> Runs:
        protocol, name = self.protocol, f"visit {len(runs.visits)}"
        state = state.mix_hash(*peer)
        ct_e, ss_e = encapsulate(ephemeral, atom(f"coins to e of {name}"))
        ct_c, ss_c = encapsulate(peer, atom(f"coins to c of {name}"))
        state = state.mix_hash(constant("answer")).mix_hash(*ct_e)
        state = protocol.mix(state, ss_e, when=protocol.ephemeral_kem)
        grant, state = state.seal(_list(*ct_c))
        state = protocol.mix(state, ss_c, when=protocol.initiator_kem)
        state = protocol.mix_qkd(state, qkd_key(key_id) if self.qkd else None)
        last, state = state.seal(atom(f"session id of {name}"))
        visit = Visit(name, peer, state)
        if not protocol.confirm:
            visit = replace(visit, confirmed=_confirmed(state)[1].split())
        known = runs.known.learn(*ct_e, grant, last)
        return Runs(known, runs.calls, (*runs.visits, visit))

    def _answers(self, known: Knowledge, call: Call) -> Iterator[tuple[Call, Term]]:
        """Step 5, for every answer that opens."""
        protocol = self.protocol
        static = list(known.ciphertexts([public(call.seed)] * self.device_known, COINS))
        own = [_list(*each) for each in static]
        for ct_e in known.ciphertexts([public(call.ephemeral)], COINS):
            state = call.state.mix_hash(constant("answer")).mix_hash(*ct_e)
            secret = decapsulate(call.ephemeral, ct_e)
            state = protocol.mix(state, secret, when=protocol.ephemeral_kem)
            for grant in self._texts(known, state, own):
                yield from self._ends(known, call, state.seal(grant)[1], Pair(*_TABLE[grant][1]))

    def _ends(
        self, known: Knowledge, call: Call, state: Noise, ct_c: Pair
    ) -> Iterator[tuple[Call, Term]]:
        protocol, secret = self.protocol, decapsulate(call.seed, ct_c)
        state = protocol.mix(state, secret, when=protocol.initiator_kem)
        state = protocol.mix_qkd(state, None if call.key_id is None else qkd_key(call.key_id))
        for session_id in self._texts(known, state, [COINS]):
            _, answered = state.seal(session_id)
            sent, after = _confirmed(answered)
            yield replace(call, state=after, accepted=(after.split(), answered.h)), sent

    def _confirms(self, known: Knowledge, visit: Visit) -> Iterator[Visit]:
        """Step 6."""
        sent, after = _confirmed(visit.state)
        if known.derives(sent):
            yield replace(visit, confirmed=after.split())


def _confirmed(state: Noise) -> tuple[Term, Noise]:
    return state.mix_hash(constant("confirm")).seal(constant("nothing"))
