"""Claims about a node's keys: two real KMEs and their stores, asked over HTTPS as consumers ask.

The KMEs are processes of their own, nodes with everything but light (`bench.keys`), whose stock
both were given beforehand.
"""

import base64
import contextlib
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec

from bellwire.base.detections import Protocol, Side
from bellwire.base.secret import Secret
from bellwire.bench.keys import pairs, stock
from bellwire.bench.keys.load import LOOPBACK, MASTER, SLAVE, Site
from bellwire.claims.model import Attacker, Claim, Ground, refused, require
from bellwire.keys.errors import BlockNumberUsed, LinkRed, StoreRefused
from bellwire.keys.model import BlockRecord, KeySourceKind
from bellwire.keys.reserve import TagPurpose, preplaced_bytes
from bellwire.keys.service import FlowCheck
from bellwire.keys.status import BlockOutcome, LinkStatus, Status, StatusRules
from bellwire.keys.store import KeyStore

KEYS: Final = 4_000
PAIRS: Final = 40
FULL_PAIRS: Final = 1_000
SETS: Final = 6
PIECE: Final = 16
BLOCK_BYTES: Final = 5_000
MADE_UP: Final = "00000000-0000-4000-8000-000000000000"
CLEAN, ATTACKED = 0.02, 0.25
TIMEOUT_S: Final = 20.0


