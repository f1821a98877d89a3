"""Files of lines: whole lines, whoever writes, and as many files as were asked for."""

import multiprocessing
from pathlib import Path

import pytest

from bellwire.base.journal import Journal
from bellwire.base.private import PathExposed


def lines_of(folder: Path) -> list[bytes]:
    files = [path for path in folder.iterdir() if path.suffix != ".lock"]
    files.sort(key=lambda path: (len(path.name), path.name))
    return [line for path in files[::-1] for line in path.read_bytes().splitlines()]


def test_lines_are_kept_in_order_in_as_many_files_as_were_asked_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j" / "log", max_bytes=100, kept=3)
    said = [f"line {number:04}".encode() for number in range(100)]
    for line in said:
        journal.append(line + b"\n")
    assert sorted(path.name for path in (tmp_path / "j").iterdir()) == [
        "log", "log.1", "log.2", "log.lock",
    ]  # fmt: skip
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "j").iterdir())
    assert all(path.stat().st_size <= 100 for path in (tmp_path / "j").iterdir())
    kept = lines_of(tmp_path / "j")
    assert kept == said[-len(kept) :]
    assert 20 < len(kept) <= 30


def test_one_file_alone_begins_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j" / "log", max_bytes=20, kept=1)
    for word in (b"first line\n", b"second line\n"):
        journal.append(word, durable=True)
    assert (tmp_path / "j" / "log").read_bytes() == b"second line\n"


def test_a_line_that_a_crash_cut_short_ends_before_the_next(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j" / "log", max_bytes=1000, kept=2)
    with (tmp_path / "j" / "log").open("ab") as file:
        file.write(b"whole\nhal")
    journal.append(b"next\n")
    assert lines_of(tmp_path / "j") == [b"whole", b"hal", b"next"]


def write_many(path: Path, name: str) -> None:
    journal = Journal(path, max_bytes=4000, kept=100)
    for number in range(200):
        journal.append(f"{name} {number}\n".encode())


def test_processes_that_write_at_once_lose_and_mix_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j" / "log"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    found = lines_of(path.parent)
    assert sorted(found) == sorted(
        f"{name} {number}".encode() for name in "abc" for number in range(200)
    )
    for name in b"abc":
        own = [line for line in found if line[0] == name]
        assert own == sorted(own, key=lambda line: int(line.split()[1]))


@pytest.mark.parametrize("what", ["log", "log.lock", ""])
def test_files_that_others_may_read_are_refused(tmp_path: Path, what: str) -> None:
    Journal(tmp_path / "j" / "log", max_bytes=1000, kept=2).append(b"x\n")
    (tmp_path / "j" / what).chmod(0o755)
    with pytest.raises(PathExposed):
        Journal(tmp_path / "j" / "log", max_bytes=1000, kept=2)
