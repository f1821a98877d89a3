"""The benchmark of key delivery gives its named figures, and notices unequal keys."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from bellwire.bench import keys
from bellwire.bench.keys import pairs, stock
from bellwire.bench.keys.load import Load, split

NAMES = {
    *("disk_sync_ms", "pairs_per_s", "vs_plain_python", "closed_p50_ms", "closed_p99_ms"),
    *("pairs_p50_ms", "pairs_p99_ms", "cpu_us_a", "cpu_us_b", "cpu_us_client", "pair_bytes"),
    *("keys_per_s_batched", "batch_cpu_us_a", "batch_cpu_us_b"),
    *("one_shot_ms", "one_shot_resumed_ms", "pairs_per_s_postgres", "postgres_p99_ms"),
    *("postgres_cpu_us_a", "postgres_cpu_us_b"),
    *("pairs_per_s_32", "pairs_per_s_64", "pairs_per_s_128"),
}


def test_a_quick_run_gives_every_named_figure() -> None:
    figures = {figure.name: figure for figure in keys.run(quick=True)}
    assert figures.keys() == NAMES
    assert all(math.isfinite(each.value) and each.value >= 0 for each in figures.values())
    for name in ("pairs_per_s", "pairs_p99_ms", "keys_per_s_batched", "one_shot_ms"):
        assert figures[name].ratio is not None
        assert "FastAPI" in (figures[name].against or "")
        assert "sync" in figures[name].unit
    each = [figures[f"pairs_per_s_{count}"].value for count in (32, 64, 128)]
    assert figures["pairs_per_s"].value == max(each)
    assert figures["vs_plain_python"].value == figures["pairs_per_s"].ratio
    # Ids and keys of both answers, and little around them.
    assert 2 * (36 + 44) < figures["pair_bytes"].value < 1000


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pairs.Pair]:
    """Two KMEs whose keys differ."""
    state = tmp_path_factory.mktemp("unequal")
    stock.prepare(state, 2000, (1, 2))
    pairs.certify(state)
    with pairs.bellwire(state) as ours:
        yield ours


def test_sites_whose_keys_differ_give_no_figure(unequal: pairs.Pair) -> None:
    with pytest.raises(ArithmeticError, match="gave different keys"):
        pairs.measure(Load(*unequal.sites, kind="closed", seconds=10.0, connections=1))


def test_who_only_hands_keys_out_loads_no_compiler(unequal: pairs.Pair) -> None:
    for site in unequal.sites:
        mapped = Path(f"/proc/{site.pid}/maps").read_text()
        assert "httptools" in mapped
        assert "llvmlite" not in mapped


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
    ],
)
def test_a_refusal_is_not_counted_as_an_answer(answer: bytes) -> None:
    with pytest.raises(ArithmeticError, match="answered"):
        split(answer)


def test_an_answer_in_pieces_is_waited_for() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    assert [split(answer[:end]) for end in (10, 20, 38, 41)] == [None] * 4
    assert split(answer) == b"body"
