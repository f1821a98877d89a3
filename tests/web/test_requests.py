"""Key ids as they come in table 12, many at once: what is a UUID, and what is none."""

import json
import uuid
from collections.abc import Callable

import pytest

from bellwire.keys.kme import Limits
from bellwire.web.errors import RequestRefused
from bellwire.web.requests import read_key_ids

TEXTS = [str(uuid.UUID(int=(at << 64) + 0xABCDEF, version=4)) for at in range(20)]


def _read(texts: list[str]) -> bytes:
    body = json.dumps({"key_IDs": [{"key_ID": text} for text in texts]}).encode()
    return read_key_ids(b"POST", b"", body, Limits())


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("spelt", [str, str.upper])
def test_ids_are_read_in_their_order(count: int, spelt: Callable[[str], str]) -> None:
    ids = _read([spelt(text) for text in TEXTS[:count]])
    assert ids == b"".join(uuid.UUID(text).bytes for text in TEXTS[:count])


@pytest.mark.parametrize(
    "bad",
    [
        [TEXTS[0] + TEXTS[1][0], TEXTS[1][1:]],  # right when joined
        [TEXTS[0].replace("-", ""), TEXTS[1]],
        [TEXTS[0][:9] + "-" + TEXTS[0][10:], TEXTS[1]],
        [TEXTS[0][:-1] + " ", TEXTS[1]],
        [TEXTS[0][:-1] + "g", TEXTS[1]],
        [TEXTS[0][:-1] + "é", TEXTS[1]],
        [TEXTS[0].replace("-", "_"), TEXTS[1]],
    ],
)
def test_what_is_no_uuid_is_refused_among_others_as_by_itself(bad: list[str]) -> None:
    for texts in (bad, bad[:1]):
        with pytest.raises(RequestRefused, match="expected a UUID") as refused:
            _read(texts)
        assert refused.value.code == 400


def test_an_id_that_comes_twice_is_refused_however_it_is_spelt() -> None:
    with pytest.raises(RequestRefused, match="got one twice"):
        _read([*TEXTS, TEXTS[3].upper()])
