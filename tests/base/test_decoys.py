"""Decoy states: which intensities and shares there may be, in memory and on the wire."""

import math

import msgspec
import pytest

from bellwire.base.decoys import Decoys


def test_decoys_survive_the_wire() -> None:
    decoys = Decoys((0.6, 0.15, 0.001), (0.5, 0.3, 0.2))
    body = msgspec.msgpack.encode(decoys)
    assert msgspec.msgpack.decode(body) == [[0.6, 0.15, 0.001], [0.5, 0.3, 0.2]]
    assert msgspec.msgpack.decode(body, type=Decoys) == decoys


@pytest.mark.parametrize(
    ("means", "shares"),
    [
        ((0.5, 0.5, 0.0), (0.3, 0.4, 0.3)),
        ((0.5, 0.2, 0.2), (0.3, 0.4, 0.3)),
        ((0.5, 0.2, -0.1), (0.3, 0.4, 0.3)),
        ((5.1, 0.2, 0.0), (0.3, 0.4, 0.3)),
        ((math.nan, 0.2, 0.0), (0.3, 0.4, 0.3)),
        ((0.5, math.nan, 0.0), (0.3, 0.4, 0.3)),
        ((math.inf, 0.2, 0.0), (0.3, 0.4, 0.3)),
        ((0.5, 0.2, 0.0), (0.3, 0.4, 0.2)),
        ((0.5, 0.2, 0.0), (0.6, 0.4, 0.0)),
        ((0.5, 0.2, 0.0), (math.nan, 0.4, 0.3)),
        ((0.5, 0.2, 0.0), (1.2, -0.4, 0.2)),
    ],
)
def test_impossible_decoys_are_refused(
    means: tuple[float, float, float], shares: tuple[float, float, float]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        Decoys(means, shares)
    body = msgspec.msgpack.encode([list(means), list(shares)])
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(body, type=Decoys)
