"""What holds of a log's store in a file holds of one on a PostgreSQL server: the same tests."""

from tests.ledger.store import test_backups, test_store

OF_FILES = {
    "test_another_programs_file_is_refused_and_left_alone",
    "test_a_folder_that_others_may_read_is_refused",
    "test_a_file_of_the_first_version_is_taken_over_whole",
}
"""Tests of files, and of their permissions and bytes."""

log = test_backups.log

for _module in (test_store, test_backups):
    for _name, _test in vars(_module).items():
        if _name.startswith("test_") and _name not in OF_FILES:
            globals()[_name] = _test


def test_the_tests_that_are_left_out_are_there() -> None:
    assert vars(test_store).keys() >= OF_FILES
