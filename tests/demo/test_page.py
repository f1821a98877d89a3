import dataclasses
import json
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.demo.example import story

from bellwire.base.errors import UsageError
from bellwire.demo.page import ABANDONED_S, render, write_report

VOID = {"meta", "link", "br"}
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Elements, text, references; fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(story(), tmp_path_factory.mktemp("site") / "new" / "report")


def test_the_report_is_one_page_its_data_and_its_pictures(report: Path) -> None:
    assert sorted(p.name for p in report.parent.iterdir()) == [
        "figures", "index.html", "report.json",
    ]  # fmt: skip
    assert json.loads((report.parent / "report.json").read_text()) == story().to_dict()
    assert len(list((report.parent / "figures").iterdir())) == 12


def test_the_page_asks_for_nothing_outside_and_runs_no_script(report: Path) -> None:
    text = report.read_text()
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in {"script", "iframe", "img", "object", "embed"}
        for key, value in attributes.items():
            if key in {"href", "src", "xlink:href"}:
                local = (report.parent / (value or "")).exists()
                assert (value or "").startswith(("#", "data:,")) or local
            assert not key.startswith("on")
    assert "@import" not in text
    assert "url(http" not in text


def test_the_page_says_what_was_found_and_what_is_simulated(report: Path) -> None:
    words = Page(report.read_text()).words
    told = story()
    for expected in (
        "Key made, Eve caught, data delivered.",
        "97,060",
        "2.719",
        "3 of 3",
        told.honesty,
        "simulated",
        told.device.sha256_in,
        "S = 1.361 ± 0.010, lower limit 1.302",
        "pre-placed key",
        "fair sampling",
    ):
        assert str(expected) in words


def test_each_picture_has_words_for_those_who_cannot_see_it(report: Path) -> None:
    page = Page(report.read_text())
    drawings = [a for tag, a in page.elements if tag == "svg"]
    assert len(drawings) == 6
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 60 for a in drawings)


def test_data_never_becomes_markup() -> None:
    told = story()
    evil = dataclasses.replace(
        told,
        stages=(
            *(dataclasses.replace(s, title=EVIL, reason=s.reason and EVIL) for s in told.stages),
        ),
        device=dataclasses.replace(
            told.device, origin=EVIL, refusal=EVIL, readings_preview=(EVIL,), protections=(EVIL,)
        ),
        timeline=(dataclasses.replace(told.timeline[0], title=EVIL),),
        processes=(dataclasses.replace(told.processes[0], name=EVIL),),
        versions={EVIL: EVIL},
        honesty=EVIL,
        assumptions={EVIL: (EVIL,)},
    )
    page = Page(render(evil, {"timeline": "<svg ></svg>", "qber": "<svg ></svg>"}))
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert page.words.count("<script>alert(1)</script>") > 15


def test_a_run_that_failed_says_so_first() -> None:
    told = story()
    seen = dataclasses.replace(told.stages[0], eve=told.stages[2].eve)
    failed = dataclasses.replace(
        told,
        stages=(seen, *told.stages[2:5]),
        device=dataclasses.replace(told.device, sha256_out=None, received=47),
    )
    words = Page(render(failed, {})).words
    assert "Eve was not caught: this run failed." in words
    assert "Not as it should be: Data: the cloud has 47 of 48 readings, hashes differ." in words
    assert "not equal" in words
    quiet = dataclasses.replace(told, stages=(), device=dataclasses.replace(
        told.device, refused_while_red=False, refusal=None, readings_preview=())
    )  # fmt: skip
    words = Page(render(quiet, {})).words
    assert "This run did not show everything it should." in words
    assert "No send was seen to be refused" in words


def test_another_report_replaces_the_first_and_leaves_other_files_alone(tmp_path: Path) -> None:
    small = dataclasses.replace(story(), stages=story().stages[:1], timeline=())
    (tmp_path / "notes.txt").write_text("mine")
    write_report(small, tmp_path)
    write_report(dataclasses.replace(small, wall_s=99.0), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["wall_s"] == 99.0
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interrupted_run_leaves_the_report_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    small = dataclasses.replace(story(), stages=story().stages[:1], timeline=())
    page = write_report(small, tmp_path)
    before = page.read_bytes()
    whole = Path.write_text

    def half(path: Path, data: str, *args: str, **more: str) -> int:
        if path.name != "index.html":
            return whole(path, data, *args, **more)
        whole(path, data[:100], *args, **more)
        raise failure

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises((KeyboardInterrupt, UsageError)):
        write_report(dataclasses.replace(small, wall_s=99.0), tmp_path)
    assert page.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figures", "index.html", "report.json"]


def test_a_directory_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    with pytest.raises(UsageError, match=r"expected a directory .* got .*file: File exists"):
        write_report(story(), taken)
    with pytest.raises(UsageError, match="Not a directory"):
        write_report(story(), taken / "report")


def test_what_a_killed_run_left_is_swept_and_a_running_one_is_not(tmp_path: Path) -> None:
    old, new = tmp_path / ".report-old", tmp_path / ".report-new"
    for path in (old, new):
        path.mkdir()
    os.utime(old, (0, old.stat().st_mtime - 2 * ABANDONED_S))
    write_report(dataclasses.replace(story(), stages=(), timeline=()), tmp_path)
    assert not old.exists()
    assert new.exists()
