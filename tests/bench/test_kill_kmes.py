"""The loop that kills KMEs: ours stand it, and KMEs that forget what left are found."""

from tools import kill_kmes

FORGETFUL = """
from bellwire.keys import segments
segments.write_marks = lambda cursor, held: None  # answered, and never marked on the disk
from bellwire.bench.keys.side import main
main()
"""


def test_killed_kmes_give_no_key_twice_and_no_two_keys_under_one_id() -> None:
    counts = kill_kmes.run(4.0, seed=1)
    assert counts["kills"]
    assert counts["pairs"]
    assert counts["asked again"] >= counts["pairs"]
    assert {name: counts[name] for name in kill_kmes.BAD} == dict.fromkeys(kill_kmes.BAD, 0)


def test_kmes_that_forget_their_marks_when_they_are_killed_are_found() -> None:
    counts: dict[str, int] = {}
    for seconds in (4.0, 16.0, 64.0, 256.0):  # on a slow disk few pairs are under way at a kill
        counts = kill_kmes.run(seconds, seed=1, program=FORGETFUL)
        if counts["double deliveries"] + counts["repeated ids"]:
            break
    assert counts["kills"]
    assert counts["double deliveries"] + counts["repeated ids"]
