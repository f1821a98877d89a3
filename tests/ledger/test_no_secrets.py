"""What all writers of a site put into a log, and what the log makes of it, has no key material.

Node, admission and guard live for a moment with secrets that are known here; then everything that
left them for the log is searched for any eight bytes of any of them, as they are, in hexadecimal
digits and in base64.
"""

import asyncio
import base64
import contextlib
import ipaddress
import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.keys.stores import KEK, PREPLACED, new_store, record, secret
from tests.keys.test_session_pads import BITS, ID, PAD_BITS
from tests.keys.test_status_log import GREEN, RED
from tests.ledger.outbox.test_delivery import deliver
from tests.patience import PATIENCE_S
from tests.web.test_log import Running, running

from bellwire.admission.evidence import Claim
from bellwire.admission.possession import PUBLIC_BYTES, PrivateKey, generate, prove, public_bytes
from bellwire.admission.register import Gate, Register
from bellwire.admission.service import Admission, Asked, revoke
from bellwire.base.protocols import Protocol
from bellwire.base.secret import Secret
from bellwire.guard.journal import Journal
from bellwire.guard.recording import Recording
from bellwire.keys.recording import Rejection
from bellwire.keys.session_pads import PadFor
from bellwire.keys.store import KeyStore
from bellwire.ledger.checkpoint import parse_checkpoint
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.model import KINDS
from bellwire.ledger.note import parse_note
from bellwire.ledger.outbox.carrier import Carrier, log_tls
from bellwire.ledger.outbox.outbox import Outbox, Transaction
from bellwire.ledger.reading import LogReader
from bellwire.ledger.reading import prove as prove_entries
from bellwire.ledger.receipt import Receipt
from bellwire.ledger.service.signer import KEY_FILE
from bellwire.ledger.tiles import bundles, tiles

PIECE = 8
"""Bytes of a secret that are too many to be there by chance."""

HERE = ipaddress.ip_address("127.0.0.1")


class Search:
    """Finds pieces of secrets, however they are written."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._pieces: dict[int, set[bytes]] = {}
        for each in secrets:
            assert len(each) >= PIECE
            self._add(each, PIECE)
            self._add(each.hex().encode(), 2 * PIECE)
            self._add(each.hex().upper().encode(), 2 * PIECE)
            for shift, written in itertools.product(
                range(3), (base64.b64encode, base64.urlsafe_b64encode)
            ):
                # Whole groups alone: the letters at an end are made of what lies beyond it as well.
                whole = each[shift:]
                text = written(whole[: len(whole) - len(whole) % 3])
                self._add(text, PIECE * 4 // 3)

    def _add(self, text: bytes, length: int) -> None:
        pieces = self._pieces.setdefault(length, set())
        pieces.update(text[i : i + length] for i in range(len(text) - length + 1))

    def found(self, text: bytes) -> list[bytes]:
        return [
            text[i : i + length]
            for length, pieces in self._pieces.items()
            for i in range(len(text) - length + 1)
            if text[i : i + length] in pieces
        ]


def private_bytes(key: PrivateKey) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.private_numbers().private_value.to_bytes(32, "big")
    return key.private_bytes_raw()


def node(store: KeyStore) -> list[bytes]:
    """A block for the pool, one that is a session's pad, one rejected, two changes of status."""
    store.record_for("geneva-bern")
    for block, pad in (
        (1, None),
        (2, PadFor(ID, PAD_BITS, "registered:ada", "bob", waits=True)),
    ):
        store.burn(block)
        store.put_pending(record(block, BITS), secret(block, BITS), pad)
        store.mark_ready(block)
    log = store.status_log()
    log.note(GREEN, 1e9)
    log.note(RED, 1e9 + 70)
    log.note_rejected(Rejection(1e9, 3, Protocol.E91, "S below limit", 0.26, -1.4))
    log.flush()
    with store.transaction() as cursor:
        salts = cursor.execute("SELECT salt FROM outbox_salts").fetchall()
    box = store._sealer.box("outbox_salts", 0)
    blocks = [secret(block, BITS).reveal() for block in (1, 2)]
    return [*blocks, PREPLACED.reveal(), KEK.reveal(), *(box.open(0, each) for (each,) in salts)]


