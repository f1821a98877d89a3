"""The tree, its tiles and proofs: as published, and as the RFC's formulas over all entries."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import merkle

from bellwire.ledger.errors import (
    ConsistencyMismatch,
    EntryTooLarge,
    InclusionMismatch,
    RangeUnusable,
    TileMalformed,
)
from bellwire.ledger.growing import Edge, edge_of, grow
from bellwire.ledger.proofs import verify_consistency, verify_inclusion
from bellwire.ledger.proving import Prover
from bellwire.ledger.tiles import (
    Bundle,
    Tile,
    TileHashes,
    bundles,
    join_bundle,
    parse_path,
    split_bundle,
    tile_of,
    tiles,
)
from bellwire.ledger.tree import (
    EMPTY_ROOT,
    MAX_SIZE,
    Node,
    Plan,
    consistency_plan,
    covering,
    fold,
    inclusion_plan,
    leaf_hash,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "tlog" / "merkle.json").read_text()
)
PUBLISHED = [bytes.fromhex(each) for each in VECTORS["leaves"]]
PUBLISHED_ROOTS = [bytes.fromhex(each) for each in VECTORS["roots"]]


class Log:
    """A log in memory: what its tiles are, each as often as it was written."""

    def __init__(self, entries: Sequence[bytes] = ()) -> None:
        self.edge = Edge()
        self.tiles: dict[tuple[int, int], TileHashes] = {}
        self.read_tiles: list[Tile] = []
        self.append(entries)

    def append(self, entries: Sequence[bytes]) -> None:
        before = self.edge.size
        self.edge, written = grow(self.edge, [leaf_hash(each) for each in entries])
        assert sorted(written) == sorted(tiles(self.edge.size, before))
        for tile, hashes in written.items():
            assert hashes.width == tile.width
            self.tiles[tile.level, tile.number] = hashes

    def read(self, tile: Tile) -> TileHashes:
        self.read_tiles.append(tile)
        return self.tiles[tile.level, tile.number]


def numbered(count: int) -> list[bytes]:
    return [i.to_bytes(3, "big") for i in range(count)]


def hashes_of(case: dict[str, Any]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(each) for each in case["proof"])


@pytest.fixture(scope="module")
def long_log() -> Log:
    """70,000 entries: full and partial tiles on three levels, as the example of tlog-tiles."""
    return Log(numbered(70_000))


def test_the_published_roots_come_out() -> None:
    log = Log()
    assert log.edge.root == EMPTY_ROOT == bytes.fromhex(VECTORS["empty_root"])
    for entry, root in zip(PUBLISHED, PUBLISHED_ROOTS, strict=True):
        log.append([entry])
        assert log.edge.root == Prover(log.read).root(log.edge.size) == root


@pytest.mark.parametrize("case", VECTORS["inclusion"])
def test_the_published_inclusion_proofs_come_out_and_verify(case: dict[str, Any]) -> None:
    log = Log(PUBLISHED)
    index, size = case["index"], case["size"]
    assert Prover(log.read).inclusion(index, size) == hashes_of(case)
    leaf = leaf_hash(PUBLISHED[index])
    verify_inclusion(leaf, index, size, hashes_of(case), PUBLISHED_ROOTS[size - 1])


@pytest.mark.parametrize("case", VECTORS["consistency"])
def test_the_published_consistency_proofs_come_out_and_verify(case: dict[str, Any]) -> None:
    log = Log(PUBLISHED)
    old, new = case["old"], case["new"]
    assert Prover(log.read).consistency(old, new) == hashes_of(case)
    verify_consistency(
        old, new, hashes_of(case), PUBLISHED_ROOTS[old - 1], PUBLISHED_ROOTS[new - 1]
    )


def test_proofs_of_all_small_trees_are_those_of_the_formulas_and_verify() -> None:
    entries = numbered(40)
    log = Log(entries)
    prover = Prover(log.read)
    roots = [merkle.mth(entries[:size]) for size in range(41)]
    for size in range(1, 41):
        assert prover.root(size) == roots[size]
        for index in range(size):
            proof = prover.inclusion(index, size)
            assert list(proof) == merkle.path(index, entries[:size])
            verify_inclusion(leaf_hash(entries[index]), index, size, proof, roots[size])
        for old in range(1, size + 1):
            proof = prover.consistency(old, size)
            assert list(proof) == merkle.proof(old, entries[:size])
            verify_consistency(old, size, proof, roots[old], roots[size])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 1400), st.data())
def test_proofs_over_several_tiles_are_those_of_the_formulas(
    size: int, data: st.DataObject
) -> None:
    entries = numbered(size)
    log = Log()
    at = 0
    while at < size:  # in batches of any size: tiles fill up in between
        count = data.draw(st.integers(1, size - at))
        log.append(entries[at : at + count])
        at += count
    prover = Prover(log.read)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert log.edge.root == prover.root(size) == merkle.mth(entries)
    assert list(prover.inclusion(index, size)) == merkle.path(index, entries)
    assert list(prover.consistency(old, size)) == merkle.proof(old, entries)
    assert edge_of(size, log.read) == log.edge


def test_the_tiles_of_the_specifications_example_are_as_it_counts_them(long_log: Log) -> None:
    by_level = {
        level: [tile for tile in tiles(70_000) if tile.level == level] for level in range(4)
    }
    assert [tile.width for tile in by_level[0]] == [256] * 273 + [112]
    assert [tile.width for tile in by_level[1]] == [256, 17]
    assert [tile.width for tile in by_level[2]] == [1]
    assert by_level[3] == []
    assert [*tiles(256)] == [Tile(0, 0), Tile(1, 0, 1)]
    assert [*tiles(0)] == []
    assert [*bundles(0)] == []
    for tile in (Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)):
        expected = merkle.tile(tile.level, tile.number, numbered(70_000))
        assert long_log.read(tile).hashes == b"".join(expected)


def _tiles_of(plan: Plan, size: int) -> frozenset[Tile]:
    return frozenset(tile_of(node, size) for nodes in plan for node in nodes)


def test_proofs_of_a_long_log_verify_and_read_one_tile_of_each_level(long_log: Log) -> None:
    size, root = 70_000, long_log.edge.root
    rng = random.Random(7)
    for index in [0, 255, 256, 65_535, 65_536, size - 1, *rng.sample(range(size), 50)]:
        long_log.read_tiles.clear()
        proof = Prover(long_log.read).inclusion(index, size)
        verify_inclusion(leaf_hash(numbered(size)[index]), index, size, proof, root)
        assert set(long_log.read_tiles) == _tiles_of(inclusion_plan(index, size), size)
        # Its own tile of each of three levels, and the partial ones of the right edge.
        assert len(long_log.read_tiles) <= 5
    for old in [1, 256, 65_536, *rng.sample(range(1, size), 20)]:
        long_log.read_tiles.clear()
        proof = Prover(long_log.read).consistency(old, size)
        verify_consistency(old, size, proof, Prover(long_log.read).root(old), root)
        assert {*long_log.read_tiles} >= _tiles_of(consistency_plan(old, size), size)


def test_a_tile_without_its_middle_gives_the_same_proofs(long_log: Log) -> None:
    served = Prover(lambda tile: TileHashes(long_log.read(tile).hashes[: 32 * tile.width]))
    own = Prover(long_log.read)
    for index in range(0, 70_000, 7_777):
        assert served.inclusion(index, 70_000) == own.inclusion(index, 70_000)
        assert served.consistency(index, 70_000) == own.consistency(index, 70_000)


def test_what_was_kept_of_a_small_tree_is_true_in_a_larger_one() -> None:
    entries = numbered(1_500)
    log = Log(entries[:700])
    prover = Prover(log.read)
    for index in range(0, 700, 50):
        prover.inclusion(index, 700)
    log.append(entries[700:])
    for index in range(0, 1_500, 100):
        assert list(prover.inclusion(index, 1_500)) == merkle.path(index, entries)


def test_a_failed_growth_leaves_the_edge_as_it_was() -> None:
    log = Log(numbered(300))
    edge = log.edge
    kept = (edge.size, edge.root, edge.rows)
    grow(edge, [leaf_hash(b"never committed")] * 300)
    assert (edge.size, edge.root, edge.rows) == kept


def spoilt_inclusions(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> Iterator[tuple[bytes, int, int, Sequence[bytes], bytes]]:
    """The changes that the published verifier's own tests make to a proof."""
    other = bytes(32)
    yield leaf, index - 1, size, proof, root
    yield leaf, index + 1, size, proof, root
    yield leaf, index ^ 2, size, proof, root
    yield leaf, index, size * 2, proof, root
    yield leaf, index, size // 2, proof, root
    yield other, index, size, proof, root
    yield b"short", index, size, proof, root
    yield leaf, index, size, proof, EMPTY_ROOT
    yield leaf, index, size, proof, b""
    for extra in (b"", root, other):
        yield leaf, index, size, [*proof, extra], root
        yield leaf, index, size, [extra, *proof], root
    for i, hash_ in enumerate(proof):
        yield leaf, index, size, [*proof[:i], _flipped(hash_), *proof[i + 1 :]], root
        yield leaf, index, size, [*proof[:i], *proof[i + 1 :]], root


