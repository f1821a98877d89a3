"""The page of threats names tests that exist."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "explanation" / "channel-threats.md").read_text()


def test_every_claim_of_the_page_names_a_test_that_there_is() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"([\w./]+\.py) `(test_\w+)`", row.rpartition("|")[0])
        assert named, row
        for file, test in named:
            text = (HERE / file).read_text()
            assert re.search(rf"^def {test}\(", text, re.MULTILINE), f"{file} has no {test}"
