"""What holds of a relay with a file holds of one with a schema on a PostgreSQL server.

Those tests that depend on what the database does; lines, rates and passwords are the same over any.
"""

from tests.chat.accounts import conftest, test_accounts, test_directory
from tests.chat.relay import test_server

OF_THE_STORE = {
    test_server: (
        "test_what_was_dropped_for_somebody_away_comes_in_order",
        "test_what_is_dropped_for_somebody_here_comes_at_once_in_all_sizes",
        "test_many_at_once_keep_the_order_of_each_sender",
        "test_what_was_not_said_to_be_safe_comes_again_and_the_rest_does_not",
        "test_a_payload_that_is_dropped_again_is_there_once",
        "test_what_comes_again_while_it_is_under_way_is_done_and_delivered_once",
        "test_over_listeners_that_come_and_go_nothing_is_lost_and_each_sender_keeps_its_order",
        "test_a_slow_reader_has_a_bounded_number_under_way",
        "test_mailboxes_and_rights_of_one_are_not_anothers",
        "test_a_mailbox_is_opened_again_and_closed_with_what_is_in_it",
        "test_an_account_listens_on_one_connection_the_newest",
        "test_a_mailbox_holds_so_much_and_takes_more_once_it_is_emptied",
        "test_what_has_outlived_its_time_is_forgotten",
    ),
    test_accounts: (
        "test_of_many_who_want_a_name_at_once_one_gets_it",
        "test_a_relay_is_the_same_after_a_restart_and_its_accounts_are_there",
        "test_beyond_ten_devices_the_one_that_was_silent_longest_goes",
        "test_a_deleted_account_leaves_nothing_but_a_name_that_nobody_gets",
    ),
    test_directory: (
        "test_each_one_time_prekey_is_handed_out_once_and_then_the_last_resort",
        "test_what_was_handed_out_stays_so_after_a_restart",
        "test_search_finds_those_who_want_to_be_found_ten_at_a_time",
    ),
}

light_passwords = conftest.light_passwords

for _module, _names in OF_THE_STORE.items():
    for _name in _names:
        globals()[_name] = getattr(_module, _name)
