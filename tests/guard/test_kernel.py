"""Rules on the real kernel: what is stopped, what is not, and what becomes of them alone."""

import contextlib
import random
import shutil
import socket
import time
from dataclasses import replace
from ipaddress import ip_address

import pytest
from tests.guard.spaces import (
    ADDRESS,
    OTHER_PORT,
    PORT,
    RELAY,
    ROUTER,
    V4,
    V6,
    Spaces,
    echoed,
    until,
)
from tests.guard.torment import files_more_than, files_open, torment
from tests.guard.walls import Wall, run, wall

from bellwire.guard.enforcer import Enforcer, NftEnforcer
from bellwire.guard.errors import FirewallFailed, FirewallUnusable
from bellwire.guard.iptables import IptablesEnforcer, Kind
from bellwire.guard.nft import Nft
from bellwire.guard.scope import Scope, Spot, Spots, read_addresses

FAMILIES = list(ADDRESS)


def started(enforcer: Enforcer) -> Enforcer:
    enforcer.begin()
    return enforcer


def guarding(wall: Wall, scope: Scope | None = None) -> Enforcer:
    return started(wall.enforcer(scope))


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_passes_before_a_lease_and_other_ports_are_unharmed(
    net: Spaces, each_wall: Wall, family: socket.AddressFamily
) -> None:
    assert net.reaches(family)
    enforcer = guarding(each_wall)
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
    net: Spaces, each_wall: Wall, family: socket.AddressFamily
) -> None:
    each_wall.add_foreign()  # which lets established connections pass
    enforcer = guarding(each_wall)
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


def test_what_the_relay_says_unasked_does_not_pass_either(net: Spaces, each_wall: Wall) -> None:
    enforcer = guarding(each_wall)
    enforcer.permit(30.0)
    listener = net.open(RELAY)
    with listener:
        listener.bind((ADDRESS[V4][RELAY], 0))
        listener.listen()
        port = listener.getsockname()[1]
        watching = guarding(each_wall, Scope((port,)))
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


def test_a_lease_runs_out_by_itself_also_in_the_place_of_a_longer_one(
    net: Spaces, each_lease: Wall
) -> None:
    enforcer = guarding(each_lease)
    enforcer.permit(60.0)
    assert net.reaches()
    enforcer.permit(each_lease.shortest_s)
    until(lambda: not net.reaches(), "the lease never ran out")
    assert enforcer.intact()


def test_a_lease_that_is_renewed_lasts_from_then_on_and_loses_no_packet(
    net: Spaces, each_lease: Wall
) -> None:
    enforcer = guarding(each_lease)
    enforcer.permit(60.0)
    with net.connect() as chat:
        for _ in range(50):
            enforcer.permit(60.0)
            assert echoed(chat)
        enforcer.permit(each_lease.shortest_s)
        enforcer.permit(60.0)
        time.sleep(1.1 * each_lease.shortest_s)
        assert echoed(chat)


def test_what_is_left_of_a_lease_never_becomes_a_lease_for_ever(
    net: Spaces, each_wall: Wall
) -> None:
    enforcer = guarding(each_wall)
    enforcer.permit(60.0)
    enforcer.permit(0.001)
    until(lambda: not net.reaches(), "no time became for ever")


def test_rules_of_others_are_the_same_to_the_byte_before_and_after(
    net: Spaces, each_wall: Wall
) -> None:
    each_wall.add_foreign()
    before = each_wall.listed()
    enforcer = guarding(each_wall)
    enforcer.permit(2.0)
    enforcer.forbid()
    guarding(each_wall, Scope((OTHER_PORT,), read_addresses(("10.0.0.1",)), ("lo",)))
    assert each_wall.listed() != before
    enforcer.remove()
    assert each_wall.listed() == before
    enforcer.remove()
    assert each_wall.listed() == before


def test_rules_of_an_earlier_guard_are_taken_over_with_their_lease(
    net: Spaces, each_wall: Wall
) -> None:
    guarding(each_wall).permit(30.0)
    with net.connect() as chat:
        later = each_wall.enforcer()
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
    enforcer = started(NftEnforcer(nft, Scope()))
    enforcer.permit(30.0)
    nft.run(change)
    assert not enforcer.intact()
    assert not enforcer.begin()  # put anew
    assert enforcer.intact()
    assert not net.reaches()


def test_another_scope_takes_the_place_of_an_earlier_one(net: Spaces, each_wall: Wall) -> None:
    guarding(each_wall).permit(30.0)
    other = guarding(each_wall, Scope((OTHER_PORT,)))
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
    net: Spaces, each_wall: Wall, scope: Scope, stopped: bool
) -> None:
    enforcer = guarding(each_wall, scope)
    assert net.reaches() is not stopped
    enforcer.permit(30.0)
    assert net.reaches()


