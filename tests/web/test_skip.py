"""SKIP over the wire, as draft-cisco-skip-02 says it: two doors before the model."""

import re
import ssl
from collections.abc import Iterator

import httpx
import pytest
from tests.web.doors import ALICE, BOB, CAROL, DAVE, Pair, doors

from bellwire.keys.errors import KeyNotReady, LinkRed, NotEnoughKey, PeerAbsent, StoreError

SKIP = {ALICE: (BOB, CAROL), BOB: (ALICE,), CAROL: (ALICE,)}
HEX32 = re.compile("[0-9a-f]{32}")


@pytest.fixture(scope="module")
def skip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with doors(tmp_path_factory.mktemp("skip"), skip=SKIP) as found:
        yield found


def refused(answer: httpx.Response, code: int) -> str:
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/json"
    return str(answer.json()["message"])


def test_capabilities_name_the_encryptor_and_those_it_shares_keys_with(skip: Pair) -> None:
    with skip.a.client(ALICE) as alice:
        assert alice.get("/capabilities").json() == {
            "entropy": True,
            "key": True,
            "algorithm": "QKD model",
            "localSystemID": ALICE,
            "remoteSystemID": [BOB, CAROL],
        }
    with skip.b.client(BOB) as bob:
        assert bob.get("/capabilities").json()["remoteSystemID"] == [ALICE]


@pytest.mark.parametrize(("query", "bits"), [("", 256), ("&size=128", 128), ("&size=1024", 1024)])
def test_both_encryptors_get_one_key_by_its_id_once(skip: Pair, query: str, bits: int) -> None:
    with skip.a.client(ALICE) as alice, skip.b.client(BOB) as bob:
        made = alice.get(f"/key?remoteSystemID={BOB}{query}").json()
        assert set(made) == {"keyId", "key"}
        assert HEX32.fullmatch(made["keyId"])
        assert len(bytes.fromhex(made["key"])) * 8 == bits
        path = f"/key/{made['keyId'].upper()}?remoteSystemID={ALICE}"
        assert bob.get(path).json() == made
        refused(bob.get(path), 400)


def test_a_key_is_for_the_encryptor_that_was_named_alone(skip: Pair) -> None:
    with skip.a.client(ALICE) as alice, skip.b.client(BOB) as bob, skip.b.client(CAROL) as carol:
        made = alice.get(f"/key?remoteSystemID={BOB}").json()
        path = f"/key/{made['keyId']}?remoteSystemID={ALICE}"
        refused(carol.get(path), 400)
        refused(alice.get(f"/key/{made['keyId']}?remoteSystemID={BOB}"), 400)
        assert bob.get(path).json() == made


def test_what_one_protocol_draws_the_other_fetches(skip: Pair) -> None:
    with skip.a.client(ALICE) as alice, skip.b.client(BOB) as bob:
        (made,) = alice.get(f"/api/v1/keys/{BOB}/enc_keys").json()["keys"]
        key_id = made["key_ID"].replace("-", "")
        got = bob.get(f"/key/{key_id}?remoteSystemID={ALICE}").json()
        assert got["keyId"] == key_id
        made = alice.get(f"/key?remoteSystemID={BOB}").json()
        digits = made["keyId"]
        uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        assert bob.get(f"/api/v1/keys/{ALICE}/dec_keys?key_ID={uuid}").status_code == 200


@pytest.mark.parametrize(("query", "bits"), [("", 256), ("?minentropy=128", 128),
                                             ("?minentropy=8192", 8192)])  # fmt: skip
def test_entropy_has_the_length_asked_for_and_never_comes_twice(
    skip: Pair, query: str, bits: int
) -> None:
    with skip.a.client(ALICE) as alice:
        one, other = (alice.get(f"/entropy{query}").json() for _ in range(2))
    assert set(one) == {"randomStr", "minentropy"}
    assert one["minentropy"] == bits == len(bytes.fromhex(one["randomStr"])) * 8
    assert one["randomStr"] != other["randomStr"]


