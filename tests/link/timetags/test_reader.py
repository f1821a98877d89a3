"""Files of tags: what is written is read, however it is cut; what is damaged is named by place."""

import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.recordings import about, changed, written

from bellwire.base.detections import Protocol
from bellwire.link.errors import ParameterError, TagsUnreadable
from bellwire.link.timetags import reader
from bellwire.link.timetags.reader import HEADER, TAG, Place, Tags, read_tags
from bellwire.link.timetags.recording import Channel, Recording, TagFormat
from bellwire.link.timetags.writer import WRITABLE, TagWriter

TIMES = np.array([5, 9, 9, 40, 41, 1_000_000_000_007], np.int64)
CHANNELS = np.array([1, 4, 2, 3, 3, 1], np.int32)


def whole(chunks: list[Tags]) -> list[tuple[int, ...]]:
    return [tuple(row) for tags in chunks for row in zip(*(v.tolist() for v in tags), strict=True)]


def refused(recording: Recording) -> TagsUnreadable:
    with pytest.raises(TagsUnreadable) as caught:
        list(read_tags(recording))
    return caught.value


def records(times: list[int], channels: list[int], kinds: list[int] | None = None) -> bytes:
    found = np.zeros(len(times), TAG)
    found["time"], found["channel"], found["kind"] = times, channels, kinds or 0
    return found.tobytes()


@pytest.mark.parametrize("form", WRITABLE)
@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_what_is_written_is_read_however_it_is_cut(
    tmp_path: Path, form: TagFormat, chunk: int
) -> None:
    recording = written(tmp_path, about(form=form), TIMES, CHANNELS)
    tags = whole(list(read_tags(Recording.load(tmp_path), chunk=chunk)))
    assert [row[:2] for row in tags] == list(zip(TIMES.tolist(), CHANNELS.tolist(), strict=True))
    assert [row[3] for row in tags] == list(range(6))
    for _, _, byte, record in tags:
        rest = whole(list(read_tags(recording, Place(byte, record), chunk)))
        assert rest == tags[record:]


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(1, 4)), max_size=50),
    chunk=st.integers(1, 20),
)
def test_any_tags_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int]], chunk: int
) -> None:
    rows = sorted(rows)
    folder = tmp_path_factory.mktemp("tags")
    times = np.array([t for t, _ in rows], np.int64)
    channels = np.array([c for _, c in rows], np.int32)
    for form in WRITABLE:
        recording = written(folder / form, about(form=form), times, channels)
        assert [row[:2] for row in whole(list(read_tags(recording, chunk=chunk)))] == rows


def test_a_swabian_dump_is_read_as_it_is_and_overflows_are_no_detections(tmp_path: Path) -> None:
    recording = Recording(tmp_path, about(form=TagFormat.SWABIAN, ignore=(9, -1)))
    recording.path.write_bytes(records([1, 2, 3, 4, 5, 6], [1, 0, 0, 9, -1, 2], [0, 2, 4, 0, 0, 0]))
    assert [row[:2] for row in whole(list(read_tags(recording)))] == [(1, 1), (6, 2)]


@pytest.mark.parametrize(("form", "header"), [("qutools-binary", 40), ("qutools-raw", 0)])
def test_qutools_units_become_picoseconds(tmp_path: Path, form: str, header: int) -> None:
    described = about(form=TagFormat(form), unit_ps=80.955)
    found = np.zeros(3, np.dtype([("time", "<u8"), ("channel", "<u2")]))
    found["time"], found["channel"] = [0, 1_000, 10**12], [1, 2, 4]
    recording = Recording(tmp_path, described)
    recording.path.write_bytes(bytes(header) + found.tobytes())
    tags = whole(list(read_tags(recording)))
    assert [row[:2] for row in tags] == [(0, 1), (80_955, 2), (80_955 * 10**9, 4)]
    assert [row[2] for row in tags] == [header, header + 10, header + 20]


