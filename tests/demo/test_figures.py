import dataclasses
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.container import ErrorbarContainer
from tests.demo.example import story

from bellwire.base.detections import Protocol
from bellwire.demo import figures
from bellwire.demo.palette import COLOURS, inline_svg
from bellwire.demo.story import Event, EventKind
from bellwire.keys.status import Status

HEX = re.compile(r"#[0-9a-f]{6}\b")


def test_every_picture_is_drawn_in_the_order_of_the_report() -> None:
    assert list(figures.draw(story())) == [
        "timeline", "qber", "chsh", "correlations", "budget-e91", "budget-bb84",
    ]  # fmt: skip


def test_what_the_story_lacks_is_left_out() -> None:
    told = story()
    only = dataclasses.replace(told, stages=told.stages[2:3], timeline=())
    assert list(figures.draw(only)) == ["qber"]
    assert figures.draw(dataclasses.replace(only, stages=())) == {}


def test_drawing_leaves_matplotlib_settings_as_they_were() -> None:
    before = dict(rcParams)
    figures.draw(story())
    assert dict(rcParams) == before


@pytest.mark.parametrize("name", ["qber", "chsh"])
def test_each_block_stands_at_its_value_with_its_error_and_its_verdicts_shape(name: str) -> None:
    stages = [s for s in story().stages if getattr(s, name) is not None]
    axes = figures.draw(story())[name].axes[0]
    bars = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    assert len(bars) == len(stages)
    for row, (bar, stage) in enumerate(zip(bars, stages, strict=True)):
        line, _, (error,) = bar.lines
        assert line is not None
        assert np.asarray(line.get_xydata()).tolist() == [[getattr(stage, name), row]]
        assert line.get_marker() == ("o" if stage.accepted else "X")
        (left, _), (right, _) = error.get_segments()[0]
        assert right - left == pytest.approx(2 * getattr(stage, f"{name}_stderr"))


def test_the_lines_of_s_are_the_two_bounds_and_the_configured_limit() -> None:
    told = story()
    limits = dataclasses.replace(told.thresholds, chsh_floor=2.3)
    axes = figures.draw(dataclasses.replace(told, thresholds=limits))["chsh"].axes[0]
    lines = [np.asarray(line.get_xydata()) for line in axes.lines]
    upright = [line[0, 0] for line in lines if line[:, 1].tolist() == [0, 1]]
    assert upright == pytest.approx([2, 2.3, 8**0.5])


def test_correlations_without_an_undisturbed_stage_show_the_attack_alone() -> None:
    told = story()
    figure = figures.draw(dataclasses.replace(told, stages=told.stages[3:5]))["correlations"]
    assert len(figure.axes) == 1
    assert len(figures.draw(told)["correlations"].axes) == 2


def test_pairs_are_named_after_what_they_serve() -> None:
    labels = [t.get_text() for t in figures.draw(story())["correlations"].axes[1].get_xticklabels()]
    assert [label.split("\n")[2] for label in labels] == [
        "S", "–", "S", "key", "–", "–", "S", "key", "S",
    ]  # fmt: skip


def test_the_waterfall_ends_at_the_secret_bits() -> None:
    stage = story().first(Protocol.E91)
    assert stage is not None
    lower = figures.budget(stage).axes[1]
    last = lower.patches[-1]
    assert last.get_x() == 0  # type: ignore[attr-defined]  # bars are rectangles
    assert last.get_width() == stage.secret_bits  # type: ignore[attr-defined]  # as above


def test_each_status_is_written_and_hatched_apart() -> None:
    told = dataclasses.replace(
        story(),
        timeline=(
            Event(0.0, EventKind.BLOCK_ACCEPTED, "a", Status.GREEN),
            Event(4.0, EventKind.NOTE, "b", Status.YELLOW),
            Event(8.0, EventKind.EVE_ON, "Eve stays", Status.RED),
        ),
    )
    axes = figures.draw(told)["timeline"].axes[0]
    assert [text.get_text() for text in axes.texts] == ["GREEN", "YELLOW", "RED"]
    hatches = {p.get_hatch() for p in axes.patches if p.get_hatch() is not None}
    assert len(hatches) == 3


def test_saved_pictures_are_the_same_each_time_and_dollars_stay_dollars(tmp_path: Path) -> None:
    told = story()
    dollar = dataclasses.replace(told.stages[0], title="costs $1 and $x^2$")
    told = dataclasses.replace(told, stages=(dollar,), timeline=())
    drawn = {"qber": figures.draw(told)["qber"]}
    assert [label.get_text() for label in drawn["qber"].axes[0].get_yticklabels()] == [
        "costs $1 and $x^2$"
    ]
    first = figures.save(drawn, tmp_path)
    texts = [path.read_bytes() for path in first]
    assert [path.name for path in first] == ["qber.svg", "qber.png"]
    figures.save({"qber": figures.draw(told)["qber"]}, tmp_path)
    assert [path.read_bytes() for path in first] == texts


def test_an_inline_picture_follows_the_page_in_colour_and_keeps_its_ids_apart(
    tmp_path: Path,
) -> None:
    pictures = figures.draw(story())
    figures.save(pictures, tmp_path)
    seen: set[str] = set()
    for name in pictures:
        svg = inline_svg((tmp_path / f"{name}.svg").read_text(), name)
        root = ET.fromstring(svg)
        ids = {e.attrib["id"] for e in root.iter() if "id" in e.attrib}
        assert not ids & seen
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= ids
        seen |= ids
        styles = "".join(re.findall(r'style="([^"]*)"', svg))
        assert "var(--c-" in styles
        assert not set(HEX.findall(styles)) - {"#000000"}
    assert {"ink", "paper"} <= set(COLOURS)
