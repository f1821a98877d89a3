import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.chat.accounts import answers, requests
from bellwire.chat.accounts.answers import Answer, read_answer
from bellwire.chat.accounts.fields import AccountReason, Visibility
from bellwire.chat.accounts.line import MAX_REQUEST_BYTES
from bellwire.chat.accounts.requests import Request, proof_text, read_request
from bellwire.chat.errors import RelayMisbehaved

PUBLIC, SIGNATURE, TOKEN, PREKEY = b"p" * 1984, b"s" * 3373, b"t" * 32, b"k" * 4614
REQUESTS: list[Request] = [
    requests.SignUp("x" * 32, PUBLIC, PUBLIC, SIGNATURE, SIGNATURE, "\N{GRINNING FACE}" * 64),
    requests.LogIn("alice", SIGNATURE, "laptop"),
    requests.LogOut(TOKEN),
    requests.LogOut(TOKEN, b"d" * 8),
    requests.LogOutEverywhere(TOKEN),
    requests.Devices(TOKEN),
    requests.NameDevice(TOKEN, b"d" * 8, "phone"),
    requests.SetVisibility(TOKEN, Visibility.LISTED),
    requests.SetPassword("alice", PUBLIC, SIGNATURE, True, SIGNATURE),
    requests.Export(TOKEN),
    requests.Delete(TOKEN, SIGNATURE),
    requests.Publish(TOKEN, None, [PREKEY] * 3),
    requests.Publish(TOKEN, PREKEY, [PREKEY], b"c" * 800, SIGNATURE),
    requests.Take("alice"),
    requests.Search("al"),
]
ANSWERS: list[Answer] = [
    *(answers.Refusal(reason) for reason in AccountReason),
    answers.Done(),
    answers.Session(TOKEN, b"d" * 8, 1),
    answers.DeviceList([answers.Device(b"d" * 8, "laptop", 1, 2, 3, True, False)]),
    answers.Exported("{}"),
    answers.Stock(True, 1, 2),
    answers.Taken(PUBLIC, PREKEY, PREKEY, b"c" * 800, SIGNATURE),
    answers.Found(["alice"]),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: type(each).__name__)
def test_a_request_is_read_as_it_was_written_and_fits_a_record(request_: Request) -> None:
    assert read_request(msgspec.msgpack.encode(request_)) == request_
    assert len(msgspec.msgpack.encode(request_)) <= MAX_REQUEST_BYTES


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda each: type(each).__name__)
def test_an_answer_is_read_as_it_was_written(answer: Answer) -> None:
    assert read_answer(msgspec.msgpack.encode(answer)) == answer
    assert len(msgspec.msgpack.encode(answer)) <= MAX_REQUEST_BYTES
    with pytest.raises(RelayMisbehaved):
        read_request(msgspec.msgpack.encode(answer))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"do": "sign out"},
        {"do": "devices"},
        {"do": "devices", "token": b"t" * 31},
        {"do": "devices", "token": "t" * 32},
        {"do": "devices", "token": TOKEN, "more": 1},
        {"do": "log in", "handle": "a" * 33, "proof": SIGNATURE, "device": "x"},
        {"do": "log in", "handle": "alice", "proof": SIGNATURE, "device": ""},
        {"do": "log in", "handle": "alice", "proof": SIGNATURE, "device": "x" * 65},
        {"do": "set visibility", "token": TOKEN, "visibility": 3},
        {"do": "publish", "token": TOKEN, "one_time": [PREKEY] * 4},
    ],
)
def test_what_no_type_permits_is_no_request(fields: dict[str, object]) -> None:
    with pytest.raises(RelayMisbehaved):
        read_request(msgspec.msgpack.encode(fields))


def test_deeply_nested_values_are_no_request() -> None:
    nested = b"\x82\xa2do\xa6search\xa6prefix" + b"\x91" * 16_000
    with pytest.raises(RelayMisbehaved):
        read_request(nested)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for read in (read_request, read_answer):
        try:
            read(data)
        except RelayMisbehaved:
            continue


def test_tokens_do_not_show_themselves() -> None:
    assert TOKEN.hex() not in repr(answers.Session(TOKEN, b"d" * 8, 1))
    assert "ttt" not in repr(answers.Session(TOKEN, b"d" * 8, 1))


def test_a_proof_names_request_handle_line_and_password() -> None:
    texts = {
        proof_text(what, handle, binding, verifier)
        for what in ("log in", "delete")
        for handle in ("alice", "alic")
        for binding in (b"a" * 32, b"b" * 32)
        for verifier in (b"", PUBLIC)
    }
    assert len(texts) == 16
