"""ETSI GS QKD 014 V1.1.1 through the wire: real TLS, two KMEs, every method, default and message.

Nothing here knows what is behind the doors: it holds for any pair of KMEs that serves the SAEs.
"""

import base64
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.web.doors import ALICE, BOB, CAROL, DAVE, ODD, STRANGER, Pair, Site

from bellwire.etsi014.client import Client
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.errors import KmeRejected

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOT_FOUND = {"message": "one or more keys specified are not found on KME"}


@pytest.fixture(scope="module")
def alice(pair: Pair) -> Iterator[httpx.Client]:
    with pair.a.keys(ALICE) as found:
        yield found


@pytest.fixture(scope="module")
def bob(pair: Pair) -> Iterator[httpx.Client]:
    with pair.b.keys(BOB) as found:
        yield found


@pytest.fixture(scope="module")
def carol(pair: Pair) -> Iterator[httpx.Client]:
    with pair.b.keys(CAROL) as found:
        yield found


def drawn(client: httpx.Client, slave: str = BOB, **wanted: Any) -> list[dict[str, str]]:
    answer = client.post(f"{quote(slave, safe='')}/enc_keys", json=wanted)
    assert answer.status_code == 200, answer.text
    keys: list[dict[str, str]] = answer.json()["keys"]
    return keys


def fetch(client: httpx.Client, keys: list[dict[str, str]], master: str = ALICE) -> httpx.Response:
    ids = [{"key_ID": each["key_ID"]} for each in keys]
    return client.post(f"{master}/dec_keys", json={"key_IDs": ids})


def refused(answer: httpx.Response, code: int, words: str = "") -> dict[str, Any]:
    """The Error body of a refusal; every one has the standard's form."""
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/json"
    content: dict[str, Any] = answer.json()
    assert set(content) <= {"message", "details"}
    assert isinstance(content["message"], str)
    assert words in content["message"]
    assert all(isinstance(each, dict) for each in content.get("details", []))
    assert "Traceback" not in answer.text
    return content


# Get status


def test_status_has_every_item_of_table_9_with_its_type(alice: httpx.Client) -> None:
    answer = alice.get(f"{BOB}/status")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    status = answer.json()
    named = ("source_KME_ID", "target_KME_ID", "master_SAE_ID", "slave_SAE_ID")
    assert [status[each] for each in named] == ["kme-a", "kme-b", ALICE, BOB]
    counts = ["key_size", "stored_key_count", "max_key_count", "max_key_per_request"]
    counts += ["max_key_size", "min_key_size", "max_SAE_ID_count"]
    assert all(type(status[each]) is int for each in counts)
    assert status["stored_key_count"] <= status["max_key_count"]
    assert status["min_key_size"] <= status["key_size"] <= status["max_key_size"]
    assert status["max_key_size"] >= 1024
    assert status["max_key_per_request"] > 1


def test_status_consumes_nothing(alice: httpx.Client) -> None:
    counts = [alice.get(f"{BOB}/status").json()["stored_key_count"] for _ in range(3)]
    assert len(set(counts)) == 1


# Get key


@pytest.mark.parametrize("how", ["GET", "POST without a body", "POST {}"])
def test_a_request_without_items_gets_one_key_of_the_default_size(
    alice: httpx.Client, how: str
) -> None:
    size = alice.get(f"{BOB}/status").json()["key_size"]
    content = b"{}" if how.endswith("{}") else None
    answer = alice.request(how.split(maxsplit=1)[0], f"{BOB}/enc_keys", content=content)
    assert answer.status_code == 200
    assert list(answer.json()) == ["keys"]
    (key,) = answer.json()["keys"]
    assert set(key) == {"key_ID", "key"}
    assert UUID.fullmatch(key["key_ID"])
    assert 8 * len(base64.b64decode(key["key"], validate=True)) == size