@pytest.mark.parametrize("form", WRITABLE)
def test_a_time_below_the_one_before_it_is_named_by_its_place(
    tmp_path: Path, form: TagFormat
) -> None:
    times = np.array([5, 9, 8, 40], np.int64)
    recording = written(tmp_path, about(form=form), times, CHANNELS[:4])
    place = {"bellwire": "byte 64", "swabian-dump": "byte 32", "csv": "line 4"}[form]
    error = refused(recording)
    assert error.place == place
    assert "got 8 after 9" in str(error)
    for chunk in (1, 2):  # also over the edge of a chunk
        with pytest.raises(TagsUnreadable, match="got 8 after 9"):
            list(read_tags(recording, chunk=chunk))


def test_a_record_that_is_cut_off_is_named_by_its_byte(tmp_path: Path) -> None:
    recording = written(tmp_path, about(), TIMES, CHANNELS)
    recording.path.write_bytes(recording.path.read_bytes()[:-5])
    assert refused(recording).place == f"byte {32 + 5 * 16}"
    assert "got 11 before the end" in str(refused(recording))


def test_text_that_ends_within_a_line_is_named_by_its_line(tmp_path: Path) -> None:
    recording = written(tmp_path, about(form=TagFormat.CSV), TIMES, CHANNELS)
    recording.path.write_bytes(recording.path.read_bytes()[:-1])
    assert refused(recording).place == "line 7"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nan,1", "expected TIME,CHANNEL"),
        (b"1e3,1", "expected TIME,CHANNEL"),
        (b"-4,1", "expected TIME,CHANNEL"),
        (b"", "expected TIME,CHANNEL"),
        (b"50;1", "expected TIME,CHANNEL"),
        (b"50.5,1", "expected TIME,CHANNEL"),
        (b"50,", "expected a channel number"),
        (b"50,1 ", "expected the end of the line"),
        (b"50,1,2", "expected the end of the line"),
        (b"1" + 18 * b"0" + b",1", "at most 18 digits"),
        (b"50,7", "expected a channel that tags.toml names, got 7"),
        (b"50,1234", "expected a channel that tags.toml names, got 1234"),
        (bytes(70), "expected TIME,CHANNEL"),
    ],
)
def test_a_line_that_is_no_tag_is_named(tmp_path: Path, line: bytes, words: str) -> None:
    recording = written(tmp_path, about(form=TagFormat.CSV), TIMES[:3], CHANNELS[:3])
    recording.path.write_bytes(recording.path.read_bytes() + line + b"\n60,1\n")
    assert refused(recording).place == "line 5"
    assert words in str(refused(recording))


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    recording = written(tmp_path, about(form=TagFormat.CSV), TIMES[:1], CHANNELS[:1])
    recording.path.write_bytes(b"5,1\n" + b"1" * 10_000_000)
    tracemalloc.start()
    with pytest.raises(TagsUnreadable, match=r"line 2: expected a line of at most 64 bytes"):
        list(read_tags(recording, chunk=1_000))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    recording = written(tmp_path, about(), TIMES, CHANNELS)
    good = recording.path.read_bytes()
    for content, place, words in (
        (b"PK\x03\x04" + good, "byte 0", "got another"),
        (b"", "byte 0", "got another"),
        (good[:20], "byte 20", "header of 32 bytes"),
        (good[:8] + b"\x02" + good[9:], "byte 8", "expected version 1"),
        (good[:10] + b"\x0c" + good[11:], "byte 8", "records of 16 bytes"),
    ):
        recording.path.write_bytes(content)
        assert refused(recording).place == place
        assert words in str(refused(recording))


