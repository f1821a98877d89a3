#!/usr/bin/env python3
"""Renew the locks in `requirements/`, or say whether they are out of step with pyproject.toml.

    .venv/bin/python tools/lock.py [--upgrade]

A lock pins every version with its hashes, for every platform, and names no index. Its first line
holds a digest of the requirements it was made from, so that a stale lock shows without a network.
Versions stay as they are unless `--upgrade` is given or the requirements force a change.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.launch import ROOT, fetch_uv, find_uv, lock_file

LOWEST_PYTHON = "3.11"
OWN = ("console", "fuzz", "audit", "profile")
"""Groups of pyproject.toml with a lock of their own; all but the first are for one tool each."""

GROUPS = ("dev", "extras", "runtime", "build", *OWN)
MARK = "# made from "


def requirements(group: str, project: dict[str, Any]) -> list[str]:
    """What pyproject.toml asks for in a group.

    That is `build`, or one of `OWN`, or `runtime`, or `extras` with it and all optional
    dependencies, or `dev` with all of these but `build` and those that the set-up does not install.
    """
    groups: dict[str, list[str]] = project["dependency-groups"]
    if group in OWN:
        return groups[group]
    wanted: list[str] = project["build-system"]["requires"]
    if group == "build":
        return sorted(wanted)
    wanted = list(project["project"]["dependencies"])
    if group in {"extras", "dev"}:
        for optional in project["project"]["optional-dependencies"].values():
            wanted += optional
    if group == "dev":
        wanted += groups["dev"] + groups["console"]
    return sorted(wanted)


def digest(wanted: list[str]) -> str:
    """Digest of the requirements of one group."""
    return hashlib.sha256(json.dumps(wanted).encode()).hexdigest()


def stale_locks(project: dict[str, Any], folder: Path) -> list[str]:
    """The groups whose lock was made from other requirements, or is missing."""
    stale = []
    for group in GROUPS:
        path = folder / f"{group}.txt"
        first = path.read_text().partition("\n")[0] if path.exists() else ""
        if first != MARK + digest(requirements(group, project)):
            stale.append(group)
    return stale


def read_project() -> dict[str, Any]:
    """pyproject.toml of the checkout."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def renew(group: str, project: dict[str, Any], *, upgrade: bool) -> None:
    """Resolve one group; all but `build` keep to the versions of `dev`, which has all."""
    wanted = requirements(group, project)
    path = lock_file(group)
    command = [find_uv() or fetch_uv(), "--quiet", "pip", "compile", "-", "--universal"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header"]
    command += ["--python-version", LOWEST_PYTHON, "--output-file", str(path)]
    if group in {"extras", "runtime", "console"}:
        command += ["--constraints", str(lock_file("dev"))]
    if upgrade:
        command += ["--upgrade"]
    subprocess.run(command, input="\n".join(wanted), text=True, check=True, cwd=ROOT)
    path.write_text(f"{MARK}{digest(wanted)}\n{path.read_text()}")


def main() -> None:
    """Renew all locks."""
    project = read_project()
    for group in GROUPS:
        renew(group, project, upgrade="--upgrade" in sys.argv[1:])


if __name__ == "__main__":
    main()
