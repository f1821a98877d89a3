"""What a key store tells a log: each fact once, with it or not at all, and no bit of a key."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.keys.faults import Armed, Crash, Faults
from tests.keys.stores import add_pending, add_ready, new_store, open_store, record, secret
from tests.keys.test_session_pads import BITS, ID, PAD_BITS
from tests.keys.test_status_log import GREEN, NOW, RED

from bellwire.base.detections import Side
from bellwire.base.protocols import Protocol
from bellwire.base.secret import Secret
from bellwire.keys.errors import StoreError
from bellwire.keys.model import BlockState
from bellwire.keys.recording import Rejection
from bellwire.keys.session_pads import PadFor
from bellwire.keys.store import KeyStore
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.commitments import verify
from bellwire.ledger.entries.model import BlockRejected, KeyExchange, LinkStatus
from bellwire.ledger.outbox.outbox import Outbox


def recording(store: KeyStore) -> KeyStore:
    store.record_for("geneva-bern")
    return store


def entries(store: KeyStore) -> list[object]:
    return [decode(each) for each in Outbox(store.transaction, "site-a").first().entries]


def test_a_block_that_is_ready_is_one_key_exchange_alike_at_both_sites(folder: Path) -> None:
    told = []
    for side, node in ((Side.ALICE, "node-a"), (Side.BOB, "node-b")):
        store = recording(new_store(folder, side))
        add_ready(store, 1, 4096)
        store.mark_ready(1)  # again is harmless
        add_pending(store, 2, 4096)
        (entry,) = entries(store)
        assert isinstance(entry, KeyExchange)
        assert (entry.node, entry.parties, entry.block) == (node, ("node-a", "node-b"), 1)
        assert (entry.bits, entry.source, entry.at) == (4096, "simulated", 1_000_000)
        assert (entry.qber, entry.chsh) == (20_000, 2_700_000)
        assert (entry.writer, entry.sequence) == ("site-a", 1)
        told.append(entry.id)
        store.close()
    assert told[0] == told[1]


def test_a_sessions_pad_names_its_saes_or_commits_to_them(folder: Path) -> None:
    store = recording(new_store(folder))
    for block, master in ((1, "sae-alice"), (2, "registered:ada"), (3, "registered:ada")):
        store.burn(block)
        pad = PadFor(ID[:-1] + bytes([block]), PAD_BITS, master, "bob", waits=False)
        store.put_pending(record(block, BITS), secret(block, BITS), pad)
        store.mark_ready(block)
    first, second, third = entries(store)
    assert isinstance(first, KeyExchange)
    assert isinstance(second, KeyExchange)
    assert isinstance(third, KeyExchange)
    assert (first.id, first.bits) == (str(UUID(bytes=ID[:-1] + b"\x01")), PAD_BITS)
    assert first.parties == ("sae-alice", "bob")
    assert second.parties == third.parties  # whoever looks sees that it is one and the same
    with store.transaction() as cursor:
        (sealed,) = cursor.execute("SELECT salt FROM outbox_salts").fetchone()
    salt = Secret(store._sealer.box("outbox_salts", 0).open(0, sealed))
    verify(second.parties[0], salt, "registered:ada")
    store.close()


def test_changes_of_the_status_are_entries_and_sameness_is_none(folder: Path) -> None:
    store = recording(new_store(folder))
    log = store.status_log()
    for second, view in enumerate([GREEN, GREEN, RED, RED, GREEN]):
        log.note(view, NOW + 70 * second)
    log.flush()
    store.close()
    store = recording(open_store(folder))
    log = store.status_log()  # a node that starts: what it says is compared with the disk
    log.note(GREEN, NOW + 1000)
    log.note(replace(GREEN, stale=True, reason="no block\nfor 3 s"), NOW + 1001)
    log.flush()
    found = entries(store)
    shown = [(e.status, e.stale, e.reason) for e in found if isinstance(e, LinkStatus)]
    assert shown == [
        ("GREEN", False, GREEN.reason),
        ("RED", False, RED.reason),
        ("GREEN", False, GREEN.reason),
        ("GREEN", True, "no block for 3 s"),
    ]
    assert {e.link for e in found if isinstance(e, LinkStatus)} == {"geneva-bern"}
    store.close()


def test_each_rejected_block_is_an_entry_and_of_probes_that_fail_in_a_row_the_first(
    folder: Path,
) -> None:
    store = recording(new_store(folder))
    log = store.status_log()
    for block in (None, None, 7, None):
        log.note_rejected(Rejection(NOW, block, Protocol.E91, "S below limit", 0.26, -1.4))
    log.note_accepted()
    log.note_rejected(Rejection(NOW, None, None, "", None, None))
    log.flush()
    log.flush()
    found = [each for each in entries(store) if isinstance(each, BlockRejected)]
    assert [each.block for each in found] == [None, 7, None]
    assert (found[1].qber, found[1].chsh, found[1].protocol) == (260_000, -1_400_000, "e91")
    assert found[2].reason == "-"
    store.close()
    silent = new_store(folder, Side.BOB)
    log = silent.status_log()
    log.note_rejected(Rejection(NOW, 7, None, "", None, None))
    log.note(RED, NOW)
    log.flush()
    assert entries(silent) == []
    silent.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_block_is_ready_with_its_entry_or_neither_is(
    folder: Path, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.keys.faults import FaultyConnection

    from bellwire.keys.database import sqlite

    def connect(path: Path) -> FaultyConnection:
        import sqlite3

        return sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=FaultyConnection
        )

    monkeypatch.setattr(sqlite, "connect", connect)
    store = recording(new_store(folder))
    outcomes = set()
    for block in range(1, 100):
        add_pending(store, block, 4096)
        Armed.faults = Faults(block, Crash(), after=after)
        try:
            store.mark_ready(block)
        except (Crash, StoreError):
            pass
        finally:
            hit, Armed.faults = Armed.faults.hit, None
        store.close()
        store = recording(open_store(folder))
        ready = [n for n in range(1, block + 1) if store.state(n) is BlockState.READY]
        assert [e.block for e in entries(store) if isinstance(e, KeyExchange)] == ready
        outcomes.add(block in ready)
        if store.state(block) is BlockState.PENDING:
            store.mark_ready(block)
        if not hit:
            break
    store.close()
    assert outcomes == {True, False}


def test_no_bit_of_a_key_is_in_an_entry(folder: Path) -> None:
    import base64

    store = recording(new_store(folder))
    bits = [secret(block, 4096).reveal() for block in (1, 2)]
    add_ready(store, 1, 4096)
    store.burn(2)
    pad = PadFor(ID, PAD_BITS, "registered:ada", "bob", waits=True)
    store.put_pending(record(2, 4096), secret(2, 4096), pad)
    store.mark_ready(2)
    told = b"".join(Outbox(store.transaction, "site-a").first().entries)
    with store.transaction() as cursor:
        told += b"".join(
            bytes(row[0]) for row in cursor.execute("SELECT entry FROM outbox").fetchall()
        )
    assert len(json.dumps(told.decode())) > 500
    for data in bits:
        for start in range(len(data) - 6):
            piece = data[start : start + 6]
            forms = (piece, piece.hex().encode(), base64.b64encode(piece))
            assert not any(form in told for form in forms)
    store.close()