def spoilt_consistencies(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> Iterator[tuple[int, int, Sequence[bytes], bytes, bytes]]:
    yield old - 1, new, proof, old_root, new_root
    yield old + 1, new, proof, old_root, new_root
    yield old ^ 2, new, proof, old_root, new_root
    yield old, new * 2, proof, old_root, new_root
    yield old, new // 2, proof, old_root, new_root
    yield new, old, proof, old_root, new_root
    yield old, new, proof, new_root, old_root
    yield old, new, proof, old_root, _flipped(new_root)
    yield old, new, proof, _flipped(old_root), new_root
    yield old, new, proof, b"short", new_root
    yield old, new, [], old_root, new_root
    for extra in (b"", old_root, new_root, proof[0]):
        yield old, new, [*proof, extra], old_root, new_root
        yield old, new, [extra, *proof], old_root, new_root
    for i, hash_ in enumerate(proof):
        yield old, new, [*proof[:i], _flipped(hash_), *proof[i + 1 :]], old_root, new_root
        yield old, new, [*proof[:i], *proof[i + 1 :]], old_root, new_root


def _flipped(hash_: bytes) -> bytes:
    return bytes([hash_[0] ^ 8]) + hash_[1:]


@pytest.mark.parametrize("case", VECTORS["inclusion"][1:])
def test_a_spoilt_inclusion_proof_is_refused(case: dict[str, Any]) -> None:
    index, size = case["index"], case["size"]
    good = leaf_hash(PUBLISHED[index]), index, size, hashes_of(case), PUBLISHED_ROOTS[size - 1]
    for spoilt in spoilt_inclusions(*good):
        with pytest.raises(InclusionMismatch):
            verify_inclusion(*spoilt)


@pytest.mark.parametrize("case", VECTORS["consistency"][1:])
def test_a_spoilt_consistency_proof_is_refused(case: dict[str, Any]) -> None:
    old, new = case["old"], case["new"]
    good = old, new, hashes_of(case), PUBLISHED_ROOTS[old - 1], PUBLISHED_ROOTS[new - 1]
    for spoilt in spoilt_consistencies(*good):
        with pytest.raises(ConsistencyMismatch):
            verify_consistency(*spoilt)


def test_the_trivial_consistencies_need_no_proof_and_take_none() -> None:
    root, other = PUBLISHED_ROOTS[3], PUBLISHED_ROOTS[4]
    verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    verify_consistency(0, 4, [], EMPTY_ROOT, root)
    verify_consistency(4, 4, [], root, root)
    for old, new, proof, old_root, new_root in (
        (0, 0, [], EMPTY_ROOT, root),
        (0, 0, [root], EMPTY_ROOT, EMPTY_ROOT),
        (0, 4, [], root, root),
        (0, 4, [root], EMPTY_ROOT, root),
        (4, 4, [], root, other),
        (4, 4, [root], root, root),
        (4, 5, [], root, other),
        (5, 4, [], other, root),
        (-1, 4, [], other, root),
    ):
        with pytest.raises(ConsistencyMismatch):
            verify_consistency(old, new, proof, old_root, new_root)


def test_another_history_has_no_proof_of_consistency() -> None:
    entries = numbered(600)
    honest, forked = Log(entries), Log([b"forged", *entries[1:]])
    for old in (1, 255, 256, 300, 512, 599):
        proof = Prover(forked.read).consistency(old, 600)
        with pytest.raises(ConsistencyMismatch):
            verify_consistency(old, 600, proof, Prover(honest.read).root(old), forked.edge.root)


def test_what_a_tree_has_not_cannot_be_asked_of_it() -> None:
    prover = Prover(Log(numbered(5)).read)
    for wrong in (
        lambda: prover.inclusion(5, 5),
        lambda: prover.inclusion(-1, 5),
        lambda: prover.inclusion(0, MAX_SIZE + 1),
        lambda: prover.consistency(6, 5),
        lambda: prover.consistency(-1, 5),
        lambda: edge_of(-1, prover._read),
        lambda: [*tiles(5, 6)],
        lambda: [*bundles(5, 6)],
        lambda: tile_of(Node(3, 0), 5),
    ):
        with pytest.raises(RangeUnusable):
            wrong()


def test_the_largest_tree_is_planned_in_63_hashes() -> None:
    assert len(inclusion_plan(0, MAX_SIZE)) == 63
    assert len(consistency_plan(MAX_SIZE - 1, MAX_SIZE)) <= 63
    assert all(len(group) <= 63 for group in inclusion_plan(5, MAX_SIZE))
    assert fold([b"\0" * 32] * len(covering(0, MAX_SIZE)))


def test_paths_are_those_of_the_specification_and_come_back() -> None:
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(1, 17, 3).path == "tile/1/017.p/3"
    assert Bundle(1_000, 255).path == "tile/entries/x001/000.p/255"
    assert Bundle(3).start == 768
    places: list[Tile | Bundle] = [Bundle(0, 1), Bundle(999_999)]
    places += [Tile(7, n, w) for n in (0, 999, 1_000, 10**12) for w in (1, 255, 256)]
    for place in places:
        assert parse_path(place.path) == place


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0001",
        "tile/00/000",
        "tile/8/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/001/002",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/-1",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/0/../000",
        "tile/entries/x999/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x001/" * 50 + "001",
    ],
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(TileMalformed):
        parse_path(path)


