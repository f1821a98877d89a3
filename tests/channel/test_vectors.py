"""Known answers of vectors/channel: the product and the slow reference give the same bytes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.channel.pair import SOURCE
from tests.reference import channel as reference
from tests.reference.channel import CLOSE, RECORDS, Script
from tests.reference.first_contact import Ephemeral

from bellwire.base.secret import Secret
from bellwire.channel.errors import HandshakeRefused
from bellwire.channel.handshake import (
    Gate,
    GateLimits,
    Initiator,
    Policy,
    QkdKey,
    Responder,
    Retry,
    Suite,
    fingerprint,
)
from bellwire.channel.messages import Direction, Kind
from bellwire.channel.padding import unpad
from bellwire.channel.records import Chain
from bellwire.channel.refresh import Refresher
from bellwire.channel.session import Session
from bellwire.crypto.kem import XWingPrivateKey

FILE = Path(__file__).parents[2] / "vectors" / "channel" / "handshakes.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())
WITH_EACH = pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))


def unpack(vector: dict[str, Any]) -> tuple[Script, dict[str, bytes]]:
    values = {name: bytes.fromhex(value) for name, value in vector["values"].items()}
    return Script.decode(vector["script"]), values


def qkd_of(script: Script) -> QkdKey | None:
    if not script.policy:
        return None
    return QkdKey(script.key_id, Secret(script.qkd_key), "simulated")


def initiator_of(script: Script) -> Initiator:
    return Initiator(
        identity=XWingPrivateKey.from_seed(script.initiator_seed),
        responder_name=script.name.decode(),
        responder_public=Ephemeral(script.responder_seed).public,
        policy=Policy(script.policy),
        qkd=qkd_of(script),
        counter=script.counter,
        suite=Suite(script.suite),
    )


@WITH_EACH
def test_the_reference_gives_the_kept_values(vector: dict[str, Any]) -> None:
    assert reference.play(Script.decode(vector["script"])) == vector["values"]


@WITH_EACH
def test_an_initiator_with_the_same_draws_sends_the_same_bytes(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, values = unpack(vector)
    initiator = initiator_of(script)
    ephemeral = XWingPrivateKey.from_seed(script.ephemeral_seed)
    module = "bellwire.channel"
    with monkeypatch.context() as patch:
        patch.setattr(
            f"{module}.initiator.encapsulate", lambda _: (script.ct_s, Secret(values["ss_s"]))
        )
        patch.setattr(f"{module}.initiating.XWingPrivateKey.generate", lambda: ephemeral)
        assert initiator.hello() == values["hello"]
    again, nothing = initiator.receive(values["retry"])
    assert again == values["hello_again"]
    assert nothing is None
    confirm, session = initiator.receive(values["answer"])
    assert confirm == values["confirm"]
    assert session is not None
    check_session(session, script, values, "up", "down")


@WITH_EACH
def test_an_initiator_takes_the_alert_for_what_it_is(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, values = unpack(vector)
    initiator = initiator_of(script)
    ephemeral = XWingPrivateKey.from_seed(script.ephemeral_seed)
    module = "bellwire.channel"
    monkeypatch.setattr(
        f"{module}.initiator.encapsulate", lambda _: (script.ct_s, Secret(values["ss_s"]))
    )
    monkeypatch.setattr(f"{module}.initiating.XWingPrivateKey.generate", lambda: ephemeral)
    initiator.hello()
    with pytest.raises(HandshakeRefused):
        initiator.receive(values["alert_with_nonce_0_to_11"])


@WITH_EACH
def test_a_responder_with_the_same_draws_sends_the_same_bytes(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, values = unpack(vector)
    public = Ephemeral(script.initiator_seed).public
    identity = XWingPrivateKey.from_seed(script.responder_seed)
    responder = Responder(
        identity=identity,
        name=script.name.decode(),
        initiators={fingerprint(public): public}.get,
        policy=Policy.PREFER,
        last_counter=lambda _: script.counter - 1,
    )
    hello = Gate(identity.public_bytes).admit(values["hello"], SOURCE, 0.0)
    assert not isinstance(hello, Retry)
    offer = responder.receive_hello(hello)
    assert (offer.policy, offer.counter) == (script.policy, script.counter)
    drawn = iter(((script.ct_e, values["ss_e"]), (script.ct_c, values["ss_c"])))

    def encapsulate(_: bytes) -> tuple[bytes, Secret]:
        ciphertext, secret = next(drawn)
        return ciphertext, Secret(secret)

    monkeypatch.setattr("bellwire.channel.responding.encapsulate", encapsulate)
    monkeypatch.setattr("bellwire.channel.responder.encapsulate", encapsulate)
    monkeypatch.setattr("bellwire.channel.responding.os.urandom", lambda _: script.session_id)
    assert responder.answer(qkd_of(script) if script.qkd_used else None) == values["answer"]
    session = responder.receive_confirmation(values["confirm"])
    check_session(session, script, values, "down", "up")


@WITH_EACH
def test_a_gate_under_load_gives_the_cookie(vector: dict[str, Any]) -> None:
    script, values = unpack(vector)
    closed = GateLimits(total_per_s=1e-9, total_burst=0)
    gate = Gate(Ephemeral(script.responder_seed).public, limits=closed, random=bytes)
    verdict = gate.admit(values["hello"], SOURCE, 0.0)
    assert isinstance(verdict, Retry)
    head = values["retry"][:4]
    cookie = reference.mac(bytes(32), reference.sha256(values["hello"][:-32]) + SOURCE.encode())
    key = reference.sha256(b"bellwire channel mac1" + Ephemeral(script.responder_seed).public)
    mac1 = values["hello"][-32:-16]
    assert verdict.message == head + cookie + reference.mac(key, head + mac1 + cookie)


def check_session(
    session: Session, script: Script, values: dict[str, bytes], sending: str, receiving: str
) -> None:
    """It seals and opens the kept records, and its chains the kept epochs."""
    assert session.session_id == script.session_id
    assert (session.protections.qkd_source is not None) == bool(script.qkd_used)
    assert session.seal(RECORDS[0][1]) == values[f"{sending}_epoch_0_record_0"]
    assert session.seal(b"") == values[f"{sending}_epoch_0_record_1"]
    opened = [session.open(values[f"{receiving}_epoch_0_record_{n}"]) for n in range(3)]
    assert opened == [b"21.5", b"", b"padded"]
    assert session.open(values[f"{receiving}_epoch_1_record_0"]) == b"21.5"
    chain = Chain(
        Suite(script.suite),
        Secret(values[sending]),
        script.session_id,
        Direction(sending == "down"),
    )
    for epoch in range(3):
        for number, (kind, text) in enumerate(RECORDS + CLOSE * (epoch == 2)):
            assert (
                chain.seal(Kind(kind), text) == values[f"{sending}_epoch_{epoch}_record_{number}"]
            )
        chain.step()
    assert unpad(RECORDS[2][1]) == b"padded"


@WITH_EACH
def test_fresh_secrets_are_the_kept_ones(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, values = unpack(vector)
    ephemeral = XWingPrivateKey.from_seed(script.ephemeral_seed)
    module = "bellwire.channel.refresh"
    monkeypatch.setattr(f"{module}.XWingPrivateKey.generate", lambda: ephemeral)
    monkeypatch.setattr(f"{module}.encapsulate", lambda _: (script.ct_e, Secret(values["ss_e"])))
    policy = Policy(script.policy)
    initiator = Refresher(Secret(values["root"]), Direction.TO_RESPONDER, policy)
    responder = Refresher(Secret(values["root"]), Direction.TO_INITIATOR, Policy.PREFER)
    responder.take_offer(initiator.offer(qkd_of(script)))
    answer, at_responder = responder.answer(qkd_of(script) if script.qkd_used else None)
    at_initiator = initiator.take_answer(answer)
    for fresh in (at_responder, at_initiator):
        assert fresh.up.reveal() == values["refreshed_up"]
        assert fresh.down.reveal() == values["refreshed_down"]
    assert initiator._root == responder._root == Secret(values["refreshed_root"])
