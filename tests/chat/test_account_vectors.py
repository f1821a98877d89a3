"""What is said on a sealed line is as the known answers have it, which browsers share."""

import hashlib
import json
from typing import Any

import msgspec
from tests.reference.chat_account import FILE, played

from bellwire.base.secret import Secret
from bellwire.chat.accounts.answers import Taken, read_answer
from bellwire.chat.accounts.line import Line, Offer, answer_hello
from bellwire.chat.accounts.password import key_of
from bellwire.chat.accounts.requests import Publish, SignUp, proof_text, read_request
from bellwire.chat.accounts.somebody import read_taken
from bellwire.chat.identity import IdentityPublic
from bellwire.crypto import kem
from bellwire.crypto.labels import CHAT_ACCOUNT

VECTORS: dict[str, Any] = json.loads(FILE.read_text())
GIVEN: dict[str, bytes] = {k: bytes.fromhex(v) for k, v in VECTORS["given"].items()}
FOLLOWS: dict[str, Any] = VECTORS["follows"]
NOW = FOLLOWS["not_after"] - 86_400.0


def relays_line() -> Line:
    offer = Offer(kem.XWingPrivateKey(Secret(GIVEN["offered_seed"])), GIVEN["offer"])
    return answer_hello(offer, GIVEN["hello"], GIVEN["nonce"], GIVEN["relay_id"])


def of(hashed: dict[str, Any], record: bytes) -> bool:
    return hashed == {"bytes": len(record), "sha256": hashlib.sha256(record).hexdigest()}


def test_the_known_answers_follow_from_the_specification() -> None:
    assert played(VECTORS["given"]) == FOLLOWS


def test_the_relay_seals_reads_and_answers_as_they_have_it() -> None:
    line = relays_line()
    assert line.binding.hex() == FOLLOWS["binding"]
    answers = [b"", *(bytes.fromhex(each) for each in FOLLOWS["answers"])]
    for answer, sealed in zip(answers, FOLLOWS["answers_sealed"], strict=True):
        assert of(sealed, line.outward.seal(answer))
    for each in FOLLOWS["answers"]:
        assert msgspec.msgpack.encode(read_answer(bytes.fromhex(each))).hex() == each
    requests = [read_request(bytes.fromhex(each)) for each in FOLLOWS["requests"]]
    for request, each in zip(requests, FOLLOWS["requests"], strict=True):
        assert msgspec.msgpack.encode(request).hex() == each


def test_the_proofs_and_the_claim_hold() -> None:
    sign_up, *_ = (read_request(bytes.fromhex(each)) for each in FOLLOWS["requests"])
    assert isinstance(sign_up, SignUp)
    secret = Secret(FOLLOWS["password"].encode())
    key = key_of(secret, FOLLOWS["handle"], GIVEN["relay_id"])
    assert key.public.public_bytes == sign_up.verifier
    text = proof_text("sign up", sign_up.handle, relays_line().binding, sign_up.verifier)
    IdentityPublic(sign_up.identity).verify(sign_up.identity_proof, text, CHAT_ACCOUNT)
    key.public.verify(sign_up.password_proof, text, CHAT_ACCOUNT)
    taken = [read_answer(bytes.fromhex(each)) for each in FOLLOWS["answers"]][-2:]
    for each, last_resort in zip(taken, (False, True), strict=True):
        assert isinstance(each, Taken)
        found = read_taken(FOLLOWS["handle"], each, GIVEN["relay_id"], None, NOW)
        assert found.bundle.identity.fingerprint.hex() == FOLLOWS["owner"]
        assert found.is_last_resort is last_resort
    published = [read_request(bytes.fromhex(each)) for each in FOLLOWS["requests"]]
    assert sum(isinstance(each, Publish) for each in published) == 2
