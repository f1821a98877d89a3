"""Known answers of vectors/chat: the product and the slow reference give the same bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.chat.conversation import PlainPads
from tests.reference import chat as reference
from tests.reference.chat import TURNS, Script
from tests.reference.first_contact import Ephemeral

from bellwire.base.secret import Secret
from bellwire.chat import opening
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.identity import Identity
from bellwire.chat.pads import Policy
from bellwire.chat.prekeys import PrekeySecret, read_bundle
from bellwire.chat.safety import safety_number
from bellwire.chat.session import Session, open_message, seal_message
from bellwire.crypto import kem
from bellwire.crypto.kem import XWingPrivateKey

FILE = Path(__file__).parents[2] / "vectors" / "chat" / "talk.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())
WITH_EACH = pytest.mark.parametrize("vector", VECTORS, ids=["with one-time prekey", "without"])


def unpack(vector: dict[str, Any]) -> tuple[Script, dict[str, bytes]]:
    values = {name: bytes.fromhex(value) for name, value in vector["values"].items()}
    return Script.decode(vector["script"]), values


def content_of(script: Script, turn: int) -> Content:
    text = script.texts[turn].encode()
    return Content(ContentKind.TEXT, bytes([turn]) * 16, 1_800_000_000_000 + turn, text)


def pads_of(script: Script, who: int) -> PlainPads:
    ours, theirs = (
        {script.cut("pad_ids", n, 16): script.cut("pads", n, 256)} for n in (who, 1 - who)
    )
    return PlainPads(ours, theirs)


def lookup_of(script: Script, values: dict[str, bytes]) -> Callable[[bytes], PrekeySecret | None]:
    """Bob's prekeys."""
    bob = Identity(Secret(script.bob))
    bundle = read_bundle(values["bundle"], bob.public.fingerprint, 0)
    kept = {bundle.lasting.prekey_id: PrekeySecret(bundle.lasting, Secret(script.lasting_seed))}
    if bundle.one_time:
        once = PrekeySecret(bundle.one_time, Secret(script.once_seed))
        kept[bundle.one_time.prekey_id] = once
    return kept.get


def begin(script: Script, values: dict[str, bytes], patch: pytest.MonkeyPatch) -> Session:
    """Alice's session, with the script's draws."""
    alice = Identity(Secret(script.alice))
    bob = Identity(Secret(script.bob)).public.fingerprint
    drawn = iter(
        [(script.ct_lasting, values["secrets"][:32]), (script.ct_once, values["secrets"][32:])]
    )
    patch.setattr(kem, "encapsulate", lambda _: _secret(*next(drawn)))
    offered = XWingPrivateKey.from_seed(script.offered_seed)
    patch.setattr(kem.XWingPrivateKey, "generate", lambda: offered)
    patch.setattr(Identity, "sign", lambda *_: script.hello_signature)
    session = opening.begin(alice, read_bundle(values["bundle"], bob, 0))
    patch.undo()
    return session


def _secret(ciphertext: bytes, secret: bytes) -> tuple[bytes, Secret]:
    return ciphertext, Secret(secret)


@WITH_EACH
def test_the_reference_gives_the_kept_values(vector: dict[str, Any]) -> None:
    assert reference.play(Script.decode(vector["script"])) == vector["values"]


@WITH_EACH
def test_both_sides_seal_and_open_the_kept_payloads(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, values = unpack(vector)
    alice = begin(script, values, monkeypatch)
    assert alice.session_id == values["session_id"]
    assert alice.ratchet.root == values["root"]
    accepted = opening.accept(
        Identity(Secret(script.bob)), values["payload_0"], lookup_of(script, values)
    )
    assert accepted.peer == Identity(Secret(script.alice)).public
    assert (accepted.one_time == script.once_id) is any(script.once_id)
    sessions, pads = [alice, accepted.session], [pads_of(script, 0), pads_of(script, 1)]
    nonces = (script.cut("header_nonces", turn, 12) for turn in range(TURNS + 1))
    monkeypatch.setattr("bellwire.chat.session.os.urandom", lambda _: next(nonces))
    offered = script.offered_seed
    for turn in range(TURNS + 1):
        who = turn % 2
        if turn:
            draw_step(script, turn, offered, monkeypatch)
            offered = script.cut("step_seeds", turn - 1, 32)
        policy = Policy.REQUIRE if turn < TURNS else Policy.OFF
        sealed = seal_message(sessions[who], content_of(script, turn), pads[who], policy)
        assert sealed.payload == values[f"payload_{turn}"]
        opened = open_message(sessions[1 - who], sealed.payload, pads[1 - who])
        assert opened.content == content_of(script, turn)
        assert opened.protection == sealed.protection
        assert opened.protection.is_one_time is (turn < TURNS)
        assert (opened.protection.mixed_source is not None) is (turn in {1, 2})
        pads[1 - who].erase(opened.spent)
        sessions[who], sessions[1 - who] = sealed.session, opened.session
    assert sessions[0].ratchet.root == sessions[1].ratchet.root == values[f"root_{TURNS}"]


def draw_step(script: Script, turn: int, offered: bytes, patch: pytest.MonkeyPatch) -> None:
    """Have the next step draw what the script says."""
    ciphertext = script.cut("step_ciphertexts", turn - 1, 1120)
    secret = Ephemeral(offered).open(ciphertext)
    own = XWingPrivateKey.from_seed(script.cut("step_seeds", turn - 1, 32))
    patch.setattr("bellwire.chat.ratchet.encapsulate", lambda _: (ciphertext, Secret(secret)))
    patch.setattr("bellwire.chat.ratchet.XWingPrivateKey.generate", lambda: own)


@WITH_EACH
def test_both_have_the_kept_safety_number(vector: dict[str, Any]) -> None:
    script, values = unpack(vector)
    one, other = (Identity(Secret(seed)).public.fingerprint for seed in (script.alice, script.bob))
    assert safety_number(one, other) == values["safety_number"].decode()
    assert safety_number(other, one) == values["safety_number"].decode()
