"""What the handshake promises, against every attacker of `symbols`; and where promises end.

Each scene is searched to its end. The second table has protocols with something left out, and
scenes in which more has fallen than the handshake stands; there the search must find an attack.
"""

import pytest
from tests.channel.models.symbols import Protocol, Runs, Scene, make, public

DEVICE, CLOUD = public(Scene.DEVICE), public(Scene.CLOUD)
MOST = 5000


class Attack(AssertionError):
    """A promise is broken."""


def search(scene: Scene) -> int:
    """Look at all that the attacker can bring about; how many states there are.

    Raises:
        Attack: one of them breaks a promise.
    """
    start = scene.start()
    seen, waiting = {start}, [start]
    while waiting:
        runs = waiting.pop()
        check(scene, runs)
        for following in scene.moves(runs):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
        assert len(seen) <= MOST, "the search has no end"
    return len(seen)


def check(scene: Scene, runs: Runs) -> None:
    """Secrecy, also when everything leaks afterwards; agreement; the device's identity."""
    honest = [call for call in runs.calls if call.accepted and call.pinned == CLOUD]
    # Who has the cloud's key is the cloud, to a device; and the other way round.
    for call in honest:
        if call.accepted is None or "cloud" in scene.leaked:
            continue
        secrets, transcript = call.accepted
        if not any(v.state.h == transcript and v.peer == DEVICE for v in runs.visits):
            raise Attack("the device has a session, and the cloud did not answer it")
        check_secret(scene, runs, secrets)
    served = [visit for visit in runs.visits if visit.confirmed and visit.peer == DEVICE]
    for visit in served:
        if visit.confirmed is None or "device" in scene.leaked:
            continue
        if [call.accepted and call.accepted[0] for call in honest].count(visit.confirmed) != 1:
            raise Attack("the cloud has a session, and the device has not")
        check_secret(scene, runs, visit.confirmed)
    if len({visit.confirmed for visit in served}) < len(served):
        raise Attack("two sessions have the same keys")
    if not scene.device_known and runs.known.derives(make("id", *DEVICE)):
        raise Attack("the device is named to a stranger")


def check_secret(scene: Scene, runs: Runs, secrets: int) -> None:
    if runs.known.derives(secrets):
        raise Attack("the session's secrets are known")
    # What is stolen after the session must not open it. Where the KEM is broken there is nothing
    # but the QKD key, which both ends erase.
    stolen = [term for name in ("device", "cloud") for term in scene.secret(name)]
    if not scene.broken:
        stolen += scene.secret("qkd")
    if runs.known.learn(*stolen).derives(secrets):
        raise Attack("what is stolen later opens the session")


BOTH = frozenset("mx")
HOLDS = {
    "nothing has fallen": Scene(),
    "nothing has fallen, two hellos": Scene(visits=2),
    "the device's key is stolen: nobody poses as the cloud": Scene(
        qkd=False, leaked=frozenset({"device"})
    ),
    "the cloud's key is stolen: nobody poses as the device": Scene(
        qkd=False, leaked=frozenset({"cloud"})
    ),
    "without QKD": Scene(qkd=False),
    "QKD keys leaked": Scene(leaked=frozenset({"qkd"})),
    "ML-KEM is broken, without QKD": Scene(qkd=False, broken=frozenset("m")),
    "X25519 is broken, without QKD": Scene(qkd=False, broken=frozenset("x")),
    "ML-KEM is broken, QKD keys leaked": Scene(broken=frozenset("m"), leaked=frozenset({"qkd"})),
    "both are broken, and QKD holds": Scene(broken=BOTH, insider=False),
    "a stranger does not learn who calls": Scene(device_known=False),
    "a stranger with half a KEM does not": Scene(device_known=False, broken=frozenset("x")),
}


@pytest.mark.parametrize("scene", HOLDS)
def test_the_handshake_keeps_its_promises(scene: str) -> None:
    assert search(HOLDS[scene]) > 1


ANY = "known|did not answer|has not"
"""Where there are several attacks, which is found first does not matter."""

FALLS = {
    "both halves broken, and another device has QKD keys": (ANY, Scene(broken=BOTH)),
    "both halves broken, and no QKD": (ANY, Scene(qkd=False, broken=BOTH)),
    "both halves broken, and QKD leaked": (
        ANY,
        Scene(broken=BOTH, leaked=frozenset({"qkd"})),
    ),
    "the cloud's key is stolen: the device is named": (
        "named to a stranger",
        Scene(device_known=False, leaked=frozenset({"cloud"})),
    ),
}


@pytest.mark.parametrize("scene", FALLS)
def test_where_promises_end_the_search_finds_the_attack(scene: str) -> None:
    says, falls = FALLS[scene]
    with pytest.raises(Attack, match=says):
        search(falls)


MUTANTS = {
    "no KEM to the initiator": (
        "the device has not",
        Scene(Protocol(initiator_kem=False), qkd=False),
    ),
    "no third message": ("the device has not", Scene(Protocol(confirm=False), qkd=False)),
    "no KEM to the responder": (
        ANY,
        Scene(Protocol(responder_kem=False), qkd=False),
    ),
    "no ephemeral KEM": ("stolen later", Scene(Protocol(ephemeral_kem=False), qkd=False)),
    "the QKD key is left out": (
        ANY,
        Scene(Protocol(qkd=False), broken=BOTH, insider=False),
    ),
    "one half of the KEM is left out": (
        ANY,
        Scene(Protocol(both_halves=False), qkd=False, broken=frozenset("m")),
    ),
    "the offer is not sealed": (
        "named to a stranger",
        Scene(Protocol(sealed_offer=False), device_known=False),
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_what_is_left_out_is_missed(mutant: str) -> None:
    says, scene = MUTANTS[mutant]
    with pytest.raises(Attack, match=says):
        search(scene)
