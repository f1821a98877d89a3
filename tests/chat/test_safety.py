import segno
from tests.chat.conversation import ALICE, BOB, MALLORY

from bellwire.chat.safety import safety_code, safety_number

ONE, OTHER, THIRD = (each.public.fingerprint for each in (ALICE, BOB, MALLORY))


def test_both_see_twelve_groups_of_five_digits_and_the_same() -> None:
    number = safety_number(ONE, OTHER)
    assert number == safety_number(OTHER, ONE)
    assert [len(group) for group in number.split()] == [5] * 12
    assert number.replace(" ", "").isdigit()


def test_with_somebody_in_between_the_numbers_differ() -> None:
    assert (
        len({safety_number(ONE, OTHER), safety_number(ONE, THIRD), safety_number(OTHER, THIRD)})
        == 3
    )


def test_a_code_is_ones_own_view_of_the_two() -> None:
    assert safety_code(ONE, OTHER) == b"bwsn\x01" + ONE + OTHER
    assert safety_code(OTHER, ONE) == b"bwsn\x01" + OTHER + ONE


def test_the_code_fits_a_qr_code_that_a_terminal_shows() -> None:
    symbol = segno.make_qr(safety_code(ONE, OTHER), mode="byte", error="m")
    assert symbol.symbol_size(border=0)[0] <= 45