def test_the_other_byte_order_is_refused_by_name(tmp_path: Path) -> None:
    recording = written(tmp_path, about(), TIMES, CHANNELS)
    content = recording.path.read_bytes()
    header = np.frombuffer(content[:32], HEADER)
    recording.path.write_bytes(header.astype(HEADER.newbyteorder(">")).tobytes() + content[32:])
    assert "expected little-endian records" in str(refused(recording))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (records([5, 6], [1, 1], [0, 1]), "the recorder lost its time base"),
        (records([5, 6], [1, 1], [0, 7]), "expected a kind from 0 to 4, got 7"),
        (records([5, -6], [1, 1]), "expected a time from 0, got -6"),
        (records([5, (1 << 60) + 1], [1, 1]), "expected times up to"),
        (records([5, 6], [1, 12]), "expected a channel that tags.toml names, got 12"),
        (records([5, 6], [1, -2_000_000]), "got -2000000"),
    ],
)
def test_records_that_no_detector_makes_are_refused(
    tmp_path: Path, content: bytes, words: str
) -> None:
    recording = Recording(tmp_path, about(form=TagFormat.SWABIAN))
    recording.path.write_bytes(content)
    assert refused(recording).place == "byte 16"
    assert words in str(refused(recording))


def test_a_dump_of_the_other_byte_order_is_not_taken_for_tags(tmp_path: Path) -> None:
    recording = Recording(tmp_path, about(form=TagFormat.SWABIAN))
    found = np.frombuffer(records([5, 6], [1, 1]), TAG)
    recording.path.write_bytes(found.astype(TAG.newbyteorder(">")).tobytes())
    assert refused(recording).place == "byte 0"


def test_huge_units_are_refused(tmp_path: Path) -> None:
    recording = Recording(tmp_path, about(form=TagFormat.QUTOOLS_RAW, unit_ps=80.0))
    recording.path.write_bytes((1 << 63).to_bytes(8, "little") + b"\x01\x00")
    assert "expected a time up to" in str(refused(recording))
    recording = Recording(tmp_path, about(form=TagFormat.QUTOOLS))
    assert "expected a header of 40 bytes" in str(refused(recording))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    recording = Recording(tmp_path, about())
    assert "No such file" in str(refused(recording))


def test_reading_holds_one_chunk_whatever_the_length(tmp_path: Path) -> None:
    recording = Recording(tmp_path, about())
    times = np.arange(400_000, dtype=np.int64) * 7
    with TagWriter(recording) as writer:
        for start in range(0, times.size, 100_000):
            piece = times[start : start + 100_000]
            writer.write(piece, np.ones(piece.size, np.int32))
    tracemalloc.start()
    assert sum(tags.times.size for tags in read_tags(recording, chunk=2_000)) == 400_000
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_only_formats_of_known_content_are_written(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="expected format one of bellwire, swabian-dump, csv"):
        TagWriter(Recording(tmp_path, about(form=TagFormat.QUTOOLS)))
    (tmp_path / "file").touch()
    with pytest.raises(TagsUnreadable, match="cannot be written"):
        written(tmp_path / "file" / "x", about(), TIMES, CHANNELS)


