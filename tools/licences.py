#!/usr/bin/env python3
"""The licences of all that the locks pin: which there are, and whether we take them.

    .venv/bin/python tools/licences.py          # who has which, and what is not taken
    .venv/bin/python tools/licences.py --write  # the table of docs/reference/supply-chain.md anew

A licence is what a package declares of itself: in its metadata, or where that is silent in the file
that it brings. What this machine does not install is not looked at, and the table says so.
"""

import re
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.launch import ROOT, lock_file

PAGE = ROOT / "docs" / "reference" / "supply-chain.md"
BEGIN, END = "<!-- written by tools/licences.py -->", "<!-- until here -->"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(?: ; (.*?))? *\\?$", re.MULTILINE)
ABSENT = "not installed here"
UNDECLARED = "none declared"

# From the narrower to the wider: of "Apache-2.0 OR MIT" one is enough, and either is here.
FAMILIES = (
    ("LGPL", r"\bLGPL|Lesser General Public"),
    ("GPL", r"\bA?GPL|General Public License"),
    ("MPL-2.0", r"\bMPL|Mozilla"),
    ("EPL-2.0", r"\bEPL"),
    ("Apache-2.0", r"Apache"),
    ("BSD", r"BSD|redistribution and use in source and binary forms"),
    ("MIT", r"\bMIT\b|permission is hereby granted, free of charge"),
    ("ISC", r"\bISC\b"),
    ("PSF-2.0", r"\bPSF|Python Software Foundation"),
)
TAKEN = {"Apache-2.0", "BSD", "MIT", "ISC", "PSF-2.0", "MPL-2.0", "LGPL"}
"""Ours is Apache-2.0. A library under MPL or LGPL stays a library of its own, which anybody may
replace; nothing of one is copied into the wheel."""

KNOWN = {
    "sequence": "BSD",  # the file LICENSE of its repository; its wheel says nothing
}


class Pin(NamedTuple):
    """A package of a lock."""

    name: str
    version: str
    marker: str


def pinned(group: str) -> list[Pin]:
    """The packages of a lock, by name."""
    return [Pin(*found) for found in PIN.findall(lock_file(group).read_text())]


def declared(name: str) -> str:
    """What a package says of its licence, in its own words; `ABSENT` if it is not installed."""
    try:
        told = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return ABSENT
    said = told.metadata.get_all
    if expressions := said("License-Expression"):
        return str(expressions[0])
    classifiers = said("Classifier") or []
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")]
    if named := [each for each in named if each != "OSI Approved"]:
        return " OR ".join(named)
    if (texts := said("License")) and texts[0] not in {"", "UNKNOWN"}:
        return str(texts[0])
    files = [each for each in told.files or () if re.match(r"(?i)licen[cs]e|copying", each.name)]
    return "\n".join(str(each.read_text()) for each in files) or UNDECLARED


def family(name: str) -> str:
    """Which of `FAMILIES` a package is under, `ABSENT` or `UNDECLARED`."""
    if name in KNOWN:
        return KNOWN[name]
    text = declared(name)
    if text in (ABSENT, UNDECLARED):
        return text
    found = [kind for kind, words in FAMILIES if re.search(words, text, re.IGNORECASE)]
    if (
        " OR " in text
        and " AND " not in text
        and (free := [each for each in found if each in TAKEN])
    ):
        return free[-1]
    return found[0] if found else UNDECLARED


def families(group: str) -> dict[str, list[str]]:
    """The packages of a lock by their licences."""
    sorted_out: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(pin.name for pin in pinned(group)):
        sorted_out[family(name)].append(name)
    return dict(sorted_out)


def refused(group: str) -> list[str]:
    """The packages of a lock whose licence we do not take, or do not know."""
    found = families(group)
    bad = {kind: names for kind, names in found.items() if kind not in {*TAKEN, ABSENT}}
    return [f"{name}: {kind}" for kind, names in sorted(bad.items()) for name in names]


def table() -> str:
    """Who is under which licence: what everybody installs, and what extras add."""
    core, all_of_them = families("runtime"), families("extras")
    lines = ["| licence | in every install | with extras, besides |", "|---|---|---|"]
    for kind in sorted(all_of_them, key=lambda each: (each == ABSENT, each)):
        ours = core.get(kind, [])
        further = [name for name in all_of_them[kind] if name not in ours]
        lines.append(f"| {kind} | {', '.join(ours)} | {', '.join(further)} |")
    return "\n".join(lines)


def main() -> int:
    """Show or write the table; 1 if a licence is not taken."""
    if "--write" in sys.argv[1:]:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}")
    else:
        print(table())
    bad = refused("dev")
    for each in bad:
        print(f"not taken: {each}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