class _Door:
    """One KME, as an SAE with its certificate asks it: one request a connection."""

    def __init__(self, site: Site) -> None:
        self._port = site.port
        self._context = ssl.create_default_context(cafile=site.trusted)
        self._context.load_cert_chain(site.certificate, site.key)

    def ask(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and document of the answer to a POST."""
        data = msgspec.json.encode(body)
        head = (
            f"POST /api/v1/keys/{path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        with (
            socket.create_connection((LOOPBACK, self._port), timeout=TIMEOUT_S) as plain,
            self._context.wrap_socket(plain, server_hostname=LOOPBACK) as tls,
        ):
            tls.sendall(head.encode() + data)
            answer = b"".join(iter(lambda: tls.recv(1 << 16), b""))
        lines, _, document = answer.partition(b"\r\n\r\n")
        return int(lines.split()[1]), msgspec.json.decode(document)


@contextlib.contextmanager
def _two_kmes(ground: Ground) -> Iterator[tuple[_Door, _Door]]:
    """Doors of both sites' KMEs."""
    stock.prepare(ground.folder, KEYS, seeds=(seed := secrets.randbits(63), seed))
    pairs.certify(ground.folder)
    with pairs.bellwire(ground.folder) as running:
        a, b = running.sites
        yield _Door(a), _Door(b)


def _once_and_equal(ground: Ground) -> str:
    wanted = FULL_PAIRS if ground.full else PAIRS
    seen_ids, seen_keys = set[str](), set[bytes]()
    with _two_kmes(ground) as (a, b):
        _until_met(ground, a)
        for _ in range(wanted):
            code, got = a.ask(f"{SLAVE}/enc_keys", {"number": 1, "size": 256})
            require(code == 200, f"enc_keys: {code}, {got.get('message')}")
            (key,) = got["keys"]
            asked = {"key_IDs": [{"key_ID": key["key_ID"]}]}
            code, fetched = b.ask(f"{MASTER}/dec_keys", asked)
            require(code == 200 and fetched["keys"] == got["keys"], f"dec_keys: {code}, or unequal")
            again, _ = b.ask(f"{MASTER}/dec_keys", asked)
            require(again == 400, f"a key asked for twice: {again}")
            at_master, _ = a.ask(f"{MASTER}/dec_keys", asked)
            require(at_master in {400, 401}, f"a key asked for where it was got: {at_master}")
            seen_ids.add(key["key_ID"])
            seen_keys.add(ground.keep(base64.b64decode(key["key"])))
        require(len(seen_ids) == wanted == len(seen_keys), "an id or a key came twice")
        _nothing_for_others(ground, a, b)
    return f"{wanted} keys equal at both KMEs, each once: {2 * wanted} further requests refused"


def _until_met(ground: Ground, a: _Door) -> None:
    """Wait until the KMEs have told each other who is at which site: before, a slave is unknown."""
    until = time.monotonic() + TIMEOUT_S
    while True:
        code, got = a.ask(f"{SLAVE}/enc_keys", {"number": 1, "size": 256})
        if code == HTTPStatus.OK:
            ground.keep(base64.b64decode(got["keys"][0]["key"]))
            return
        require(time.monotonic() < until, f"enc_keys: {code}, {got.get('message')}")
        time.sleep(0.1)


def _nothing_for_others(ground: Ground, a: _Door, b: _Door) -> None:
    _, got = a.ask(f"{SLAVE}/enc_keys", {"number": 1, "size": 256})
    (key,) = got["keys"]
    ground.keep(base64.b64decode(key["key"]))
    asked = {"key_IDs": [{"key_ID": key["key_ID"]}]}
    code, _ = b.ask("somebody-else/dec_keys", asked)
    require(code in {400, 401}, f"a key under another master's name: {code}")
    code, _ = b.ask(f"{MASTER}/dec_keys", {"key_IDs": [{"key_ID": MADE_UP}]})
    require(code == 400, f"an id that was made up: {code}")
    code, fetched = b.ask(f"{MASTER}/dec_keys", asked)
    require(code == 200 and fetched["keys"] == got["keys"], f"its owner, afterwards: {code}")


def _red_is_closed(_ground: Ground) -> str:
    now = [1_000.0]
    rules = StatusRules()
    status = LinkStatus(rules, now=now[0])
    flow = FlowCheck(status, lambda: now[0])

    def decide(qber: float) -> None:
        status.decide(
            BlockOutcome(
                protocol=Protocol.BB84,
                accepted=qber < rules.red_qber,
                qber=qber,
                decided_at=now[0],
            )
        )

    with refused("a key before the first verdict", LinkRed):
        flow()
    for _ in range(4):
        decide(CLEAN)
    flow()
    decide(ATTACKED)
    require(flow.view().status is Status.RED, "one attacked block after four clean ones: not RED")
    for _ in range(rules.recovery_blocks - 1):
        with refused("a key while RED", LinkRed):
            flow()
        decide(CLEAN)
    with refused("a key before the link has recovered", LinkRed):
        flow()
    decide(CLEAN)
    flow()
    now[0] += 3_600.0
    with refused("a key without a fresh verdict", LinkRed):
        flow()
    return (
        f"RED at the first block of {ATTACKED:.0%}, closed until {rules.recovery_blocks} clean"
        " blocks in a row, and closed when no verdict is fresh"
    )


class _Store:
    """A store of one side in a folder of its own, which can be opened again.

    Args:
        ground: Of the claim.
        side: Whose it is.
    """

    def __init__(self, ground: Ground, side: Side) -> None:
        self.place = ground.folder / side.value / "keys.db"
        self.data_key = Secret(ground.draw(32))
        self._side = side

    def open(self, data_key: Secret | None = None) -> "contextlib.closing[KeyStore]":
        """Open it; `data_key` in place of its own."""
        store = KeyStore.open(self.place, data_key or self.data_key, self._side)
        return contextlib.closing(store)


def _pads_once(ground: Ground) -> str:
    preplaced = Secret(ground.draw(preplaced_bytes(SETS)))
    drawn: list[list[bytes]] = []
    for side in Side:
        place = _Store(ground, side)
        with place.open() as store:
            store.install_preplaced(preplaced)
            pads = store.burn(2)
            drawn.append([ground.keep(pads.pad(way, use)) for way in Side for use in TagPurpose])
            for number in (1, 2):
                with refused(f"the pads of block {number} again", BlockNumberUsed):
                    store.burn(number)
        with place.open() as store, refused("the pads after a restart", BlockNumberUsed):
            store.burn(2)
    require(drawn[0] == drawn[1], "the two sides' pads differ")
    require(len(set(drawn[0])) == len(drawn[0]), "two purposes share a pad")
    return f"{len(drawn[0])} pads of a block, equal at both sides, once, also after a restart"


def _sealed_disk(ground: Ground) -> str:
    place = _Store(ground, Side.ALICE)
    preplaced, block = (ground.draw(count) for count in (preplaced_bytes(SETS), BLOCK_BYTES))
    record = BlockRecord(
        block=1,
        protocol=Protocol.BB84,
        source=KeySourceKind.SIMULATED,
        secret_bits=8 * BLOCK_BYTES,
        qber=CLEAN,
        chsh=None,
        epsilon=1e-10,
        decided_at=0.0,
    )
    with place.open() as store:
        store.install_preplaced(Secret(preplaced))
        store.burn(1)
        store.put_pending(record, Secret(block))
    secrets_there = preplaced + block + place.data_key.reveal()
    wanted = {secrets_there[at : at + PIECE] for at in range(0, len(secrets_there), PIECE)}
    data = b"".join(path.read_bytes() for path in sorted(place.place.parent.iterdir()))
    shown = any(data[at : at + PIECE] in wanted for at in range(len(data) - PIECE + 1))
    require(len(data) > BLOCK_BYTES and not shown, "a file shows a piece of a secret")
    with refused("another data key", StoreRefused), place.open(Secret(ground.draw(32))):
        pass
    with place.open() as store:
        ready = store.mark_ready(1)
    require(ready.block == 1, "the store does not open with its own key")
    return f"{len(data):,} bytes of files without a piece of {len(wanted)}; another key is refused"


CLAIMS: Final = (
    Claim(
        name="keys.once-and-equal",
        attacker=Attacker.NODE,
        says="Two KMEs give equal keys over HTTPS, each key leaves each of them once, and under"
        " another's name or an id that was made up nothing leaves",
        run=_once_and_equal,
    ),
    Claim(
        name="keys.red-is-closed",
        attacker=Attacker.QUANTUM,
        says="No key leaves before the first verdict, while RED, until recovery, or without news",
        run=_red_is_closed,
    ),
    Claim(
        name="keys.pads-once",
        attacker=Attacker.CLASSICAL,
        says="A pad of the classical channel serves one message, on both sides, whatever restarts",
        run=_pads_once,
    ),
    Claim(
        name="keys.sealed-disk",
        attacker=Attacker.NODE,
        says="A node's disk shows no secret, and its store opens with its own key alone",
        run=_sealed_disk,
    ),
)
