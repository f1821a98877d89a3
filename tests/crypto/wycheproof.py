"""Read the Wycheproof files of `vectors/`."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[2] / "vectors"


def cases(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each (group, test) of a file; byte strings are hexadecimal."""
    with gzip.open(VECTORS / "wycheproof" / f"{name}_test.json.gz") as file:
        document = json.load(file)
    count = 0
    for group in document["testGroups"]:
        for test in group["tests"]:
            count += 1
            yield group, test
    assert count == document["numberOfTests"]
