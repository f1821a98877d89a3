"""Schemathesis, run over a description of an API against the API itself, over the wire."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_S


def answers_as_described(
    description: dict[str, Any],
    url: str,
    folder: Path,
    *more: str | Path,
    least: int,
    naming: Sequence[str] = (),
) -> None:
    """Every check over generated requests: those that are described, and those that are not.

    Args:
        description: OpenAPI.
        url: Of the API.
        folder: For the description.
        more: Parameters of the command: who asks, the seed, how many examples.
        least: Requests that must have been made.
        naming: Operations whose requests name something: though they are described, what they name
            need not be there.
    """
    settings = "checks.enabled = true\n"
    if naming:
        settings += f"[[operations]]\ninclude-operation-id = {list(naming)}\n"
        settings += "checks.positive_data_acceptance.enabled = false\n"
    (folder / "schemathesis.toml").write_text(settings)
    file = folder / "openapi.json"
    file.write_text(json.dumps(description))
    command: Sequence[str | Path] = (
        *(Path(sys.executable).parent / "schemathesis", "run", file, "--no-color", "--url", url),
        *("--generation-database", "none", "--suppress-health-check", "all"),
        *("--phases", "examples,coverage,fuzzing", *more),
    )
    trust = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}
    clean = {name: value for name, value in os.environ.items() if name not in trust}
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=clean,
        timeout=PATIENCE_S,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr
    cases = re.search(r"(\d+) generated, (\d+) passed", run.stdout)
    assert cases is not None, run.stdout
    assert cases[1] == cases[2]
    assert int(cases[1]) > least
