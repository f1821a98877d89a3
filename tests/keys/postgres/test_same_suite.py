"""What holds of a store in a file holds of one on a PostgreSQL server: the same tests.

Left out are tests of files, of their permissions, versions and bytes, and of SQLite's own words.
"""

from tests.keys import test_history, test_pool, test_store

OF_FILES = {
    "test_no_secret_byte_is_ever_in_the_files",
    "test_pads_that_were_burnt_are_erased_from_the_files",
    "test_everything_is_there_after_a_crash",
    "test_files_are_open_to_their_owner_alone",
    "test_a_store_has_one_user_at_a_time",
    "test_a_file_that_is_no_store_is_refused_and_left_as_it_is",
    "test_another_programs_database_or_version_is_refused",
    "test_a_store_of_every_earlier_version_is_taken_over_without_its_stock",
    "test_a_store_of_every_migrated_version_keeps_all_that_it_had",
    "test_a_folder_that_cannot_be_used_is_a_clear_usage_error",
    "test_the_wrong_key_or_side_opens_nothing_and_harms_nothing",
    "test_a_damaged_value_is_noticed",
    "test_a_segment_that_was_changed_cut_or_moved_gives_no_key",
    "test_a_group_that_failed_leaves_no_trace_in_what_is_cleaned_or_given_up",
    "test_what_left_is_zeroised_on_the_disk_once_it_is_cleaned",
    "test_nothing_is_left_of_a_store_that_was_voided",
    "test_every_table_is_either_voided_or_known_to_hold_no_bits",
    "test_a_segment_is_erased_with_its_last_bits_though_nothing_is_left_to_seal_anew",
}

alice, link = test_store.alice, test_pool.link

for _module in (test_store, test_pool, test_history):
    for _name, _test in vars(_module).items():
        if _name.startswith("test_") and _name not in OF_FILES:
            globals()[_name] = _test


def test_the_tests_that_are_left_out_are_there() -> None:
    there = {*vars(test_store), *vars(test_pool), *vars(test_history)}
    assert there >= OF_FILES
