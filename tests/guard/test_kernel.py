"""Rules on the real kernel: what is stopped, what is not, and what becomes of them alone."""

import contextlib
import socket
from pathlib import Path

import pytest
from tests.guard.spaces import ADDRESS, OTHER_PORT, PORT, RELAY, ROUTER, V4, Spaces, echoed, until

from bellwire.guard import ruleset
from bellwire.guard.enforcer import NftEnforcer
from bellwire.guard.nft import Nft
from bellwire.guard.scope import Scope, read_addresses

FAMILIES = list(ADDRESS)
FOREIGN = """
table inet others {
	set s { type ipv4_addr; elements = { 192.0.2.1 } }
	chain c {
		type filter hook forward priority 0; policy accept;
		ct state established accept
		ip saddr @s drop
	}
}
table ip bellwire_guardian {
	chain c {
		tcp dport 8765 accept
	}
}
"""


def files_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def guarding(nft: Nft, scope: Scope | None = None) -> NftEnforcer:
    enforcer = NftEnforcer(nft, scope or Scope())
    enforcer.begin()
    return enforcer


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_passes_before_a_lease_and_other_ports_are_unharmed(
    net: Spaces, nft: Nft, family: socket.AddressFamily
) -> None:
    assert net.reaches(family)
    enforcer = guarding(nft)
    assert not net.reaches(family)
    assert net.reaches(family, OTHER_PORT)
    enforcer.permit(30.0)
    assert net.reaches(family)
    enforcer.forbid()
    assert not net.reaches(family)
    assert enforcer.blocked().packets > 0
    enforcer.remove()
    assert net.reaches(family)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_connection_that_lives_is_cut_at_both_ends_at_once(
    net: Spaces, nft: Nft, family: socket.AddressFamily
) -> None:
    nft.run(FOREIGN)  # which lets established connections pass
    enforcer = guarding(nft)
    enforcer.permit(30.0)
    with net.connect(family) as chat, net.connect(family, OTHER_PORT) as other:
        assert echoed(chat)
        assert echoed(other)
        enforcer.forbid()
        chat.sendall(b"do you hear me")
        with pytest.raises(ConnectionResetError):
            chat.recv(1000)
        assert echoed(other)
    with pytest.raises(ConnectionRefusedError):
        net.connect(family).close()


def test_what_the_relay_says_unasked_does_not_pass_either(net: Spaces, nft: Nft) -> None:
    enforcer = guarding(nft)
    enforcer.permit(30.0)
    listener = net.open(RELAY)
    with listener:
        listener.bind((ADDRESS[V4][RELAY], 0))
        listener.listen()
        port = listener.getsockname()[1]
        watching = guarding(nft, Scope((port,)))
        watching.permit(30.0)
        with net.connect(port=port) as client:
            relay, _ = listener.accept()
            with relay:
                relay.sendall(b"one")
                assert client.recv(10) == b"one"
                watching.forbid()
                client.settimeout(0.3)
                relay.sendall(b"two")
                with pytest.raises(OSError, match=r"timed out|reset"):
                    client.recv(10)
                relay.settimeout(2.0)
                with pytest.raises(ConnectionResetError):
                    relay.recv(10)


def test_a_lease_runs_out_by_itself(net: Spaces, nft: Nft) -> None:
    enforcer = guarding(nft)
    enforcer.permit(0.3)
    until(lambda: not net.reaches(), "the lease never ran out")
    assert enforcer.intact()


def test_a_lease_that_is_renewed_lasts_from_then_on_and_loses_no_packet(
    net: Spaces, nft: Nft
) -> None:
    enforcer = guarding(nft)
    enforcer.permit(0.2)
    with net.connect() as chat:
        for _ in range(300):
            enforcer.permit(0.2)
            assert echoed(chat)
        enforcer.permit(30.0)
        left = nft.read(f"list set inet {ruleset.TABLE} lease")
        assert "expires 29s" in left or "expires 30s" in left


def test_a_shorter_lease_takes_the_place_of_a_longer_one(net: Spaces, nft: Nft) -> None:
    enforcer = guarding(nft)
    enforcer.permit(60.0)
    enforcer.permit(0.1)
    until(lambda: not net.reaches(), "the earlier lease went on")


