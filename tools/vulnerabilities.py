#!/usr/bin/env python
"""Say which locked packages have known vulnerabilities, where a service that knows is reachable.

    .venv/bin/python tools/vulnerabilities.py [--service pypi|osv]

pip-audit looks up every package of every lock in `requirements/`, in the version that is locked.
The exit code is 1 if a vulnerability is known, 3 if a package could not be looked up (it says how
many, and why), 0 if all were and none is known. It comes from a lock of its own, into `.tools`.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import launch, own_lock
from tools.lock import GROUPS

KNOWN, NOT_ALL = 1, 3
"""Exit codes."""


@dataclass(frozen=True)
class Found:
    """What is known of the packages of one lock.

    Attributes:
        looked_up: How many were.
        known: Package, version, id of the vulnerability, and versions without it.
        unknown: Why others were not looked up.
    """

    looked_up: int
    known: tuple[str, ...]
    unknown: tuple[str, ...]


def read(document: dict[str, Any]) -> Found:
    """Read pip-audit's JSON.

    A package that the service has never heard of is skipped there, and its exit code says nothing
    of it: so a service that knows no package at all would look like one that knows no fault.
    """
    packages = document["dependencies"]
    known, unknown = [], []
    for package in packages:
        if "skip_reason" in package:
            unknown.append(package["skip_reason"])
        for fault in package.get("vulns", ()):
            without = ", ".join(fault["fix_versions"]) or "none"
            name = f"{package['name']} {package['version']}"
            known.append(f"{name}: {fault['id']}, versions without it: {without}")
    return Found(len(packages) - len(unknown), tuple(known), tuple(unknown))


def look_up(place: Path, group: str, service: str) -> Found:
    """Ask for all packages of a lock.

    Raises:
        RuntimeError: pip-audit failed, for the service cannot be reached.
    """
    words = ["--requirement", str(launch.lock_file(group)), "--require-hashes", "--disable-pip"]
    words += ["--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"]
    ran = subprocess.run(
        [sys.executable, "-m", "pip_audit", *words],
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return read(json.loads(ran.stdout))
    except ValueError:
        last = ran.stderr.strip().rpartition("\n")[2]
        raise RuntimeError(f"pip-audit ended with {ran.returncode}: {last:.300}") from None


def main() -> int:
    """Look all locks up."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi")
    asked = parser.parse_args()
    place = own_lock.provide("audit")
    code = 0
    for group in GROUPS:
        try:
            found = look_up(place, group, asked.service)
        except RuntimeError as error:
            print(f"{group}: nothing looked up: {error}")
            code = code or NOT_ALL
            continue
        print(f"{group}: {found.looked_up} looked up, {len(found.known)} known vulnerabilities")
        for line in found.known:
            print(f"  {line}")
        if found.unknown:
            print(f"  {len(found.unknown)} not looked up, the first: {found.unknown[0]}")
        if found.known:
            code = KNOWN
        elif found.unknown:
            code = code or NOT_ALL
    return code


if __name__ == "__main__":
    sys.exit(main())
