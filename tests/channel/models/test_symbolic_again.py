"""What resumption and fresh keys promise, against every attacker of `symbols_again`.

As in `test_symbolic_model`: scenes that hold, scenes in which more has fallen than they stand, and
protocols with something left out; in the last two the search must find an attack.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.channel.models.symbols_again import PSK, Refresh, Refreshed, Resumed, Resumption

BOTH = frozenset("mx")
MOST = 5000


class Attack(AssertionError):
    """A promise is broken."""


def search(scene: Any, check: Callable[[Any, Any], None]) -> int:
    """Look at all that the attacker can bring about; how many states there are."""
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


def check_resumed(scene: Resumption, runs: Resumed) -> None:
    """Secrecy, also when ticket and QKD key leak afterwards; agreement, both ways."""
    if runs.accepted is not None:
        secrets, transcript = runs.accepted
        mine = [visit for visit in runs.visits if visit.ticket.psk == PSK]
        if not any(visit.state.h == transcript for visit in mine):
            raise Attack("the device has a session, and the cloud did not answer it")
        check_secret(scene, runs, secrets)
    for visit in runs.visits:
        if visit.confirmed is None or visit.ticket.psk != PSK:
            continue
        if runs.accepted is None or runs.accepted[0] != visit.confirmed:
            raise Attack("the cloud has a session, and the device has not")
        check_secret(scene, runs, visit.confirmed)


def check_secret(scene: Resumption, runs: Resumed, secrets: int) -> None:
    if runs.known.derives(secrets):
        raise Attack("the session's secrets are known")
    later = [scene.secret("psk")]
    if not scene.broken:
        later.append(scene.secret("qkd"))
    if runs.known.learn(*later).derives(secrets):
        raise Attack("what is stolen later opens the session")


def check_refreshed(scene: Refresh, runs: Refreshed) -> None:
    """The fresh secrets are the ends' alone, and the same."""
    for fresh in (runs.device, runs.cloud):
        if fresh is not None and runs.known.derives(fresh):
            raise Attack("fresh secrets are known")
    if runs.device is not None and runs.cloud is not None and runs.device != runs.cloud:
        raise Attack("the ends have other secrets")


PSK_LEAKED, QKD_LEAKED = frozenset({"psk"}), frozenset({"qkd"})
RESUMPTIONS = {
    "nothing has fallen": Resumption(),
    "with QKD": Resumption(qkd=True),
    "QKD keys leaked": Resumption(qkd=True, leaked=QKD_LEAKED),
    "ML-KEM is broken": Resumption(broken=frozenset("m")),
    "X25519 is broken": Resumption(broken=frozenset("x")),
    "both are broken, and QKD holds": Resumption(qkd=True, broken=BOTH),
    "the ticket is stolen, and QKD holds": Resumption(qkd=True, leaked=PSK_LEAKED),
    "both, and QKD holds": Resumption(qkd=True, broken=BOTH, leaked=PSK_LEAKED),
}
RESUMPTIONS_FALL = {
    "the ticket is stolen before it is used": (
        "known|has not|did not",
        Resumption(leaked=PSK_LEAKED),
    ),
    "the KEM is broken, and the ticket is stolen later": ("later", Resumption(broken=BOTH)),
    "the ticket's secret is left out": (
        "did not answer|has not|known",
        Resumption(psk=False),
    ),
    "the fresh KEM is left out": ("later", Resumption(ephemeral_kem=False)),
    "the QKD key is left out": (
        "later",
        Resumption(qkd=True, mix_qkd=False, broken=BOTH),
    ),
    "no third message": ("the device has not", Resumption(confirm=False)),
}


@pytest.mark.parametrize("scene", RESUMPTIONS)
def test_a_resumption_keeps_its_promises(scene: str) -> None:
    assert search(RESUMPTIONS[scene], check_resumed) > 2


@pytest.mark.parametrize("scene", RESUMPTIONS_FALL)
def test_where_a_resumption_s_promises_end_the_search_finds_the_attack(scene: str) -> None:
    says, falls = RESUMPTIONS_FALL[scene]
    with pytest.raises(Attack, match=says):
        search(falls, check_resumed)


SESSION = frozenset({"session"})
REFRESHES = {
    "nothing has fallen": Refresh(),
    "the session's secrets are stolen by who only listens": Refresh(leaked=SESSION, listens=True),
    "so, and one half of the KEM is broken": Refresh(
        leaked=SESSION, listens=True, broken=frozenset("m")
    ),
    "so, and the KEM is broken, and QKD holds": Refresh(
        leaked=SESSION, listens=True, broken=BOTH, qkd=True
    ),
    "so, and QKD keys leaked": Refresh(leaked=SESSION | QKD_LEAKED, listens=True, qkd=True),
    "the KEM is broken and QKD keys leaked, and the session holds": Refresh(
        broken=BOTH, qkd=True, leaked=QKD_LEAKED
    ),
}
REFRESHES_FALL = {
    "the session's secrets are stolen by who has the wire": (
        "known|other secrets",
        Refresh(leaked=SESSION),
    ),
    "all has fallen to who listens": ("known", Refresh(leaked=SESSION, listens=True, broken=BOTH)),
    "the KEM is left out": ("known", Refresh(kem=False, leaked=SESSION, listens=True)),
    "the QKD key is left out": (
        "known",
        Refresh(mix_qkd=False, qkd=True, leaked=SESSION, listens=True, broken=BOTH),
    ),
    "the root is left out": ("known", Refresh(root=False, broken=BOTH, sealed=False)),
    "offer and answer travel in the open": ("other secrets", Refresh(sealed=False)),
}


@pytest.mark.parametrize("scene", REFRESHES)
def test_fresh_keys_keep_their_promises(scene: str) -> None:
    assert search(REFRESHES[scene], check_refreshed) > 2


@pytest.mark.parametrize("scene", REFRESHES_FALL)
def test_where_promises_of_fresh_keys_end_the_search_finds_the_attack(scene: str) -> None:
    says, falls = REFRESHES_FALL[scene]
    with pytest.raises(Attack, match=says):
        search(falls, check_refreshed)