@pytest.mark.parametrize(("number", "size"), [(1, 8), (2, 128), (3, 256), (5, 1024), (128, 264)])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_as_many_keys_of_that_size_as_asked_for_and_no_two_alike(
    alice: httpx.Client, verb: str, number: int, size: int
) -> None:
    wanted = {"number": number, "size": size}
    asked: dict[str, Any] = {"params": wanted} if verb == "GET" else {"json": wanted}
    keys = alice.request(verb, f"{BOB}/enc_keys", **asked).json()["keys"]
    assert len({each["key_ID"] for each in keys}) == number
    assert {8 * len(base64.b64decode(each["key"], validate=True)) for each in keys} == {size}
    assert all(UUID.fullmatch(each["key_ID"]) for each in keys)


@pytest.mark.parametrize("size", [1, 7, 9, 255, 257, 1023])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_size_of_odd_bits_has_the_words_of_the_standard(
    alice: httpx.Client, verb: str, size: int
) -> None:
    asked: dict[str, Any] = {"params" if verb == "GET" else "json": {"size": size}}
    answer = alice.request(verb, f"{BOB}/enc_keys", **asked)
    assert refused(answer, 400)["message"] == "size shall be a multiple of 8"


BAD_ITEMS: list[Any] = [
    0,
    -1,
    -8,
    10**30,
    -(10**30),
    True,
    False,
    8.5,
    0.0,
    1e300,
    "3",
    "",
    None,
    [],
    {},
]


@pytest.mark.parametrize("value", BAD_ITEMS, ids=repr)
@pytest.mark.parametrize("item", ["number", "size"])
def test_a_count_that_is_none_is_a_bad_request(
    alice: httpx.Client, item: str, value: object
) -> None:
    refused(alice.post(f"{BOB}/enc_keys", json={item: value}), 400, item)


def test_numbers_of_json_are_integers_by_value(alice: httpx.Client) -> None:
    answer = alice.post(f"{BOB}/enc_keys", content=b'{"number": 2.0, "size": 1.28e2}')
    keys = answer.json()["keys"]
    assert [len(base64.b64decode(each["key"])) for each in keys] == [16, 16]


@pytest.mark.parametrize("value", ["0", "-1", "", "3.0", "1e3", "true", "+1", "0x10", "٣", "01"])
@pytest.mark.parametrize("item", ["number", "size"])
def test_a_count_in_a_query_that_is_none_is_a_bad_request(
    alice: httpx.Client, item: str, value: str
) -> None:
    refused(alice.get(f"{BOB}/enc_keys", params={item: value}), 400, item)


def test_counts_at_the_limits_are_had_and_beyond_them_refused(alice: httpx.Client) -> None:
    status = alice.get(f"{BOB}/status").json()
    most, largest = status["max_key_per_request"], status["max_key_size"]
    assert len(drawn(alice, number=most)) == most
    (key,) = drawn(alice, size=largest)
    assert 8 * len(base64.b64decode(key["key"])) == largest
    assert drawn(alice, size=status["min_key_size"])
    for beyond in ({"number": most + 1}, {"size": largest + 8}):
        refused(alice.post(f"{BOB}/enc_keys", json=beyond), 400, "expected")


