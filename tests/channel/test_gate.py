"""The gate: nothing dear is done for a hello before everything cheap has been checked."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channel.pair import CLOUD, NAME, SOURCE, STRANGER, Pair, flip

from bellwire.channel import gate as gate_module
from bellwire.channel.errors import ChannelMisuse, HandshakeFailed, TooManyHandshakes
from bellwire.channel.gate import COOKIE_LIFE_S, Gate, GateLimits, Retry
from bellwire.channel.macs import finish_hello, mac_key
from bellwire.channel.messages import HEADER_BYTES, RETRY_BODY, Kind, Suite

CLOSED = GateLimits(total_per_s=1e-9, total_burst=0.0)
"""Asks everybody for a cookie."""

HELLO = Pair().initiator.hello()
RETRY = HEADER_BYTES + RETRY_BODY


def under_load() -> Pair:
    return Pair(gate_limits=CLOSED)


def retry_of(pair: Pair, hello: bytes, source: str = SOURCE, now: float = 0.0) -> bytes:
    verdict = pair.gate.admit(hello, source, now)
    assert isinstance(verdict, Retry)
    return verdict.message


def test_under_load_a_hello_comes_again_with_its_cookie_and_ends_agree() -> None:
    pair = under_load()
    hello = pair.initiator.hello()
    again, session = pair.initiator.receive(retry_of(pair, hello))
    assert session is None
    assert again[:-16] == hello[:-16]
    confirm, initiator = pair.establish(pair.answer(again))
    responder = pair.responder.receive_confirmation(confirm)
    assert responder.open(initiator.seal(b"text")) == b"text"


def test_no_public_key_work_is_done_before_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = under_load()
    hello = pair.initiator.hello()

    def forbidden(*_: object) -> None:
        raise AssertionError("public-key work at the gate")

    for name in ("decapsulate", "from_seed", "generate"):
        monkeypatch.setattr(f"bellwire.crypto.kem.XWingPrivateKey.{name}", forbidden)
    for module in ("responding", "responder"):
        monkeypatch.setattr(f"bellwire.channel.{module}.encapsulate", forbidden)
    assert len(retry_of(pair, hello)) == RETRY < len(hello)


def test_a_cookie_serves_one_hello_from_one_address() -> None:
    pair, other = under_load(), Pair()
    hello = pair.initiator.hello()
    again, _ = pair.initiator.receive(retry_of(pair, hello))
    with pytest.raises(HandshakeFailed, match="cookie"):
        pair.gate.admit(again, "192.0.2.8", 0.0)
    grafted = other.initiator.hello()[:-16] + again[-16:]
    with pytest.raises(HandshakeFailed, match="cookie"):
        pair.gate.admit(grafted, SOURCE, 0.0)
    assert not isinstance(pair.gate.admit(again, SOURCE, 0.0), Retry)


@pytest.mark.parametrize("began", [0.0, 1e6])
def test_a_cookie_lives_between_one_and_two_lives_of_its_secret(began: float) -> None:
    pair = under_load()
    hello = pair.initiator.hello()
    again, _ = pair.initiator.receive(retry_of(pair, hello, now=began))
    for after in (0.0, 0.99 * COOKIE_LIFE_S, 1.99 * COOKIE_LIFE_S):
        assert not isinstance(pair.gate.admit(again, SOURCE, began + after), Retry)
    late = under_load()
    again, _ = late.initiator.receive(retry_of(late, late.initiator.hello(), now=began))
    with pytest.raises(HandshakeFailed, match="cookie"):
        late.gate.admit(again, SOURCE, began + 2 * COOKIE_LIFE_S)


def test_a_cookie_lives_no_longer_because_its_secret_is_changed_late() -> None:
    pair = under_load()
    again, _ = pair.initiator.receive(retry_of(pair, pair.initiator.hello()))
    assert isinstance(pair.gate.admit(HELLO, SOURCE, 1.5 * COOKIE_LIFE_S), Retry)
    with pytest.raises(HandshakeFailed, match="cookie"):
        pair.gate.admit(again, SOURCE, 2 * COOKIE_LIFE_S)


def test_a_restarted_gate_does_not_know_the_cookies_of_the_one_before() -> None:
    pair = under_load()
    again, _ = pair.initiator.receive(retry_of(pair, pair.initiator.hello()))
    with pytest.raises(HandshakeFailed, match="cookie"):
        Gate(CLOUD.public_bytes).admit(again, SOURCE, 0.0)


@pytest.mark.parametrize("bit", range(8 * RETRY))
def test_an_altered_retry_is_refused(bit: int) -> None:
    pair = under_load()
    retry = retry_of(pair, pair.initiator.hello())
    with pytest.raises(HandshakeFailed):
        pair.initiator.receive(flip(retry, bit))
    with pytest.raises(ChannelMisuse):
        pair.initiator.receive(retry)


def test_a_retry_of_another_hello_and_a_second_retry_are_refused() -> None:
    pair, other = under_load(), under_load()
    retry = retry_of(pair, pair.initiator.hello())
    other.initiator.hello()
    with pytest.raises(HandshakeFailed, match="retry of our hello"):
        other.initiator.receive(retry)
    pair.initiator.receive(retry)
    with pytest.raises(HandshakeFailed, match="expected answer or alert"):
        pair.initiator.receive(retry)


@pytest.mark.parametrize("bit", range(8 * (len(HELLO) - 32), 8 * len(HELLO)))
def test_every_flipped_bit_of_the_macs_is_refused(bit: int) -> None:
    with pytest.raises(HandshakeFailed):
        Gate(CLOUD.public_bytes).admit(flip(HELLO, bit), SOURCE, 0.0)


@settings(max_examples=200, deadline=None)
@given(message=st.binary(max_size=60) | st.binary(min_size=2445, max_size=2445))
def test_garbage_is_refused_by_name(message: bytes) -> None:
    with pytest.raises(HandshakeFailed):
        Gate(CLOUD.public_bytes).admit(message, SOURCE, 0.0)


def test_who_does_not_know_the_responder_is_turned_back_without_a_word() -> None:
    hello = finish_hello(HELLO[:-32], mac_key(STRANGER.public_bytes), None)
    with pytest.raises(HandshakeFailed) as caught:
        Gate(CLOUD.public_bytes).admit(hello, SOURCE, 0.0)
    assert caught.value.alert is None


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.HELLO])
def test_no_other_message_passes_for_a_hello(kind: Kind) -> None:
    others = {Kind.CERTIFIED_HELLO: "3793 to 7341", Kind.RESUME: "1297"}
    says = others.get(kind, "expected hello")
    with pytest.raises(HandshakeFailed, match=says):
        Gate(CLOUD.public_bytes).admit(bytes([kind]) + HELLO[1:], SOURCE, 0.0)


@pytest.mark.parametrize("suite", [0, 1, 4, 255])
def test_no_other_version_is_taken(suite: int) -> None:
    core = bytes([HELLO[0], suite]) + HELLO[2:-32]
    with pytest.raises(HandshakeFailed, match=f"suite {suite}"):
        Gate(CLOUD.public_bytes).admit(
            finish_hello(core, mac_key(CLOUD.public_bytes), None), SOURCE, 0.0
        )


BUSY = GateLimits(total_per_s=1e9, total_burst=1e9, network_per_s=1.0, network_burst=3.0)


def test_a_network_has_a_budget_that_comes_back_over_time() -> None:
    gate = Gate(CLOUD.public_bytes, limits=BUSY)
    verdicts = [gate.admit(HELLO, f"192.0.2.{host}", 0.0) for host in range(5)]
    assert [isinstance(each, Retry) for each in verdicts] == [False] * 3 + [True] * 2
    assert not isinstance(gate.admit(HELLO, "198.51.100.1", 0.0), Retry), "another network"
    assert not isinstance(gate.admit(HELLO, "192.0.2.9", 1.0), Retry)
    assert isinstance(gate.admit(HELLO, "192.0.2.9", 1.5), Retry)


def test_forged_addresses_do_not_spend_the_budget_of_who_has_a_cookie() -> None:
    pair = Pair(gate_limits=BUSY)
    for _ in range(10):
        pair.gate.admit(HELLO, SOURCE, 0.0)
    again, _ = pair.initiator.receive(retry_of(pair, pair.initiator.hello()))
    for _ in range(3):
        assert not isinstance(pair.gate.admit(again, SOURCE, 0.0), Retry)
    with pytest.raises(TooManyHandshakes):
        pair.gate.admit(again, SOURCE, 0.0)


def test_a_clock_that_stands_or_steps_back_gives_no_tokens() -> None:
    gate = Gate(CLOUD.public_bytes, limits=BUSY)
    for now in (5.0, 4.0, 3.0):
        gate.admit(HELLO, SOURCE, now)
    assert isinstance(gate.admit(HELLO, SOURCE, 3.0), Retry)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("192.0.2.1", "192.0.2.200", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("192.0.2.1", "::ffff:192.0.2.9", True),
        ("2001:db8:0:a1::1", "2001:db8:0:a2::1", True),
        ("2001:db8:0:100::1", "2001:db8:0:200::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("reply/one", "reply/other", False),
    ],
)
def test_budgets_are_of_networks(one: str, other: str, shared: bool) -> None:
    gate = Gate(CLOUD.public_bytes, limits=BUSY)
    for _ in range(3):
        gate.admit(HELLO, one, 0.0)
    assert isinstance(gate.admit(HELLO, other, 0.0), Retry) is shared


def test_budgets_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "MAX_NETWORKS", 16)
    gate = Gate(CLOUD.public_bytes, limits=BUSY)
    for high, low in itertools.product(range(10), range(10)):
        gate.admit(HELLO, f"10.{high}.{low}.1", 0.0)
    assert repr(gate) == "Gate(16 networks)"


def test_ten_thousand_hellos_leave_nothing_behind() -> None:
    gate = Gate(CLOUD.public_bytes, limits=GateLimits())
    for number in range(10_000):
        gate.admit(HELLO, f"192.0.2.{number % 250}", 0.0)
    assert repr(gate) == "Gate(1 networks)"


def test_the_name_is_bound_by_the_handshake_and_not_by_the_gate() -> None:
    pair = Pair(pinned_name="other." + NAME)
    hello = pair.gate.admit(pair.initiator.hello(), SOURCE, 0.0)
    assert not isinstance(hello, Retry)
    assert hello.suite is Suite.AES_256_GCM
    with pytest.raises(HandshakeFailed):
        pair.responder.receive_hello(hello)
