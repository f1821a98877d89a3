"""The counting of where time goes: stacks as py-spy writes them, by library and by module."""

from tools import hot_paths

STACKS = """\
main (bellwire/keys/service.py:1);run (bellwire/database/sqlite.py:3) 6
main (bellwire/keys/service.py:1);_run (asyncio/e.py:8);write (ssl.py:9) 3
main (bellwire/bench/keys/side.py:1);run (asyncio/runners.py:7) 2
main (bellwire/keys/service.py:5) 4
0x7f00 (libc.so.6);start (threading.py:1) 1
main (bellwire/bench/keys/load.py:3);read (ssl.py:1) 50
main (bellwire/bench/keys/side.py:3);answer (bellwire/web/kme.py:4) 4
main (bellwire/keys/service.py:1);x (<frozen importlib._bootstrap>:2) 70
process 7:"python -c from bellwire.bench import side (it)
side()" 8
"""


def test_samples_are_of_the_innermost_library_and_module_and_the_benchmarks_own_are_apart() -> None:
    shares = hot_paths.count(STACKS.splitlines())
    assert not shares.kernels
    assert (shares.samples, shares.bench, shares.loading) == (20, 50, 78)
    assert shares.modules == {
        "database.sqlite": 6, "keys.service": 7, "web.kme": 4, hot_paths.LOOP: 2,
        hot_paths.OTHER: 1,
    }  # fmt: skip
    assert shares.libraries == {
        "SQLite": 6, "TLS handshakes and records": 3, "event loop": 2, "our Python": 8,
        "threads": 1,
    }  # fmt: skip
    assert hot_paths.table("at work", shares.libraries, shares.samples, 2) == (
        "| at work | share |\n|---|---|\n| our Python | 40% |\n| SQLite | 30% |"
    )


CALLS = """\
from bellwire.link.kernels import clicks as kernel
from bellwire.link.kernels.tags import Times, near as close


def run(tags):
    kernel.strike(
        tags,
        len(tags),
    )
    return close(Times(tags))
"""


def test_a_line_that_calls_a_kernel_names_it_and_one_that_makes_its_types_does_not() -> None:
    strike = dict.fromkeys(range(6, 10), "link.kernels.clicks.strike")
    assert hot_paths.kernel_calls(CALLS) == {**strike, 10: "link.kernels.tags.near"}


def test_what_a_line_of_ours_has_a_kernel_do_is_the_kernels() -> None:
    source = (hot_paths.ROOT / "src/bellwire/link/click_stream.py").read_text()
    line, named = next(iter(hot_paths.kernel_calls(source).items()))
    stack = f"run (bellwire/link/weak.py:1);go (bellwire/link/click_stream.py:{line})"
    shares = hot_paths.count([f"{stack} 5", f"{stack};empty (numpy/x.py:1) 2"])
    assert shares.kernels == {named: 5}
    assert shares.libraries == {hot_paths.KERNELS: 5, "NumPy": 2}
    assert shares.modules == {"link.click_stream": 7}