@given(st.text(alphabet="tile/entris0123456789x.p", max_size=40))
def test_whatever_path_is_parsed_is_the_one_way_to_write_it(path: str) -> None:
    try:
        place = parse_path("tile/" + path)
    except TileMalformed:
        return
    assert place.path == "tile/" + path


@given(st.lists(st.binary(max_size=300), max_size=40), st.data())
def test_entries_come_back_from_their_bundle(entries: list[bytes], data: st.DataObject) -> None:
    bundle = join_bundle(entries)
    width = data.draw(st.integers(0, len(entries)))
    assert split_bundle(bundle, width) == entries[:width]
    with pytest.raises(TileMalformed):
        split_bundle(bundle, len(entries) + 1)
    if bundle:
        with pytest.raises(TileMalformed):
            split_bundle(bundle[:-1], len(entries))
        with pytest.raises(TileMalformed):
            split_bundle(bundle + b"\0", 0)


def test_a_bundle_has_at_most_256_entries_of_at_most_65535_bytes() -> None:
    assert split_bundle(join_bundle([b"x" * 65_535] * 2), 2) == [b"x" * 65_535] * 2
    assert len(split_bundle(join_bundle([b""] * 256), 256)) == 256
    with pytest.raises(TileMalformed):
        split_bundle(join_bundle([b""] * 257), 256)
    with pytest.raises(EntryTooLarge):
        join_bundle([b"x" * 65_536])


def test_a_tile_of_no_whole_hashes_is_refused() -> None:
    for hashes, middle in (
        (b"", b""),
        (b"x" * 31, b""),
        (b"x" * 8_224, b""),
        (b"x" * 32, b"x" * 512),
        (b"x" * 8_192, b"x" * 511),
    ):
        with pytest.raises(TileMalformed):
            TileHashes(hashes, middle)
    with pytest.raises(TileMalformed):
        Prover(lambda _: TileHashes(b"x" * 32)).inclusion(0, 3)
