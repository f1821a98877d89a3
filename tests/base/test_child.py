"""What is left of a child process: how it ended, and its last words."""

from pathlib import Path

from bellwire.base.child import how_it_ended, last_words


def test_last_words_are_the_last_error_or_the_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\nerror: b\nc\n\xff\n")
    assert last_words(log) == "b"
    log.write_text("a\nb\n\n")
    assert last_words(log) == "b"
    log.write_text("")
    assert last_words(log) == "it said nothing"


def test_last_words_are_looked_for_near_the_end_of_a_log_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"error: long ago\n" + b"x\n" * 100_000 + b"now\n")
    assert last_words(log) == "now"


def test_an_exit_code_is_told_in_words() -> None:
    assert how_it_ended(3) == "exit code 3"
    assert how_it_ended(-9) == "killed by SIGKILL"