@pytest.mark.parametrize(
    "content",
    [b"[]", b"null", b"1", b'"x"', b"{", b"{]", b"nan", b"\xff\xfe", b'{"number":1}x',
     b"\xef\xbb\xbf{}", b'{"x":"\xff"}', b"{'number':1}"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["enc_keys", "dec_keys"])
def test_a_body_that_is_no_object_of_json_is_a_bad_request(
    alice: httpx.Client, method: str, content: bytes
) -> None:
    refused(alice.post(f"{BOB}/{method}", content=content), 400, "the body")


def test_json_of_any_depth_is_a_bad_request_and_no_more(alice: httpx.Client) -> None:
    for deep in (b"[" * 500_000, b'{"a":' * 150_000, b'{"x":' + b"[" * 400_000 + b"]" * 400_000):
        refused(alice.post(f"{BOB}/enc_keys", content=deep), 400, "the body")
    assert drawn(alice)


def test_unknown_members_and_parameters_are_ignored(alice: httpx.Client) -> None:
    assert len(drawn(alice, number=2, colour="green", keys=[1, {}])) == 2
    answer = alice.get(f"{BOB}/enc_keys", params={"number": 2, "colour": "green"})
    assert len(answer.json()["keys"]) == 2


@pytest.mark.parametrize(
    "query",
    ["additional_slave_SAE_IDs=x", "extension_mandatory=1", "extension_optional=1",
     "number=1&number=2", "number=%zz", "number=%ff"],
)  # fmt: skip
def test_what_a_get_cannot_say_is_a_bad_request(alice: httpx.Client, query: str) -> None:
    refused(alice.get(f"{BOB}/enc_keys?{query}"), 400)


def test_parameters_in_the_wrong_place_are_not_passed_over(alice: httpx.Client) -> None:
    refused(alice.post(f"{BOB}/enc_keys?size=512"), 400, "in the body")
    refused(alice.request("GET", f"{BOB}/enc_keys", json={"number": 3}), 400, "in the query")
    assert alice.post(f"{BOB}/enc_keys?trace=1").status_code == 200


# Extensions


def test_a_mandatory_extension_that_is_unknown_is_named_and_refused(alice: httpx.Client) -> None:
    wanted = [{"abc_route_type": "direct"}, {"abc_transfer_method": "qkd"}]
    answer = alice.post(f"{BOB}/enc_keys", json={"extension_mandatory": wanted})
    content = refused(answer, 400)
    assert content["message"] == "not all extension_mandatory parameters are supported"
    assert content["details"] == [
        {"extension_mandatory_unsupported": "abc_route_type is not supported"},
        {"extension_mandatory_unsupported": "abc_transfer_method is not supported"},
    ]


def test_optional_extensions_are_passed_over(alice: httpx.Client) -> None:
    assert drawn(alice, extension_optional=[{"abc_max_age": 30000}], extension_mandatory=[])


@pytest.mark.parametrize("value", [{}, "x", 1, [1], ["x"], [None], [[]], None, True], ids=repr)
@pytest.mark.parametrize("item", ["extension_mandatory", "extension_optional"])
def test_extensions_are_arrays_of_objects(alice: httpx.Client, item: str, value: object) -> None:
    refused(alice.post(f"{BOB}/enc_keys", json={item: value}), 400, item)


def test_names_of_extensions_come_back_short_and_printable(alice: httpx.Client) -> None:
    wanted: list[dict[str, int]] = [{"x" * 10_000: 1}, {"a\nb\x1b": 1}, {"\ud800": 1}] + [
        {f"n{i}": i} for i in range(999)
    ]
    answer = alice.post(
        f"{BOB}/enc_keys", content=json.dumps({"extension_mandatory": wanted}).encode()
    )
    refused(answer, 400)
    assert len(answer.content) < 10_000


# Get key with key IDs


@pytest.mark.parametrize("number", [1, 2, 3, 64, 128])
def test_the_slave_gets_the_same_keys_in_the_order_it_asks(
    alice: httpx.Client, bob: httpx.Client, number: int
) -> None:
    keys = drawn(alice, number=number)[::-1]
    answer = fetch(bob, keys)
    assert answer.status_code == 200
    assert answer.json() == {"keys": keys}


def test_keys_of_several_sizes_and_requests_come_together(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    keys = drawn(alice, size=8) + drawn(alice, number=2, size=1024) + drawn(alice, size=136)
    assert fetch(bob, keys).json() == {"keys": keys}


def test_one_id_can_be_asked_for_by_get(alice: httpx.Client, bob: httpx.Client) -> None:
    (key,) = drawn(alice)
    answer = bob.get(f"{ALICE}/dec_keys", params={"key_ID": key["key_ID"]})
    assert answer.json() == {"keys": [key]}


def test_a_key_leaves_once(alice: httpx.Client, bob: httpx.Client) -> None:
    keys = drawn(alice, number=2)
    assert fetch(bob, keys[:1]).status_code == 200
    assert refused(fetch(bob, keys[:1]), 400) == NOT_FOUND
    assert refused(fetch(bob, keys), 400) == NOT_FOUND  # all of them, or none
    assert fetch(bob, keys[1:]).json() == {"keys": keys[1:]}


def test_an_unknown_id_is_not_found_and_takes_nothing_with_it(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    keys = drawn(alice, number=2)
    unknown = {"key_ID": str(uuid.uuid4())}
    for wrong in ([unknown], [keys[0], unknown], [unknown, *keys]):
        assert refused(fetch(bob, wrong), 400) == NOT_FOUND
    assert fetch(bob, keys).status_code == 200


def test_one_key_of_others_makes_the_whole_request_unauthorised(
    alice: httpx.Client, bob: httpx.Client, carol: httpx.Client
) -> None:
    for_bob, for_carol = drawn(alice, BOB), drawn(alice, CAROL)
    refused(fetch(carol, for_bob), 401)
    refused(fetch(carol, [*for_carol, *for_bob]), 401)
    refused(fetch(carol, [{"key_ID": str(uuid.uuid4())}, *for_bob]), 401)
    assert fetch(carol, for_carol).json() == {"keys": for_carol}
    assert fetch(bob, for_bob).json() == {"keys": for_bob}


def test_the_master_cannot_fetch_its_own_keys(pair: Pair, alice: httpx.Client) -> None:
    keys = drawn(alice)
    refused(fetch(alice, keys), 400, "another than the caller")
    refused(fetch(alice, keys, master=DAVE), 401)


def test_a_key_of_another_master_is_not_found(pair: Pair, alice: httpx.Client, bob: httpx.Client) -> None:  # fmt: skip # noqa: E501
    keys = drawn(alice)
    assert refused(fetch(bob, keys, master=DAVE), 400) == NOT_FOUND
    assert refused(fetch(bob, keys, master="sae-unheard-of"), 400) == NOT_FOUND
    assert fetch(bob, keys).status_code == 200


def test_both_directions_of_a_pair_are_separate(alice: httpx.Client, bob: httpx.Client) -> None:
    there, back = drawn(alice, BOB), drawn(bob, ALICE)
    assert fetch(alice, back, master=BOB).json() == {"keys": back}
    assert fetch(bob, there).json() == {"keys": there}


def test_both_saes_may_hang_on_one_kme(pair: Pair, alice: httpx.Client) -> None:
    keys = drawn(alice, DAVE)
    with pair.a.keys(DAVE) as dave:
        assert fetch(dave, keys).json() == {"keys": keys}


def test_capitals_in_an_id_are_the_same_id(alice: httpx.Client, bob: httpx.Client) -> None:
    (key,) = drawn(alice)
    assert fetch(bob, [{"key_ID": key["key_ID"].upper()}]).json() == {"keys": [key]}


def test_an_id_twice_is_a_bad_request_however_it_is_written(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    keys = drawn(alice, number=3)
    shouted = {"key_ID": keys[0]["key_ID"].upper()}
    refused(fetch(bob, [keys[0], keys[0]]), 400, "twice")
    refused(fetch(bob, [*keys, shouted]), 400, "twice")
    assert fetch(bob, keys).status_code == 200


def test_whole_elements_of_a_container_may_be_sent_back(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    keys = drawn(alice, number=2)
    wanted: list[dict[str, object]] = [
        {**each, "key_ID_extension": {}, "key_extension": None} for each in keys
    ]
    answer = bob.post(f"{ALICE}/dec_keys", json={"key_IDs": wanted, "key_IDs_extension": {"a": 1}})
    assert answer.json() == {"keys": keys}


BAD_IDS: list[Any] = [
    "", "x", "x" * 10_000, "é" * 36, "0" * 36, "-" * 36, 1, True, None, [], {},
    "00000000-0000-4000-8000-00000000000g", "00000000000040008000000000000000",
    "{00000000-0000-4000-8000-000000000000}", "00000000-0000-4000-8000- 0000000000 ",
    "00000000-0000-4000-8000-00000000000０", "00000000-0000-4000-80-0-000000000000",
]  # fmt: skip


@pytest.mark.parametrize("wrong", BAD_IDS, ids=lambda each: repr(each)[:40])
def test_an_id_that_is_no_uuid_is_a_bad_request(bob: httpx.Client, wrong: object) -> None:
    fine = {"key_ID": str(uuid.uuid4())}
    for ids in ([{"key_ID": wrong}], [fine, {"key_ID": wrong}]):
        refused(bob.post(f"{ALICE}/dec_keys", json={"key_IDs": ids}), 400, "key_ID")


@pytest.mark.parametrize(
    "content",
    [{}, {"key_IDs": []}, {"key_IDs": None}, {"key_IDs": {}}, {"key_IDs": "x"}, {"key_IDs": [[]]},
     {"key_IDs": [{}]}, {"key_ids": []}, {"key_IDs": ["00000000-0000-4000-8000-000000000000"]}],
    ids=repr,
)  # fmt: skip
def test_a_list_of_ids_that_is_none_is_a_bad_request(bob: httpx.Client, content: object) -> None:
    refused(bob.post(f"{ALICE}/dec_keys", json=content), 400, "key_IDs")


def test_too_many_ids_are_a_bad_request(alice: httpx.Client, bob: httpx.Client) -> None:
    most = alice.get(f"{BOB}/status").json()["max_key_per_request"]
    ids = [{"key_ID": str(uuid.uuid4())} for _ in range(most + 1)]
    refused(fetch(bob, ids), 400, f"1 to {most}")
    assert refused(fetch(bob, ids[:-1]), 400) == NOT_FOUND


def test_a_get_has_exactly_one_id(alice: httpx.Client, bob: httpx.Client) -> None:
    one, two = drawn(alice, number=2)
    refused(bob.get(f"{ALICE}/dec_keys"), 400, "key_ID")
    both = f"{ALICE}/dec_keys?key_ID={one['key_ID']}&key_ID={two['key_ID']}"
    refused(bob.get(both), 400, "key_ID")
    assert fetch(bob, [one, two]).status_code == 200


# Further slaves


def test_each_named_slave_fetches_the_same_keys_once(
    alice: httpx.Client, bob: httpx.Client, carol: httpx.Client
) -> None:
    keys = drawn(alice, BOB, number=2, additional_slave_SAE_IDs=[CAROL])
    for slave in (carol, bob):
        assert fetch(slave, keys).json() == {"keys": keys}
        assert refused(fetch(slave, keys), 400) == NOT_FOUND


@pytest.mark.parametrize(
    "further",
    [[BOB], [CAROL, CAROL], [ALICE], [""], ["x" * 257], ["a\nb"], ["sae-unheard-of"], ["\ud800"],
     [1], "x", None, {}, [f"s{i}" for i in range(999)]],
    ids=lambda each: ascii(each)[:40],
)  # fmt: skip
def test_further_slaves_that_are_absurd_are_a_bad_request(
    alice: httpx.Client, further: object
) -> None:
    content = json.dumps({"additional_slave_SAE_IDs": further}).encode()
    refused(alice.post(f"{BOB}/enc_keys", content=content), 400)


# Who is asked about


def test_an_sae_may_have_any_printable_name(pair: Pair, alice: httpx.Client) -> None:
    keys = drawn(alice, ODD, number=2)
    assert alice.get(f"{quote(ODD, safe='')}/status").json()["slave_SAE_ID"] == ODD
    with pair.b.keys(ODD) as odd:
        assert fetch(odd, keys).json() == {"keys": keys}


@pytest.mark.parametrize(
    "name",
    ["", "%00", "%0a", "%zz", "%", "%f", "%ff%fe", "%ed%a0%80", "x" * 257, "x" * 10_000,
     "%c3%a9" * 5000, "sae-unheard-of", "%E2%80%8F"],
    ids=lambda each: each[:12],
)  # fmt: skip
@pytest.mark.parametrize("method", ["status", "enc_keys"])
def test_a_slave_that_is_none_is_a_bad_request(pair: Pair, method: str, name: str) -> None:
    with pair.a.wire(ALICE) as wire:
        target = f"/api/v1/keys/{name}/{method}"
        wire.send(f"GET {target} HTTP/1.1\r\nHost: kme\r\n\r\n".encode())
        code, fields, body = wire.answer()
    assert code == 400
    assert fields["content-type"] == "application/json"
    assert isinstance(json.loads(body)["message"], str)


@pytest.mark.parametrize("method", ["status", "enc_keys"])
def test_nobody_is_its_own_slave(alice: httpx.Client, method: str) -> None:
    refused(alice.get(f"{ALICE}/{method}"), 400, "another than the caller")


# Paths and verbs


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/v1/keys", "/api/v1/keys/a/b/enc_keys", "/api/v1/keys/a/enc_keys/",
     "/api/v2/keys/a/enc_keys", "/api/v1/keys/a/ENC_KEYS", "//api/v1/keys/a/enc_keys", "/docs"],
)  # fmt: skip
def test_other_paths_are_not_found_with_an_error_body(pair: Pair, path: str) -> None:
    with pair.a.client(ALICE) as alice:
        refused(alice.get(path), 404)


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("method", ["status", "enc_keys", "dec_keys"])
def test_other_verbs_are_refused_with_those_that_are_allowed(
    alice: httpx.Client, verb: str, method: str
) -> None:
    answer = alice.request(verb, f"{BOB}/{method}")
    refused(answer, 405)
    assert answer.headers["allow"] == ("GET" if method == "status" else "GET, POST")


def test_a_status_is_not_posted_and_heads_have_no_body(alice: httpx.Client) -> None:
    refused(alice.post(f"{BOB}/status"), 405)
    answer = alice.head(f"{BOB}/enc_keys")
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == "GET, POST"
    assert alice.get(f"{BOB}/status").status_code == 200  # the connection is in order


# Who asks


@pytest.mark.parametrize("method", ["status", "enc_keys", "dec_keys"])
def test_a_certificate_of_no_sae_is_unauthorised_at_every_request(pair: Pair, method: str) -> None:
    with pair.a.keys(STRANGER) as stranger:
        for _ in range(2):
            refused(stranger.get(f"{BOB}/{method}"), 401)
            refused(stranger.post(f"{BOB}/{method}", content=b"garbage"), 401)


def test_an_sae_of_the_other_site_is_unauthorised_here(pair: Pair) -> None:
    with pair.b.keys(ALICE) as lost:
        refused(lost.get(f"{BOB}/status"), 401)


def test_our_own_client_gets_the_same_keys_at_both_sites(pair: Pair) -> None:
    def client(site: Site, name: str) -> Client:
        pair.clients.context(name)
        files = (*pair.clients.issued[name], pair.clients.authority.file)
        return Client("https://{}:{}".format(*site.address), Credentials(*files))

    with client(pair.a, ALICE) as master, client(pair.b, ODD) as slave:
        assert master.status(ODD).slave_sae_id == ODD
        drawn = master.get_keys(ODD, 3, 512)
        fetched = slave.get_keys_with_ids(ALICE, [each.key_id for each in drawn])
        assert [each.key for each in fetched] == [each.key for each in drawn]
        with pytest.raises(KmeRejected, match="not found on KME"):
            slave.get_keys_with_ids(ALICE, [drawn[0].key_id])
