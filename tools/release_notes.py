#!/usr/bin/env python3
"""The notes of a release, as a text that can be signed: what it is, what it brings, which files.

    .venv/bin/python tools/release_notes.py VERSION FILE... > bellwire-VERSION.txt

The form is that of docs/reference/supply-chain.md: lines of a name and a value, an empty line, the
section of CHANGELOG.md. Each file is named with its SHA-256, so that one signature covers them all.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.launch import ROOT

HEAD = "bellwire release notes 1"


class NoNotes(Exception):
    """There is nothing to say, or it would not be true; the message is for who releases."""


def section(changelog: str, version: str) -> tuple[str, str]:
    """Date and text of a version's section.

    Raises:
        NoNotes: there is none, or it is empty.
    """
    head = re.compile(rf"^## \[{re.escape(version)}\] - (\d{{4}}-\d\d-\d\d)$", re.MULTILINE)
    found = head.search(changelog)
    if found is None:
        raise NoNotes(f"CHANGELOG.md has no section `## [{version}] - YYYY-MM-DD`")
    text = re.split(r"^## ", changelog[found.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not text:
        raise NoNotes(f"the section of {version} in CHANGELOG.md is empty")
    return found[1], text


def notes(version: str, files: list[Path], *, changelog: str, commit: str) -> str:
    """The whole text.

    Raises:
        NoNotes: no section, no files, two of one name, or a name that would not fit a line.
    """
    date, text = section(changelog, version)
    names = [path.name for path in files]
    if not files or len(set(names)) < len(names) or any(re.search(r"\s", n) for n in names):
        raise NoNotes(f"expected files of different names without spaces, got {names}")
    lines = [HEAD, f"version {version}", f"date {date}", f"commit {commit}"]
    for path in sorted(files, key=lambda each: each.name):
        lines.append(f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}")
    return "\n".join([*lines, "", text, ""])


def current_commit() -> str:
    """The commit of this checkout.

    Raises:
        NoNotes: something in it differs from that commit.
    """
    git = ("git", "-C", str(ROOT))
    if subprocess.run([*git, "status", "--porcelain"], capture_output=True, check=True).stdout:
        raise NoNotes("the checkout differs from its commit")
    said = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True, text=True)
    return said.stdout.strip()


def main() -> int:
    """Print them."""
    if len(sys.argv) < 3:
        print("expected a version and the files of the release", file=sys.stderr)
        return 2
    changelog = (ROOT / "CHANGELOG.md").read_text()
    files = [Path(name) for name in sys.argv[2:]]
    try:
        print(notes(sys.argv[1], files, changelog=changelog, commit=current_commit()), end="")
    except (NoNotes, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
