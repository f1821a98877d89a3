"""Codes and messages of enrolment: known answers, slips of the hand, and every byte changed."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import enrolment as reference

from bellwire.base.secret import Secret
from bellwire.crypto.errors import CodeMalformed
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.code import Code, make_code, parse_code
from bellwire.iot.enrol_messages import (
    Answer,
    Reason,
    is_request,
    make_answer,
    make_noise,
    make_refusal,
    make_request,
    read_answer,
    read_request,
)
from bellwire.iot.errors import EnrolmentFailed

KNOWN = json.loads(reference.FILE.read_text())
CODE = Code(Secret(bytes.fromhex(KNOWN["secret"])))
OTHER = Code(Secret(bytes(16)))
DEVICE = bytes.fromhex(KNOWN["device_public"])
CLOUD = bytes.fromhex(KNOWN["cloud_public"])
ANSWER = Answer(CLOUD, KNOWN["cloud"], KNOWN["device"])


def known(name: str) -> bytes:
    return bytes.fromhex(KNOWN[name])


def test_the_known_answers_are_what_the_reference_gives_today() -> None:
    assert reference.known_answer() == KNOWN


def test_the_product_gives_the_known_answers() -> None:
    device, cloud = (
        XWingPrivateKey.from_seed(known(each)) for each in ("device_seed", "cloud_seed")
    )
    assert (device.public_bytes, cloud.public_bytes) == (DEVICE, CLOUD)
    assert (CODE.spell(), CODE.id, CODE.key.reveal()) == (KNOWN["code"], known("id"), known("key"))
    request = make_request(CODE, DEVICE, lambda _: known("request_salt"))
    assert request == known("request")
    answer = make_answer(request, CODE.key, ANSWER, lambda _: known("answer_salt"))
    assert answer == known("answer")
    for reason in Reason:
        refusal = make_refusal(request, CODE.key, reason, lambda _: known("refusal_salt"))
        assert refusal == known(reason.name.lower())


def test_the_product_reads_the_known_answers() -> None:
    request = known("request")
    assert is_request(request)
    assert read_request(request).id == CODE.id
    assert read_request(request).open(CODE.key) == DEVICE
    assert read_answer(known("answer"), request, CODE) == ANSWER
    for reason in Reason:
        assert read_answer(known(reason.name.lower()), request, CODE) is reason


def test_a_code_is_read_however_it_is_typed() -> None:
    for _ in range(50):
        code = make_code()
        spelt = code.spell()
        assert len(spelt) == 39
        for typed in (
            spelt,
            spelt.lower(),
            spelt.replace("-", ""),
            f"  {spelt.replace('-', ' ')}\n",
            spelt.replace("O", "0").replace("I", "1").replace("B", "8"),
        ):
            assert parse_code(typed).secret == code.secret


def test_a_code_does_not_show_itself() -> None:
    assert repr(CODE) == "Code(secret=Secret(16 bytes))"


def test_no_letter_of_a_code_can_be_wrong_and_what_was_typed_is_not_repeated() -> None:
    spelt = KNOWN["code"].replace("-", "")
    for at in range(len(spelt)):
        wrong = spelt[:at] + ("A" if spelt[at] != "A" else "C") + spelt[at + 1 :]
        with pytest.raises(CodeMalformed) as refused:
            parse_code(wrong)
        assert wrong not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize(
    "typed", ["", "A" * 31, "A" * 33, "!" * 32, "9" * 32, "ß" * 32, "A" * 5000]
)
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(CodeMalformed):
        parse_code(typed)


@given(st.text(max_size=60))
def test_any_text_is_a_code_or_refused_by_name(typed: str) -> None:
    with contextlib.suppress(CodeMalformed):
        assert parse_code(typed).spell()


def test_ids_and_keys_of_codes_have_nothing_in_common() -> None:
    codes = [make_code() for _ in range(20)]
    values = [each.id for each in codes] + [each.key.reveal()[:16] for each in codes]
    assert len(set(values)) == 40


def test_no_byte_of_a_request_can_be_changed_left_out_or_added() -> None:
    request = known("request")
    for at in [*range(60), *range(60, len(request), 37), len(request) - 1]:
        spoilt = bytearray(request)
        spoilt[at] ^= 1
        if 4 <= at < 20:  # the invitation's id: another invitation, whose key opens it not
            with pytest.raises(EnrolmentFailed):
                read_request(bytes(spoilt)).open(OTHER.key)
        with pytest.raises(EnrolmentFailed):
            read_request(bytes(spoilt)).open(CODE.key)
    for wrong in (request[:-1], request + b"\0", request[:4], b""):
        with pytest.raises(EnrolmentFailed):
            read_request(wrong)


@pytest.mark.parametrize("name", ["answer", "used"])
def test_no_byte_of_an_answer_or_a_refusal_can_be_changed_left_out_or_added(name: str) -> None:
    message, request = known(name), known("request")
    for at in [*range(0, len(message), 11), 0, 1, 2, 3, len(message) - 1]:
        spoilt = bytearray(message)
        spoilt[at] ^= 1
        try:
            assert read_answer(bytes(spoilt), request, CODE) is None
            assert name == "used"
        except EnrolmentFailed:
            pass
    for wrong in (message[:-1], message + b"\0", message[:4], message[:3], b""):
        with pytest.raises(EnrolmentFailed):
            read_answer(wrong, request, CODE)


def test_an_answer_serves_one_request_of_one_code() -> None:
    request, again = known("request"), make_request(CODE, DEVICE)
    with pytest.raises(EnrolmentFailed, match="another's"):
        read_answer(known("answer"), again, CODE)
    with pytest.raises(EnrolmentFailed, match="another's"):
        read_answer(known("answer"), request, OTHER)
    assert read_answer(known("used"), again, CODE) is None
    assert read_answer(known("used"), request, OTHER) is None


def test_a_message_is_not_taken_for_one_of_another_kind() -> None:
    request = known("request")
    with pytest.raises(EnrolmentFailed):
        read_answer(request, request, CODE)
    with pytest.raises(EnrolmentFailed):
        read_request(known("answer"))
    turned = bytes([34]) + known("answer")[1:]
    with pytest.raises(EnrolmentFailed):
        read_answer(turned, request, CODE)


def test_noise_has_a_refusals_form_and_tells_nothing() -> None:
    assert len(make_noise()) == len(known("used"))
    assert make_noise()[:4] == known("used")[:4]
    assert read_answer(make_noise(), known("request"), CODE) is None


@pytest.mark.parametrize(
    "names",
    [
        b"",
        b"\x00\x00",
        b"\x01a",
        b"\x01a\x00",
        b"\x00\x01a",
        b"\x02a\x01b",
        b"\x01a\x02b",
        b"\x01\xff\x01b",
    ],
)
def test_an_authentic_answer_with_malformed_names_is_refused(names: bytes) -> None:
    from bellwire.iot import enrol_messages as module

    request = known("request")
    head = module._header(module.EnrolKind.ANSWER, 32 + 1216 + len(names) + 16) + bytes(32)
    sealed = module._sealed(head, CLOUD + names, CODE.key, b"answer", request)
    with pytest.raises(EnrolmentFailed):
        read_answer(sealed, request, CODE)


@pytest.mark.parametrize("reason", [0, 4, 255])
def test_an_authentic_refusal_for_an_unknown_reason_is_refused(reason: int) -> None:
    from bellwire.iot import enrol_messages as module

    request = known("request")
    head = module._header(module.EnrolKind.REFUSAL, 49) + bytes(32)
    sealed = module._sealed(head, bytes([reason]), CODE.key, b"refusal", request)
    with pytest.raises(EnrolmentFailed, match="reason from 1 to 3"):
        read_answer(sealed, request, CODE)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_message_or_refused_by_name(data: bytes) -> None:
    for take in (
        lambda: read_request(data).open(CODE.key),
        lambda: read_answer(data, known("request"), CODE),
    ):
        with contextlib.suppress(EnrolmentFailed):
            take()


def test_a_recording_shows_no_key_and_no_name() -> None:
    recorded = known("request") + known("answer")
    for secret in (DEVICE, CLOUD, KNOWN["cloud"].encode(), KNOWN["device"].encode()):
        assert secret[:40] not in recorded