def test_rules_of_others_are_the_same_to_the_byte_before_and_after(net: Spaces, nft: Nft) -> None:
    nft.run(FOREIGN)
    before = nft.read("list ruleset")
    enforcer = guarding(nft)
    enforcer.permit(1.0)
    enforcer.forbid()
    theirs = [nft.read("list table inet others"), nft.read("list table ip bellwire_guardian")]
    assert all(each in before for each in theirs)
    enforcer.remove()
    assert nft.read("list ruleset") == before


def test_rules_of_an_earlier_guard_are_taken_over_with_their_lease(net: Spaces, nft: Nft) -> None:
    guarding(nft).permit(30.0)
    with net.connect() as chat:
        later = NftEnforcer(Nft(), Scope())
        assert later.begin()
        assert echoed(chat)
        later.forbid()
        assert not echoed(chat)


@pytest.mark.parametrize(
    "change",
    [
        "insert rule inet bellwire_guard judge accept",
        "insert rule inet bellwire_guard to_relay accept",
        "add element inet bellwire_guard ports { 22 }",
        "delete element inet bellwire_guard ports { 8765 }",
        "flush chain inet bellwire_guard forward",
        "delete chain inet bellwire_guard input",
        "add chain inet bellwire_guard forward { policy drop; }",
        "add chain inet bellwire_guard more",
        "delete table inet bellwire_guard",
        "flush ruleset",
    ],
)
def test_rules_that_somebody_changed_are_not_taken_for_ours(
    net: Spaces, nft: Nft, change: str
) -> None:
    enforcer = guarding(nft)
    enforcer.permit(30.0)
    nft.run(change)
    assert not enforcer.intact()
    assert not enforcer.begin()  # put anew
    assert enforcer.intact()
    assert not net.reaches()


def test_another_scope_takes_the_place_of_an_earlier_one(net: Spaces, nft: Nft) -> None:
    guarding(nft).permit(30.0)
    other = guarding(nft, Scope((OTHER_PORT,)))
    assert net.reaches()
    assert not net.reaches(port=OTHER_PORT)
    other.permit(30.0)
    assert net.reaches(port=OTHER_PORT)


@pytest.mark.parametrize(
    ("scope", "stopped"),
    [
        (Scope((PORT,), read_addresses(("10.77.2.2",))), True),
        (Scope((PORT,), read_addresses(("10.77.2.0/24", "fd77:2::/64"))), True),
        (Scope((PORT,), read_addresses(("10.77.2.3",))), False),
        (Scope((PORT,), interfaces=("to-relay",)), True),
        (Scope((PORT,), interfaces=("to-client", "lo")), True),
        (Scope((PORT,), interfaces=("lo",)), False),
    ],
    ids=str,
)
def test_addresses_and_interfaces_say_what_is_guarded(
    net: Spaces, nft: Nft, scope: Scope, stopped: bool
) -> None:
    enforcer = guarding(nft, scope)
    assert net.reaches() is not stopped
    enforcer.permit(30.0)
    assert net.reaches()


def test_a_service_on_the_machine_itself_is_guarded_too(net: Spaces, nft: Nft) -> None:
    with net.open(ROUTER) as listener:
        listener.bind((ADDRESS[V4][ROUTER], PORT))
        listener.listen()

        def reaches() -> bool:
            with net.open(RELAY) as client, contextlib.suppress(OSError):
                client.settimeout(0.5)
                client.connect(listener.getsockname())
                return True
            return False

        assert reaches()
        enforcer = guarding(nft)
        assert not reaches()
        enforcer.permit(30.0)
        assert reaches()


def test_a_thousand_cycles_leave_nothing_behind(net: Spaces, nft: Nft) -> None:
    enforcer = guarding(nft)
    before = nft.list_table(ruleset.TABLE), nft.read("list ruleset").count("\n")
    files = files_open()
    for _ in range(1000):
        enforcer.permit(30.0)
        enforcer.forbid()
    assert (nft.list_table(ruleset.TABLE), nft.read("list ruleset").count("\n")) == before
    assert files_open() == files
