import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.detections import Protocol, Side
from bellwire.base.limits import MAX_PULSES
from bellwire.link.choices import BasisChoices, PreparedPulses, SettingChoices
from bellwire.link.errors import ParameterError

SEED = bytes(range(32))
slot_sets = st.lists(st.integers(0, MAX_PULSES - 1), max_size=40).map(
    lambda slots: np.array(slots, np.int64)
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(slots=slot_sets)
def test_a_slot_has_the_same_choice_in_whatever_company_it_is_asked_for(
    slots: "np.ndarray[tuple[int], np.dtype[np.int64]]",
) -> None:
    for choices in (BasisChoices(SEED), SettingChoices(SEED, Side.ALICE)):
        alone = [int(choices.at(np.array([slot]))[0]) for slot in slots]
        assert choices.at(slots).tolist() == alone
    pulses = PreparedPulses(SEED, MAX_PULSES)
    asked = np.unique(slots)
    single = [pulses.at(np.array([slot])) for slot in asked]
    held = pulses.at(asked)
    assert held.settings.tolist() == [int(one.settings[0]) for one in single]
    assert held.outcomes.tolist() == [int(one.outcomes[0]) for one in single]


def test_dense_and_sparse_reading_agree_across_pieces_of_the_stream() -> None:
    dense = SettingChoices(SEED, Side.BOB).at(np.arange(2_200_000))
    sparse = np.arange(0, 2_200_000, 9973)
    assert (SettingChoices(SEED, Side.BOB).at(sparse) == dense[sparse]).all()


def test_choices_are_uniform_and_balanced() -> None:
    n = 300_000
    slots = np.arange(n)
    thirds = np.bincount(SettingChoices(SEED, Side.ALICE).at(slots))
    assert (np.abs(thirds - n / 3) < 4 * (n * 2 / 9) ** 0.5).all()
    held = PreparedPulses(SEED, n).at(slots)
    four = np.bincount(2 * held.settings + held.outcomes)
    assert (np.abs(four - n / 4) < 4 * (n * 3 / 16) ** 0.5).all()
    assert abs(int(BasisChoices(SEED).at(slots).sum()) - n / 2) < 2 * n**0.5


def test_the_two_sides_choose_apart_even_from_one_seed() -> None:
    slots = np.arange(90_000)
    same = SettingChoices(SEED, Side.ALICE).at(slots) == SettingChoices(SEED, Side.BOB).at(slots)
    assert abs(int(same.sum()) - 30_000) < 4 * 141.5


@pytest.mark.parametrize("rectilinear", [0.1, 0.9, 0.999])
def test_a_preferred_basis_comes_as_often_as_it_should(rectilinear: float) -> None:
    n = 200_000
    slots = np.arange(n)
    margin = 4 * (n * rectilinear * (1 - rectilinear)) ** 0.5
    held = PreparedPulses(SEED, n, rectilinear).at(slots)
    for bases in (
        held.settings,
        BasisChoices(SEED, rectilinear=rectilinear).at(slots),
        BasisChoices(SEED, Protocol.BBM92, Side.ALICE, rectilinear).at(slots),
    ):
        assert abs(int((bases == 0).sum()) - n * rectilinear) < margin
    # Her bits are those she sends without a preference, and do not betray the basis.
    assert (held.outcomes == PreparedPulses(SEED, n).at(slots).outcomes).all()
    rare = held.settings == (1 if rectilinear > 0.5 else 0)
    assert abs(int(held.outcomes[rare].sum()) - rare.sum() / 2) < 2 * rare.sum() ** 0.5
    sparse = np.array([3, 70_000, 199_999])
    again = PreparedPulses(SEED, n, rectilinear).at(sparse)
    assert (again.settings == held.settings[sparse]).all()


@pytest.mark.parametrize("rectilinear", [0.0, 1.0, -0.1, float("nan")])
def test_a_basis_that_is_never_or_always_chosen_is_refused(rectilinear: float) -> None:
    with pytest.raises(ParameterError, match=r"rectilinear in \(0, 1\)"):
        BasisChoices(SEED, rectilinear=rectilinear)
    with pytest.raises(ParameterError, match=r"rectilinear in \(0, 1\)"):
        PreparedPulses(SEED, 10, rectilinear)


def test_every_protocol_and_side_has_bases_of_its_own() -> None:
    slots = np.arange(90_000)
    three = [
        BasisChoices(SEED).at(slots),
        BasisChoices(SEED, Protocol.BBM92, Side.ALICE).at(slots),
        BasisChoices(SEED, Protocol.BBM92, Side.BOB).at(slots),
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(int((three[one] == three[other]).sum()) - 45_000) < 4 * 150


def test_prepared_pulses_detect_nothing_and_know_their_block() -> None:
    pulses = PreparedPulses(SEED, 10)
    assert pulses.received is None
    assert pulses.at(np.array([], np.int64)).slots.size == 0
    for outside in (-1, 10):
        with pytest.raises(KeyError):
            pulses.at(np.array([outside]))


def test_prepared_pulses_need_a_possible_block_and_a_whole_seed() -> None:
    with pytest.raises(ParameterError):
        PreparedPulses(SEED, 0)
    with pytest.raises(ValueError, match="32 bytes"):
        PreparedPulses(SEED[:31], 1)


def test_choices_do_not_show_themselves() -> None:
    shown = [PreparedPulses(SEED, 9), BasisChoices(SEED), SettingChoices(SEED, Side.ALICE)]
    assert [repr(one) for one in shown] == [
        "PreparedPulses(9 pulses)",
        "BasisChoices()",
        "SettingChoices()",
    ]