def test_a_service_on_the_machine_itself_is_guarded_too(net: Spaces, each_wall: Wall) -> None:
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
        enforcer = guarding(each_wall)
        assert not reaches()
        enforcer.permit(30.0)
        assert reaches()


# A relay that is followed

AT = {family: ip_address(ADDRESS[family][RELAY]) for family in ADDRESS}
HERE = Scope((PORT,), spots=Spots())


def away(*opened: Spot, fenced: tuple[Spot, ...] = (), at_home: bool = False) -> Scope:
    return replace(HERE, spots=Spots(frozenset(opened), frozenset(fenced), at_home))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_move_cuts_the_old_place_and_what_is_there_and_lets_the_new_one_pass(
    net: Spaces, each_wall: Wall, family: socket.AddressFamily
) -> None:
    each_wall.add_foreign()  # which lets established connections pass
    enforcer = guarding(each_wall, HERE)
    enforcer.permit(30.0)
    old, new = Spot(AT[family], PORT), Spot(AT[family], OTHER_PORT)
    with net.connect(family) as chat, net.connect(family, OTHER_PORT) as ahead:
        assert echoed(chat)
        enforcer.rescope(away(new, at_home=True), 30.0)  # the grace
        assert echoed(chat)
        assert echoed(ahead)
        enforcer.rescope(away(new, fenced=(old,)), 30.0)
        assert not echoed(chat)
        assert echoed(ahead)
        enforcer.forbid()
        assert not echoed(ahead)
    enforcer.permit(30.0)
    assert net.reaches(family, OTHER_PORT)
    assert not net.reaches(family)
    assert enforcer.intact()
    enforcer.rescope(HERE, 30.0)
    assert net.reaches(family)


def test_a_move_to_another_address_fences_the_same_port_at_the_old_one(
    net: Spaces, each_wall: Wall
) -> None:
    enforcer = guarding(each_wall, HERE)
    enforcer.rescope(away(Spot(AT[V6], PORT), fenced=(Spot(AT[V4], PORT),)), 30.0)
    assert net.reaches(V6)
    assert not net.reaches(V4)
    # A place with a name is at any address, but not where it is known to have been.
    enforcer.rescope(away(Spot(None, PORT), fenced=(Spot(AT[V4], PORT),)), 30.0)
    assert net.reaches(V6)
    assert not net.reaches(V4)
    assert net.reaches(V4, OTHER_PORT)


def test_a_lockdown_takes_no_leave(net: Spaces, each_wall: Wall) -> None:
    enforcer = guarding(each_wall, HERE)
    enforcer.rescope(away(fenced=(Spot(AT[V4], OTHER_PORT),)), 30.0)
    enforcer.permit(30.0)
    assert not net.reaches()
    assert not net.reaches(port=OTHER_PORT)
    assert net.reaches(V6, OTHER_PORT)
    assert enforcer.intact()
    enforcer.rescope(HERE, 0.0)
    assert not net.reaches()
    enforcer.permit(30.0)
    assert net.reaches()


def test_a_spot_counts_at_whatever_interface(net: Spaces, each_wall: Wall) -> None:
    elsewhere = replace(away(Spot(AT[V4], OTHER_PORT)), interfaces=("lo",))
    enforcer = guarding(each_wall, elsewhere)
    assert not net.reaches(port=OTHER_PORT)
    assert net.reaches()  # which is guarded at lo alone
    enforcer.permit(30.0)
    assert net.reaches(port=OTHER_PORT)


def test_moves_lose_no_packet_nor_the_count_and_leave_nothing(net: Spaces, each_wall: Wall) -> None:
    each_wall.add_foreign()
    before = each_wall.listed()
    enforcer = guarding(each_wall, HERE)
    assert not net.reaches()
    stopped = enforcer.blocked()
    assert stopped.packets > 0
    places = [HERE, away(Spot(AT[V4], PORT)), away(Spot(None, PORT)), away(at_home=True)]
    enforcer.permit(60.0)
    with net.connect() as chat:
        for number in range(12):
            enforcer.rescope(places[number % 4], 60.0)
            assert echoed(chat)
    assert enforcer.blocked() == stopped
    enforcer.remove()
    assert each_wall.listed() == before