def test_a_recording_that_was_not_finished_is_none(tmp_path: Path) -> None:
    def interrupted() -> None:
        with TagWriter(Recording(tmp_path, about())) as writer:
            writer.write(TIMES, CHANNELS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(TagsUnreadable, match="expected the description of a recording"):
        Recording.load(tmp_path)


def test_a_description_comes_back(tmp_path: Path) -> None:
    channels = tuple(Channel(n, n // 2, n % 2, 10 * n) for n in range(6))
    described = about("b", Protocol.E91, channels=channels, ignore=(11, -3), clock_zero_s=1.7e9)
    Recording(tmp_path, described).save()
    assert Recording.load(tmp_path).about == described


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("window_ps = 1000", "windowps = 1000", "unknown name: 'windowps'"),
        ("delay_ps = 0", "delay = 0", "unknown name: 'delay'"),
        ("window_ps = 1000", "window_ps = 1", "`int` >= 2"),
        ("window_ps = 1000", "window_ps = 1.5", "Expected `int`"),
        ("search_s = 2.0", "search_s = nan", "search_s"),
        ("unit_ps = 1.0", "unit_ps = 2.0", "unit_ps: expected 1"),
        ("unit_ps = 1.0", "unit_ps = nan", "unit_ps"),
        ("max_drift_ppm = 50.0", "max_drift_ppm = -1.0", "max_drift_ppm"),
        ('protocol = "bbm92"', 'protocol = "bb84"', "expected bbm92 or e91"),
        ('protocol = "bbm92"', 'protocol = "e91"', "3 settings"),
        ('site = "a"', 'site = "c"', "site"),
        ('file = "tags.bin"', 'file = "../tags.bin"', "a file beside tags.toml"),
        ('file = "tags.bin"', 'file = "tags.toml"', "a file beside tags.toml"),
        ("number = 2", "number = 1", "every number once"),
        ("ignore = []", "ignore = [1]", "every number once"),
        ("setting = 1", "setting = 0", "expected one for each of 2 settings"),
        ("version = 1", "version = 2", "version"),
        ("version = 1", "version =", "Invalid value"),
    ],
)
def test_a_description_that_cannot_be_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    Recording(tmp_path, about()).save()
    path = tmp_path / "tags.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(TagsUnreadable, match=r"tags\.toml") as caught:
        Recording.load(tmp_path)
    assert words in str(caught.value)


def test_a_description_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "tags.toml").write_text("#" * 70_000)
    with pytest.raises(TagsUnreadable, match="at most 65536 bytes"):
        Recording.load(tmp_path)
    (tmp_path / "tags.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TagsUnreadable, match="utf-8"):
        Recording.load(tmp_path)


def test_another_window_is_another_description(tmp_path: Path) -> None:
    recording = written(tmp_path, about(), TIMES, CHANNELS)
    assert changed(recording, window_ps=300).about.window_ps == 300
    assert Recording.load(tmp_path).about.window_ps == 300


@pytest.mark.parametrize("form", WRITABLE)
def test_a_file_that_is_still_written_is_followed_byte_by_byte(
    tmp_path: Path, form: TagFormat
) -> None:
    recording = written(tmp_path, about(form=form, live=True), TIMES, CHANNELS)
    content = recording.path.read_bytes()
    first = 40 if form is TagFormat.BELLWIRE else 24
    recording.path.write_bytes(content[:first])
    more = threading.Semaphore(0)

    def write_on() -> None:
        with recording.path.open("ab", buffering=0) as file:
            for at in range(first, len(content), 7):
                more.acquire(timeout=0.05)
                file.write(content[at : at + 7])

    writing = threading.Thread(target=write_on)
    writing.start()
    tags = []
    for chunk in read_tags(recording, chunk=2):
        tags += whole([chunk])
        more.release()
        if len(tags) == len(TIMES):
            break
    writing.join()
    assert [row[:2] for row in tags] == list(zip(TIMES.tolist(), CHANNELS.tolist(), strict=True))


@pytest.mark.parametrize("form", WRITABLE)
def test_what_is_cut_off_is_yet_to_come_only_where_the_file_is_still_written(
    tmp_path: Path, form: TagFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LIVE_PATIENCE_S", 0.1)
    recording = written(tmp_path, about(form=form, live=True), TIMES, CHANNELS)
    content = recording.path.read_bytes()
    recording.path.write_bytes(content[:-1])
    tags = whole(list(read_tags(recording)))
    assert [row[0] for row in tags] == TIMES[:-1].tolist()
    recording.path.write_bytes(content)
    rest = whole(list(read_tags(recording, Place(*tags[-1][2:]))))
    assert [row[0] for row in rest] == TIMES[-2:].tolist()
    recording.path.write_bytes(content[:-1])
    assert "before the end" in str(error := refused(changed(recording, live=False))) or (
        "got the file's end" in str(error)
    )