@pytest.mark.parametrize(
    "path",
    ["/key", "/key?remoteSystemID=", f"/key?remoteSystemID={DAVE}", "/key?size=256",
     f"/key?remoteSystemID={BOB}&remoteSystemID={BOB}", f"/key?remoteSystemID={BOB}&size=0",
     f"/key?remoteSystemID={BOB}&size=-8", f"/key?remoteSystemID={BOB}&size=12",
     f"/key?remoteSystemID={BOB}&size=8200", f"/key?remoteSystemID={BOB}&size=2e2",
     f"/key?remoteSystemID={BOB}&size=256.0", f"/key?remoteSystemID={BOB}&size={'9' * 50}",
     f"/key?remoteSystemID={BOB}&size=%", f"/key?remoteSystemID={BOB}&size=%ff",
     f"/key/?remoteSystemID={BOB}", f"/key/xyz?remoteSystemID={BOB}", "/key/" + "0" * 32,
     f"/key/{'0' * 31}?remoteSystemID={BOB}", f"/key/{'0' * 33}?remoteSystemID={BOB}",
     f"/key/{'0' * 32}/?remoteSystemID={BOB}", f"/key/{'0' * 32}?remoteSystemID={BOB}",
     f"/key/%30{'0' * 31}?remoteSystemID={BOB}", f"/key/{'0' * 9999}?remoteSystemID={BOB}",
     "/entropy?minentropy=7", "/entropy?minentropy=0", "/entropy?minentropy=",
     "/entropy?minentropy=x",
     "/entropy?minentropy=8200", "/entropy?minentropy=true"],
    ids=range(29),
)  # fmt: skip
def test_what_the_draft_does_not_permit_is_400(skip: Pair, path: str) -> None:
    before = skip.world.stock
    with skip.a.client(ALICE) as alice:
        assert refused(alice.get(path), 400)
    assert skip.world.stock == before


def test_get_is_the_only_verb_and_unknown_parameters_are_passed_over(skip: Pair) -> None:
    with skip.a.client(ALICE) as alice:
        for path in ("/capabilities", f"/key?remoteSystemID={BOB}", "/entropy", "/key/x"):
            for verb in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
                answer = alice.request(verb, path)
                assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
        refused(alice.request("GET", "/entropy", content=b"{}"), 400)
        assert alice.get("/entropy?other=1").status_code == 200
        for path in ("/keys", "/capabilities/", "/entropy/x", "/key2"):
            refused(alice.get(path), 404)


def test_only_saes_that_are_named_are_encryptors(skip: Pair) -> None:
    with skip.a.client(DAVE) as dave, skip.a.client(BOB) as bob:
        for path in ("/capabilities", f"/key?remoteSystemID={BOB}", "/entropy", "/key/x"):
            refused(dave.get(path), 404)
            refused(bob.get(path), 401)  # of the other KME
        assert dave.get(f"/api/v1/keys/{BOB}/status").status_code == 200


def test_a_door_that_does_not_speak_it_has_nothing_at_these_paths(pair: Pair) -> None:
    with pair.a.client(ALICE) as alice:
        for path in ("/capabilities", f"/key?remoteSystemID={BOB}", "/entropy", "/key/x"):
            refused(alice.get(path), 404)


@pytest.mark.parametrize(
    ("error", "code"),
    [(LinkRed("the link is RED"), 503), (NotEnoughKey(256, 0), 503), (KeyNotReady("x"), 503),
     (PeerAbsent("no answer"), 503), (StoreError("at /hidden/path"), 503),
     (RuntimeError("hidden"), 500)],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_no_key_now_is_503_and_a_fault_of_ours_500(skip: Pair, error: Exception, code: int) -> None:
    skip.world.refuse = lambda: error
    try:
        with skip.a.client(ALICE) as alice:
            for path in (f"/key?remoteSystemID={BOB}", f"/key/{'0' * 32}?remoteSystemID={BOB}"):
                answer = alice.get(path)
                refused(answer, code)
                assert "hidden" not in answer.text
            if code == 503:
                assert alice.get("/capabilities").json()["algorithm"] == "QKD"
    finally:
        skip.world.refuse = None


def test_the_ciphers_of_the_draft_are_spoken(skip: Pair) -> None:
    old = skip.clients.context(ALICE)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    for context, version in ((old, "TLSv1.2"), (skip.clients.context(ALICE), "TLSv1.3")):
        with skip.a.wire(ALICE, context) as wire:
            cipher = wire.tls.cipher()
            assert cipher is not None
            assert cipher[1] == version
            if version == "TLSv1.3":
                assert cipher[0] == "TLS_AES_256_GCM_SHA384"
            wire.send(b"GET /entropy HTTP/1.1\r\nHost: kp\r\n\r\n")
            assert wire.answer()[0] == 200
