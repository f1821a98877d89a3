"""Requests to the letter, and any bytes that may come back, without a network."""

import contextlib
import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.etsi014.errors import (
    Etsi014Error,
    KmeMisbehaved,
    RequestUnusable,
    printable,
)
from bellwire.etsi014.exchange import (
    Answer,
    Extras,
    ask_keys,
    ask_keys_with_ids,
    ask_status,
    read_keys,
    read_keys_with_ids,
    read_status,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["keys", "key_ID", "key", "message", "key_size", "details"]), inner
        )
    ),
)
BODIES = st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode())


def test_requests_are_the_standards_to_the_letter() -> None:
    status = ask_status("sae b/ü")
    assert (status.method, status.path) == ("GET", "/api/v1/keys/sae%20b%2F%C3%BC/status")
    assert (status.body, status.repeatable) == (None, True)
    keys = ask_keys("b", 3, 512)
    assert (keys.method, keys.path) == ("POST", "/api/v1/keys/b/enc_keys")
    assert json.loads(keys.body or b"") == {"number": 3, "size": 512}
    ids = ask_keys_with_ids("a", ["x", "y"])
    assert (ids.method, ids.path) == ("POST", "/api/v1/keys/a/dec_keys")
    assert json.loads(ids.body or b"") == {"key_IDs": [{"key_ID": "x"}, {"key_ID": "y"}]}
    assert not keys.repeatable
    sizeless = ask_keys("b", 1)
    assert json.loads(sizeless.body or b"") == {"number": 1}
    assert not ids.repeatable


def test_further_slaves_and_extensions_are_asked_for_in_the_standards_words() -> None:
    extras = Extras(["c", "d/e"], [{"x_route": "direct"}], [{"x_hops": 2, "y": [None]}])
    assert json.loads(ask_keys("b", 1, 64, extras).body or b"") == {
        "number": 1,
        "size": 64,
        "additional_slave_SAE_IDs": ["c", "d/e"],
        "extension_mandatory": [{"x_route": "direct"}],
        "extension_optional": [{"x_hops": 2, "y": [None]}],
    }


@pytest.mark.parametrize(
    "extras",
    [
        Extras(["b"]),
        Extras(["c", "c"]),
        Extras([".."]),
        Extras([f"s{i}" for i in range(300)]),
        Extras(mandatory=[{"x": i} for i in range(100)]),
        Extras(optional=[{"x": object()}]),
    ],
)
def test_extras_that_are_none_are_never_sent(extras: Extras) -> None:
    with pytest.raises(RequestUnusable):
        ask_keys("b", 1, 64, extras)


def test_keys_of_the_servers_own_size_are_taken_if_they_are_alike() -> None:
    def answer(*sizes: int) -> Answer:
        keys = [
            {"key_ID": str(i), "key": b64encode(bytes(n)).decode()} for i, n in enumerate(sizes)
        ]
        return Answer(200, json.dumps({"keys": keys}).encode())

    assert [len(each.key) for each in read_keys(answer(44, 44), 2)] == [44, 44]
    for sizes in ((44, 43), (0, 0), (44, 0)):
        with pytest.raises(KmeMisbehaved):
            read_keys(answer(*sizes), 2)


@given(code=st.sampled_from([200, 200, 200, 301, 400, 401, 404, 500, 503]), body=BODIES)
def test_any_answer_is_what_was_asked_for_or_an_error_in_print(code: int, body: bytes) -> None:
    answer = Answer(code, body)
    for read in (
        lambda: read_status(answer, "b"),
        lambda: read_keys(answer, 1, 256),
        lambda: read_keys_with_ids(answer, ["x"]),
    ):
        said = "in print"
        try:
            read()
        except Etsi014Error as error:
            said = str(error)
        else:
            assert code == 200
        assert said.isprintable()


@given(sae=st.text(max_size=300))
def test_any_sae_id_is_one_segment_of_a_path_or_refused(sae: str) -> None:
    with contextlib.suppress(RequestUnusable):
        parts = ask_status(sae).path.split("/")
        assert parts[:4] == ["", "api", "v1", "keys"]
        assert parts[4] not in {"", ".", ".."}
        assert parts[4].isascii()
        assert parts[5:] == ["status"]


@given(text=st.text(max_size=400))
def test_words_of_a_server_are_one_short_line_in_print(text: str) -> None:
    assert len(printable(text)) <= 200
    assert printable(text).isprintable()


def test_the_answer_stays_out_of_its_repr() -> None:
    assert "secret" not in repr(Answer(200, b"secret"))


@pytest.mark.parametrize("sae", ["\ud800", "a\u202eb", "a\x7f"])
def test_an_id_that_cannot_be_written_is_refused(sae: str) -> None:
    with pytest.raises(RequestUnusable):
        ask_status(sae)
