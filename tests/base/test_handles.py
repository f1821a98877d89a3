import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.handles import (
    HandleMalformed,
    canonical,
    canonical_prefix,
    is_canonical,
    is_canonical_prefix,
    skeleton,
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("alice", "alice"), ("@Alice", "alice"), ("A-b_9", "a-b_9"), ("x" * 32, "x" * 32)],
)
def test_capitals_and_an_at_sign_are_forgiven(typed: str, meant: str) -> None:
    assert canonical(typed) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "ab",
        "x" * 33,
        "9lives",
        "-alice",
        "al ice",
        "alice\n",
        "alice\0",
        "@@alice",
        "аlice",  # CYRILLIC SMALL LETTER A
        "\N{KELVIN SIGN}ate",
        "ＡＬＩＣＥ",
        "al\N{ZERO WIDTH SPACE}ice",
        "alıce",  # LATIN SMALL LETTER DOTLESS I
        "\N{RIGHT-TO-LEFT OVERRIDE}alice",
        "\x1b[2Jalice",
    ],
)
def test_what_could_pass_for_another_is_no_handle(typed: str) -> None:
    with pytest.raises(HandleMalformed, match="a-z, 0-9") as caught:
        canonical(typed)
    assert str(caught.value).isprintable()


def test_a_prefix_has_two_characters_at_least() -> None:
    assert canonical_prefix("@Al") == "al"
    for typed in ("a", "", "1a", "é1"):
        with pytest.raises(HandleMalformed, match="2 to 32"):
            canonical_prefix(typed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "a1ice"),
        ("bob", "b0b"),
        ("paul", "pau1"),
        ("lll", "il1"),
        ("modern", "modem"),
        ("wanda", "vvanda"),
        ("ann-lee", "ann_lee"),
    ],
)
def test_handles_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("user1", "user11"), ("alice", "alicia"), ("a-b", "ab")]
)
def test_handles_that_look_different_keep_their_own(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@given(st.text(max_size=40))
def test_what_is_canonical_is_written_in_one_way(text: str) -> None:
    try:
        handle = canonical(text)
    except HandleMalformed:
        assert not is_canonical(text)
        return
    assert is_canonical(handle)
    assert is_canonical_prefix(handle)
    assert canonical(handle) == handle
    assert skeleton(skeleton(handle)) == skeleton(handle)
