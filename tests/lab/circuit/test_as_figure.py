"""Figures of circuits: everything that is written on them can be read."""

from itertools import combinations, product

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bellwire import lab
from bellwire.lab.circuit.model import Gate, Measure


@pytest.mark.parametrize(
    ("protocol", "eve"),
    [
        *product(("e91", "bb84"), ("none", "intercept-resend", "breidbart", "ghz", "cloner")),
        ("bbm92", "substitution"),
    ],
)
def test_every_word_lies_within_the_figure_and_on_no_other(protocol: str, eve: str) -> None:
    for circuit in lab.circuits(protocol, eve=eve)[1:3]:
        figure = circuit.figure()
        renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
        words = figure.axes[0].texts
        boxes = [each.get_window_extent(renderer) for each in words]
        for word, box in zip(words, boxes, strict=True):
            inside = figure.bbox.padded(-1)
            assert inside.contains(*box.min), word.get_text()
            assert inside.contains(*box.max), word.get_text()
        for one, other in combinations(boxes, 2):
            assert not one.overlaps(other)


def test_a_figure_shows_every_gate_and_every_measurement() -> None:
    (circuit,) = lab.circuits("e91", eve="cloner", setting="0,1")
    shown = [each.get_text() for each in circuit.figure().axes[0].texts]
    turns = [each for each in circuit.operations if isinstance(each, Gate) and each.angle]
    assert sum(text.startswith("RY") for text in shown) == len(turns)
    measured = [each.bit for each in circuit.operations if isinstance(each, Measure)]
    assert set(measured) <= set(shown)
    assert {*circuit.qubits, "source", "Eve", "receivers"} <= set(shown)
