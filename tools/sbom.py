#!/usr/bin/env python3
"""The software bill of materials: CycloneDX 1.6 in JSON, from the locks.

    .venv/bin/python tools/sbom.py [--group runtime|extras] > bellwire.cdx.json

It lists what a wheel of this checkout asks for, version by version, and what has gone into the
console's pages. The same checkout in the same environment gives the same bytes: there is neither a
time nor a random number in it.
"""

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import licences, lock
from tools.launch import ROOT, lock_file

CONSOLE = ROOT / "console" / "package-lock.json"


def bill(group: str) -> dict[str, Any]:
    """The document for a lock.

    Args:
        group: `runtime`, what every install has, or `extras`, with all optional dependencies.
    """
    project = lock.read_project()["project"]
    name, version = project["name"], project["version"]
    ours = f"pkg:pypi/{name}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "pre-build"}],
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": name,
                "version": version,
                "purl": ours,
                "licenses": [{"license": {"id": project["license"]}}],
            },
            "properties": [
                {
                    "name": f"bellwire:sha256:requirements/{group}.txt",
                    "value": hashlib.sha256(lock_file(group).read_bytes()).hexdigest(),
                }
            ],
        },
        "components": [*(of_python(pin) for pin in licences.pinned(group)), *of_the_console()],
    }


def of_python(pin: licences.Pin) -> dict[str, Any]:
    """A component of a lock; its artefacts' hashes are in the lock."""
    purl = f"pkg:pypi/{pin.name}@{quote(pin.version)}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
    }
    kind = licences.family(pin.name)
    if kind not in {licences.ABSENT, licences.UNDECLARED}:
        found["licenses"] = [{"license": {"name": kind}}]
    if pin.marker:
        found["properties"] = [{"name": "bellwire:marker", "value": pin.marker}]
    return found


def of_the_console() -> list[dict[str, Any]]:
    """What the console's pages are made from, without what only checks or builds them natively."""
    packages = json.loads(CONSOLE.read_text())["packages"]
    components = []
    for path, told in sorted(packages.items()):
        if not path or told.get("dev") or told.get("optional"):
            continue
        name = path.rpartition("node_modules/")[2]
        purl = f"pkg:npm/{quote(name, safe='/')}@{quote(told['version'])}"
        algorithm, _, digest = told["integrity"].partition("-")
        components.append(
            {
                "type": "library",
                "bom-ref": f"{purl}#{path}",
                "name": name,
                "version": told["version"],
                "purl": purl,
                "hashes": [
                    {"alg": f"SHA-{algorithm[3:]}", "content": base64.b64decode(digest).hex()}
                ],
                "licenses": [{"license": {"name": told.get("license", licences.UNDECLARED)}}],
            }
        )
    return components


def main() -> None:
    """Print it."""
    reader = argparse.ArgumentParser(description="Print the software bill of materials.")
    reader.add_argument("--group", choices=("runtime", "extras"), default="runtime")
    print(json.dumps(bill(reader.parse_args().group), indent=1))


if __name__ == "__main__":
    main()
