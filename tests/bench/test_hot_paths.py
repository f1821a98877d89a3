"""The counting of where time goes: stacks as py-spy writes them, by library and by module."""

from tools import hot_paths

STACKS = """\
main (bellwire/keys/service.py:1);commit (bellwire/keys/pool.py:9);sqlite3_step (libsqlite3.so.0) 6
main (bellwire/keys/service.py:1);_run (asyncio/e.py:8);write (ssl.py:9);SSL_write (libssl.so.3) 3
main (bellwire/keys/service.py:1);[kernel] (linux.c:7);0x7f00 (libc.so.6) 2
main (bellwire/keys/service.py:5) 4
0x7f00 (libc.so.6);start (threading.py:1) 1
main (bellwire/bench/keys/load.py:3);SSL_read (libssl.so.3) 50
main (bellwire/bench/keys/side.py:3);answer (bellwire/web/kme.py:4) 4
main (bellwire/keys/service.py:1);x (<frozen importlib._bootstrap>:2) 70
"""


def test_samples_are_of_the_innermost_library_and_module_and_the_benchmarks_own_are_apart() -> None:
    shares = hot_paths.count(STACKS.splitlines())
    assert (shares.samples, shares.bench, shares.loading) == (20, 50, 70)
    assert shares.modules == {"keys.pool": 6, "keys.service": 9, "web.kme": 4, hot_paths.OTHER: 1}
    assert shares.libraries == {
        "SQLite": 6, "OpenSSL": 3, "event loop": 2, "our Python": 8, hot_paths.OTHER: 1,
    }  # fmt: skip
    assert hot_paths.table("at work", shares.libraries, shares.samples, 2) == (
        "| at work | share |\n|---|---|\n| our Python | 40% |\n| SQLite | 30% |"
    )