async def admission(register: Register) -> list[bytes]:
    """One newcomer with a key of each kind and a token, whose admission is taken back."""
    timer = itertools.count(0.0, 1e-3)
    desk = Admission("desk", register, None, gate=Gate.TOKEN, timer=lambda: next(timer))
    private = {kind: generate(kind) for kind in PUBLIC_BYTES}
    public = {kind: public_bytes(each) for kind, each in private.items()}
    token = register.make_token("for ada", 60, int(desk._clock()))
    pending = desk.challenge("ada", public, HERE)
    word = pending.word
    for _ in range(8):
        word = desk.echo(pending.id, word, HERE)
    shared = list(pending.challenge._secrets.values())
    proofs = prove("desk", "ada", private, pending.challenge.nonce, pending.challenge.ciphertexts)
    asked = Asked("ada", public, Claim(1.0, 0.0, HERE), pending.id, proofs, token)
    await desk.enter(asked, HERE)
    revoke(register, (), "ada", int(desk._clock()))
    return [bytes.fromhex(token), *shared, *map(private_bytes, private.values())]


def guard(journal: Journal) -> list[bytes]:
    """A cut, and an operator who types a password where a reason is asked for."""
    password = "correct horse battery staple"
    journal.add("guard", "stop", "RED", at=5.0)
    journal.add("anna", "override pass", password, at=6.0, until=66.0)
    journal.add("guard", "pass", f"an operator's override: {password}", at=6.1)
    with journal.transaction() as cursor:
        salts = cursor.execute("SELECT salt FROM outbox_salts").fetchall()
    return [password.encode(), *(bytes(salt) for (salt,) in salts)]


def waiting(transaction: Transaction) -> bytes:
    """The tables that are brought, as they are; salts stay with the writer."""
    with transaction() as cursor:
        rows = [
            row
            for table in ("outbox", "outbox_state")
            for row in cursor.execute(f"SELECT * FROM {table}").fetchall()
        ]
    cells = itertools.chain.from_iterable(rows)
    return b"\n".join(bytes(c) if isinstance(c, bytes) else str(c).encode() for c in cells)


async def shown(log: Running, size: int) -> list[bytes]:
    """All that a log gives to whoever asks: checkpoint, tiles, entries, a receipt of each."""
    note = parse_note(await log.signed(size))
    files = [*(each.path for each in tiles(size)), *(each.path for each in bundles(size))]
    got = {path: (await log.client.get(f"/{path}")).content for path in files}
    proved = prove_entries(LogReader(got.__getitem__), parse_checkpoint(note.text), 0, size)
    receipts = [Receipt(number, proof, note, entry).encode() for number, entry, proof in proved]
    assert {type(decode(entry)) for _, entry, _ in proved} == set(KINDS)
    return [note.encode(), *got.values(), *receipts]


def test_nothing_that_writers_bring_to_a_log_has_key_material(tmp_path: Path) -> None:
    tokens = {name: os.urandom(32).hex() for name in ("node-a", "desk", "gate")}

    async def life(stack: contextlib.ExitStack) -> tuple[list[bytes], list[bytes]]:
        store = new_store(tmp_path / "keys")
        stack.callback(store.close)
        register = Register(tmp_path / "register", recorded=True)
        stack.callback(register.close)
        journal = Journal(tmp_path / "guard", Recording("router-1"))
        secrets = [*node(store), *(await admission(register)), *guard(journal)]
        secrets += map(bytes.fromhex, tokens.values())
        transactions = (store.transaction, register.transaction, journal.transaction)
        left = [waiting(each) for each in transactions]
        async with running(tmp_path, tokens) as log, asyncio.timeout(PATIENCE_S):
            secrets.append((tmp_path / "signer" / KEY_FILE).read_bytes())
            for (name, token), transaction in zip(tokens.items(), transactions, strict=True):
                writer = Secret(token.encode())
                async with Carrier(str(log.client.base_url), writer, log_tls(None)) as carrier:
                    await deliver(Outbox(transaction, name), carrier)
            left += await shown(log, log.service.store.head.size)
        left += [each.read_bytes() for each in (tmp_path / "log").iterdir()]
        return secrets, left

    with contextlib.ExitStack() as stack:
        secrets, left = asyncio.run(life(stack))
    search = Search(secrets)
    for each in left:
        assert not search.found(each)
    assert sum(map(len, left)) > 30_000


@pytest.mark.parametrize(
    "written",
    [
        bytes,
        lambda piece: piece.hex().encode(),
        lambda piece: piece.hex().upper().encode(),
        base64.b64encode,
        base64.urlsafe_b64encode,
    ],
)
def test_the_search_finds_a_piece_wherever_it_is_and_however_it_is_written(
    written: Callable[[bytes], bytes],
) -> None:
    secret = bytes(range(200, 232))
    search = Search([secret])
    assert not search.found(os.urandom(10_000))
    for start in range(16):
        for before in (b"", b"1", b"12"):
            text = written(before + secret[start : start + 12])
            assert search.found(b"{'key': '" + text + b"'}")
