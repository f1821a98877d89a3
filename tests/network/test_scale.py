"""`tools/scale.py` in small: its tables are of what they say."""

from tools.scale import hops, key, link_state, plane, routes

from bellwire.crypto.signatures import PUBLIC_BYTES, SIGNATURE_BYTES


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_an_announcement_is_a_public_key_and_a_signature_mostly() -> None:
    nodes, length, *_ = cells(link_state(12))
    assert nodes == "12"
    signing = PUBLIC_BYTES + SIGNATURE_BYTES
    assert signing < int(length.replace(",", "")) < signing + 400


def test_two_disjoint_ways_have_more_links_than_the_shortest() -> None:
    _, _, links, _, links_of_two = cells(routes(60))
    assert 1 <= float(links) < float(links_of_two)


def test_ways_across_a_grid_are_as_long_as_its_sides() -> None:
    _, _, longest, near = cells(hops("a grid", plane(25)))
    assert 4 <= int(longest) <= 8
    assert near == "100.0%"


def test_links_that_gain_too_little_refuse() -> None:
    def blocked(fill_bits_per_s: float) -> float:
        return float(cells(key(12, fill_bits_per_s, 3_600.0))[3].rstrip("%"))

    assert blocked(1_000.0) == 0.0
    assert blocked(0.0) > 10.0
