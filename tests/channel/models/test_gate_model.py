"""The gate in every order: who gets public-key work done, and whom a flood shuts out.

A device and a stranger, each at an address of its own. Both see only what is sent to their own
address; the stranger knows every hello, and sends any of them from either address, with any cookie
that it was ever given, at any time, three times in all. Time moves by half a cookie's life.
"""

from collections.abc import Callable, Hashable
from copy import copy

import pytest
from tests.channel.models.exploring import Move, Pieces, Violation, explore
from tests.channel.models.toys import Lots, drawing
from tests.channel.pair import CLOUD, Pair

from bellwire.channel import gate as gate_module
from bellwire.channel.errors import HandshakeFailed, TooManyHandshakes
from bellwire.channel.gate import COOKIE_LIFE_S, Gate, GateLimits, Retry
from bellwire.channel.macs import Hello, finish_hello, mac, mac_key
from bellwire.channel.messages import MAC_BYTES

HOME, AWAY = "192.0.2.7", "198.51.100.9"
KEY = mac_key(CLOUD.public_bytes)
CORES = {name: Pair().initiator.hello()[: -2 * MAC_BYTES] for name in ("device", "stranger")}
LIMITS = GateLimits(total_per_s=1e-9, total_burst=0, network_per_s=1e-9, network_burst=2)
STEPS = 4
SENDS = 3


class Draw:
    """In the place of the operating system's random bytes."""

    def __init__(self) -> None:
        self.lots = Lots("gate")

    def __call__(self, length: int) -> bytes:
        with drawing(self.lots):
            return self.lots.take(length)


class Flood:
    """A gate, the cookies that the stranger has, and what it has got done."""

    def __init__(self) -> None:
        self.gate = Pieces()
        self.gate.put("gate", Gate(CLOUD.public_bytes, limits=LIMITS, random=Draw()))
        self.steps = self.sends = 0
        self.given: dict[tuple[str, str, bytes], int] = {}
        self.free = 0
        self.paid = 0

    def fork(self) -> "Flood":
        other = copy(self)
        other.gate = self.gate.fork()
        other.given = self.given.copy()
        return other

    def key(self) -> Hashable:
        given = frozenset(self.given.items())
        return self.gate.key(), self.steps, self.sends, given, self.free, self.paid

    @property
    def now(self) -> float:
        return self.steps * COOKIE_LIFE_S / 2

    def moves(self) -> list[Move]:
        cookies = {cookie for (_, address, cookie) in self.given if address == AWAY}
        found: list[Move] = [
            ("send", name, address, cookie)
            for name in CORES
            for address in (HOME, AWAY)
            for cookie in (None, *sorted(cookies))
            if self.sends < SENDS
        ]
        if self.steps < STEPS:
            found.append(("wait",))
        return found

    def do(self, move: Move) -> None:
        getattr(self, f"_{move[0]}")(*move[1:])

    def _wait(self) -> None:
        self.steps += 1

    def _send(self, name: str, address: str, cookie: bytes | None) -> None:
        self.sends += 1
        message = finish_hello(CORES[name], KEY, cookie)
        try:
            verdict = self.gate.touch("gate").admit(message, address, self.now)
        except HandshakeFailed:
            return
        if isinstance(verdict, Retry):
            given = verdict.message[4 : 4 + MAC_BYTES]
            if address == AWAY:
                self.given.setdefault((name, address, given), self.steps)
            return
        if cookie is None:
            self.free += 1
            return
        since = self.given.get((name, address, cookie))
        assert since is not None, "work is done for a cookie of another hello or address"
        assert (self.steps - since) * COOKIE_LIFE_S / 2 < 2 * COOKIE_LIFE_S, "a cookie is too old"
        self.paid += 1

    def check(self) -> None:
        gate = self.gate["gate"]
        assert self.free <= LIMITS.total_burst, "more work without cookies than the budget"
        assert self.paid <= LIMITS.network_burst, "more work for one network than its budget"
        assert len(gate._secrets) <= 2, "secrets pile up"
        assert all(len(each) <= 2 for each in gate._networks.values()), "memory grows"
        self.fork().check_the_device()

    def check_the_device(self) -> None:
        """Whatever the stranger did, the device is let in after one retry at most."""
        gate = self.gate.touch("gate")
        core = CORES["device"]
        verdict = gate.admit(finish_hello(core, KEY, None), HOME, self.now)
        if isinstance(verdict, Retry):
            again = finish_hello(core, KEY, verdict.message[4 : 4 + MAC_BYTES])
            try:
                verdict = gate.admit(again, HOME, self.now)
            except TooManyHandshakes as error:
                raise AssertionError("the device is shut out") from error
        assert not isinstance(verdict, Retry), "the device is sent away again and again"


def test_no_flood_gets_work_done_or_shuts_the_device_out() -> None:
    assert explore(Flood(), most=20_000) > 1000


def _cookies_of(parts: Callable[[bytes, str], bytes], *, lives: int = 2) -> object:
    """`Gate._cookies` over other parts, and over more secrets."""

    def cookies(gate: Gate, digest: bytes, source: str, now: float) -> list[bytes]:
        if not gate._secrets or now - gate._changed >= COOKIE_LIFE_S:
            kept = gate._secrets[: lives - 1]
            if lives == 2 and now - gate._changed >= 2 * COOKIE_LIFE_S:
                kept = []
            gate._secrets = [gate._random(32), *kept]
            gate._changed = now
        return [mac(secret, parts(digest, source)) for secret in gate._secrets]

    return cookies


def _unchecked(gate: Gate, hello: Hello, source: str, now: float) -> None:
    gate._cookies(hello.digest, source, now)


def _one_purse(gate: Gate, network: str, *, proved: bool, now: float) -> bool:
    bucket = gate._networks[False].setdefault(
        network, gate_module._Bucket(LIMITS.network_per_s, LIMITS.network_burst, now)
    )
    if gate._total is None:
        gate._total = gate_module._Bucket(LIMITS.total_per_s, LIMITS.total_burst, now)
    return bucket.take(now) and (proved or gate._total.take(now))


MUTANTS: dict[str, tuple[str, str, object]] = {
    "a cookie is of no address": (
        "another hello or address",
        "_cookies",
        _cookies_of(lambda digest, _: digest),
    ),
    "a cookie is of no hello": (
        "another hello or address",
        "_cookies",
        _cookies_of(lambda _, source: source.encode()),
    ),
    "a cookie lives for ever": (
        "too old|pile up",
        "_cookies",
        _cookies_of(lambda digest, source: digest + source.encode(), lives=9),
    ),
    "cookies are not looked at": ("another hello or address", "_check_cookie", _unchecked),
    "who forges an address spends its owner's budget": ("shut out", "_take", _one_purse),
    "there is no budget": (
        "more work without cookies",
        "_take",
        lambda gate, network, *, proved, now: True,
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_search_finds_what_is_broken_on_purpose(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    says, name, instead = MUTANTS[fault]
    monkeypatch.setattr(Gate, name, instead)
    with pytest.raises(Violation, match=says):
        explore(Flood(), most=20_000)