def test_rules_of_a_guard_that_followed_are_taken_over_or_replaced(
    net: Spaces, each_wall: Wall
) -> None:
    each_wall.add_foreign()
    before = each_wall.listed()
    moved = away(Spot(AT[V4], OTHER_PORT), fenced=(Spot(AT[V6], OTHER_PORT),))
    guarding(each_wall, HERE).rescope(moved, 30.0)
    with net.connect(port=OTHER_PORT) as chat:
        later = each_wall.enforcer(moved)
        assert later.begin()
        assert echoed(chat)
        assert not each_wall.enforcer(HERE).begin()  # another place: nothing passes
        assert not net.reaches()
    plain = each_wall.enforcer(Scope((PORT,)))  # which follows nobody
    assert not plain.begin()
    assert plain.intact()
    assert net.reaches(V6, OTHER_PORT)
    plain.remove()
    assert each_wall.listed() == before


@pytest.mark.parametrize(
    "change",
    [
        "flush set inet bellwire_guard spots4",
        "add element inet bellwire_guard spots_any { 22 }",
        "delete element inet bellwire_guard spots4 { 10.77.2.2 . 8766 }",
        "insert rule inet bellwire_guard judge accept",
    ],
)
def test_spots_that_somebody_changed_are_not_taken_for_ours(
    net: Spaces, nft: Nft, change: str
) -> None:
    enforcer = NftEnforcer(nft, HERE)
    enforcer.begin()
    enforcer.rescope(away(Spot(AT[V4], OTHER_PORT)), 30.0)
    assert enforcer.intact()
    nft.run(change)
    assert not enforcer.intact()
    assert not enforcer.begin()
    assert enforcer.intact()
    assert not net.reaches(port=OTHER_PORT)


def test_entries_that_somebody_added_to_a_set_of_spots_are_not_taken_for_ours(net: Spaces) -> None:
    with wall("iptables-nft") as found:
        mapped = Spot(ip_address("::ffff:10.0.0.9"), 5)  # which ipset spells in its own way
        enforcer = guarding(found, away(mapped))
        run("ipset", "add", "bellwire_spots4", "10.77.2.9,tcp:22")
        assert not enforcer.intact()
        assert not enforcer.begin()
        assert enforcer.intact()


# What somebody changes in chains of iptables, in the words of its options
CHANGES = [
    "-I FORWARD 1 -j ACCEPT",
    "-D FORWARD -j BELLWIRE-GUARD",
    "-A OUTPUT -j BELLWIRE-GUARD",
    "-I BELLWIRE-GUARD 1 -j RETURN",
    "-F BELLWIRE-MATCH",
    "-F",
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_chains_that_somebody_changed_are_not_taken_for_ours(
    net: Spaces, kind: Kind, change: str
) -> None:
    with wall(f"iptables-{kind}") as found:
        enforcer = guarding(found)
        enforcer.permit(30.0)
        run(f"iptables-{kind}", *change.split())
        assert not enforcer.intact()
        with pytest.raises(FirewallFailed):
            enforcer.blocked()
        assert not enforcer.begin()
        assert enforcer.intact()
        assert not net.reaches()


def test_ports_that_somebody_added_to_the_set_are_not_taken_for_ours(net: Spaces) -> None:
    with wall("iptables-nft") as found:
        enforcer = guarding(found)
        run("ipset", "add", "bellwire_ports", "22")
        assert not enforcer.intact()
        assert not enforcer.begin()
        assert enforcer.intact()


def test_a_set_of_others_under_our_name_is_left_alone(net: Spaces) -> None:
    with wall("iptables-nft") as found:
        run("ipset", "create", "bellwire_lease", "hash:ip")
        before = found.listed()
        with pytest.raises(FirewallUnusable, match="expected ipset to take a set with times"):
            guarding(found)
        assert found.listed() == before


@pytest.mark.parametrize("missing", ["ipset", "iptables-legacy-restore", "ip6tables-legacy-save"])
def test_without_ipset_or_a_program_it_does_not_begin(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    which = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, **more: None if name == missing else which(name, **more)
    )
    with pytest.raises(FirewallUnusable, match=f"expected the program {missing}, got none"):
        IptablesEnforcer("legacy", Scope())


def test_cycles_leave_nothing_behind(net: Spaces, each_wall: Wall) -> None:
    cycles = 100 if each_wall.name == "nftables" else 8
    assert torment(net, each_wall, random.Random(1), cycles) == []


def test_a_thousand_leases_leave_nothing_behind(net: Spaces, nft: Nft) -> None:
    enforcer = started(NftEnforcer(nft, Scope()))
    before, files = nft.read("list ruleset"), files_open()
    for _ in range(1000):
        enforcer.permit(30.0)
        enforcer.forbid()
    assert nft.read("list ruleset") == before
    assert files_more_than(files) == 0
