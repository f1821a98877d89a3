"""Logging: structured, on one stream, and never with key material."""

import io
import json
import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.secret import Secret
from bellwire.node import logs

KEY = b"correct horse battery"


class Status(StrEnum):
    RED = "RED"


@dataclass
class Holder:
    key: bytes = KEY


def test_json_lines_carry_level_time_event_and_fields() -> None:
    stream = io.StringIO()
    logs.setup("info", "json", stream)
    structlog.get_logger().info("block accepted", block=7, status=Status.RED, at=Path("a"))
    line = json.loads(stream.getvalue())
    assert line["timestamp"].endswith("Z")
    del line["timestamp"]
    assert line == {
        "event": "block accepted",
        "block": 7,
        "status": "RED",
        "at": "a",
        "level": "info",
    }


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_kind_of_secret_reaches_the_log(form: str) -> None:
    stream = io.StringIO()
    logs.setup("debug", "json" if form == "json" else "console", stream)
    bits = np.unpackbits(np.frombuffer(KEY, dtype=np.uint8))
    structlog.get_logger().info(
        "made",
        secret=Secret(KEY),
        raw=KEY,
        array=bytearray(KEY),
        view=memoryview(KEY),
        bits=bits,
        nested={"deep": [{KEY: (KEY,)}]},
        holder=Holder(),
    )
    logging.getLogger("library").warning("got %s and %r from %s", KEY, Secret(KEY), Holder())
    logging.getLogger("library").warning("got %(key)s", {"key": KEY})
    logging.getLogger("library").warning(KEY)
    said = stream.getvalue()
    assert said.count("21 bytes") >= 6
    assert "horse" not in said
    assert "1 0 0 0 1 1" not in said
    assert KEY.hex() not in said


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_local_variables(form: str) -> None:
    stream = io.StringIO()
    logs.setup("info", "json" if form == "json" else "console", stream)

    def fail(key: bytes) -> None:
        raise ValueError("no " + str(len(key)))

    try:
        fail(KEY)
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("library").exception("failed")
    said = stream.getvalue()
    assert said.count("ValueError: no 21") == 2
    assert "horse" not in said


def test_events_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    logs.setup("warning", "console", stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    assert stream.getvalue() == ""


def test_numbers_in_a_record_keep_their_format() -> None:
    stream = io.StringIO()
    logs.setup("info", "console", stream)
    logging.getLogger("library").info("%d blocks, %.2f %%", 3, 2.345)
    assert "3 blocks, 2.35 %" in stream.getvalue() or "3 blocks, 2.34 %" in stream.getvalue()


def test_a_second_set_up_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    first = io.StringIO()
    logs.setup("info", "console", first)
    logs.setup("info", "console")
    structlog.get_logger().info("once")
    assert first.getvalue() == ""
    said = capsys.readouterr()
    assert (said.out, said.err.count("once")) == ("", 1)


def test_exceptions_are_shown_by_type_and_message() -> None:
    assert logs.shown(ValueError("no")) == "ValueError: no"


def test_nesting_is_cut_off_where_nobody_reads() -> None:
    value: object = KEY
    for _ in range(20):
        value = [value]
    assert "<list>" in str(logs.shown(value))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
)
def test_what_is_shown_always_has_a_json_form(value: object) -> None:
    json.dumps(logs.shown(value))


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11"])
def test_requests_to_a_vendors_box_are_no_events(name: str) -> None:
    stream = io.StringIO()
    logs.setup("debug", "json", stream)
    logging.getLogger(name).info("HTTP Request: POST https://kme/api/v1/keys")
    logging.getLogger(name).debug("send_request_body.started")
    assert stream.getvalue() == ""
