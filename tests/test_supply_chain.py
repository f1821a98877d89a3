"""What is installed: licences, the bill of materials, release notes, versions that go together."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.docs.claims import rows, unfounded
from tools import licences, own_lock, release_notes, sbom, vulnerabilities
from tools.launch import ROOT

CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2027-01-02

### Added

- A thing.

## [1.1.0] - 2026-12-01
"""


def test_no_package_is_under_a_licence_that_we_do_not_take() -> None:
    assert licences.refused("dev") == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("GPL-3.0-only", "GPL"),
        ("GNU Affero General Public License v3", "GPL"),
        ("LGPL-2.1-or-later", "LGPL"),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", "MPL-2.0"),
        ("GPL-2.0-only OR MIT", "MIT"),
        ("THE SOFTWARE IS PROVIDED WITHOUT IMPLIED WARRANTY", licences.UNDECLARED),
    ],
)
def test_a_licence_is_read_for_what_it_asks(
    text: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(licences, "declared", lambda _name: text)
    assert licences.family("anything") == kind
    refuses = kind in {"GPL", licences.UNDECLARED}
    assert bool(licences.refused("build")) is refuses


def test_the_page_names_every_package_once() -> None:
    text = licences.PAGE.read_text().partition(licences.BEGIN)[2].partition(licences.END)[0]
    listed = [name for _, *cells in rows(text) for cell in cells for name in cell.split(", ")]
    pinned = {pin.name for pin in licences.pinned("extras")}
    assert sorted(filter(None, listed)) == sorted(pinned), "run tools/licences.py --write"


def test_the_bill_lists_the_lock_and_the_pages_and_is_the_same_each_time() -> None:
    bill = sbom.bill("runtime")
    assert json.dumps(bill) == json.dumps(sbom.bill("runtime"))
    refs = [component["bom-ref"] for component in bill["components"]]
    assert len(set(refs)) == len(refs)
    names = {component["purl"].partition("@")[0] for component in bill["components"]}
    assert {f"pkg:pypi/{pin.name}" for pin in licences.pinned("runtime")} <= names
    assert {"pkg:npm/react", "pkg:npm/uplot"} <= names
    assert "pkg:npm/vitest" not in names


def test_release_notes_name_version_commit_and_each_file_by_its_hash(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("b.whl", "a.json")]
    for path in files:
        path.write_bytes(path.name.encode())
    told = release_notes.notes("1.2.0", files, changelog=CHANGELOG, commit="c0ffee")
    assert told.split("\n") == [
        "bellwire release notes 1",
        "version 1.2.0",
        "date 2027-01-02",
        "commit c0ffee",
        f"sha256 {hashlib.sha256(b'a.json').hexdigest()} a.json",
        f"sha256 {hashlib.sha256(b'b.whl').hexdigest()} b.whl",
        "",
        "### Added",
        "",
        "- A thing.",
        "",
    ]


@pytest.mark.parametrize("version", ["1.1.0", "1.2", "Unreleased", "9.9.9"])
def test_a_version_of_which_nothing_is_said_has_no_notes(version: str, tmp_path: Path) -> None:
    file = tmp_path / "a.whl"
    file.touch()
    with pytest.raises(release_notes.NoNotes, match=r"CHANGELOG"):
        release_notes.notes(version, [file], changelog=CHANGELOG, commit="c0ffee")


def test_files_that_a_line_could_not_tell_apart_are_refused(tmp_path: Path) -> None:
    for names in ([], ["a b"], ["x/a", "y/a"]):
        with pytest.raises(release_notes.NoNotes, match=r"expected files"):
            release_notes.notes(
                "1.2.0", [tmp_path / name for name in names], changelog=CHANGELOG, commit="c"
            )


def test_what_is_said_of_versions_is_tested() -> None:
    page = (ROOT / "docs" / "reference" / "compatibility.md").read_text()
    assert unfounded(page) == []
    for row in rows(page.partition("## Wire formats")[2]):
        assert ".py `test_" in row[-1], row


def test_what_is_known_of_packages_is_told_and_what_is_not_known_is_not_taken_for_good() -> None:
    fault = {"id": "CVE-0-0", "fix_versions": ["2.0", "1.9.1"], "aliases": [], "description": "s"}
    packages = [
        {"name": "good", "version": "1.0", "vulns": []},
        {"name": "bad", "version": "1.9", "vulns": [fault, {**fault, "fix_versions": []}]},
        {"name": "strange", "skip_reason": "Dependency not found"},
    ]
    found = vulnerabilities.read({"dependencies": packages, "fixes": []})
    assert found.looked_up == 2
    assert found.known == (
        "bad 1.9: CVE-0-0, versions without it: 2.0, 1.9.1",
        "bad 1.9: CVE-0-0, versions without it: none",
    )
    assert found.unknown == ("Dependency not found",)


def test_a_service_that_knows_nothing_or_is_not_there_does_not_clear_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = {
        "dev": vulnerabilities.Found(1, (), ()),
        "build": vulnerabilities.Found(0, (), ("?",)),
    }

    def look_up(place: Path, group: str, service: str) -> vulnerabilities.Found:
        assert (place, service) == (tmp_path, "pypi")
        if group in answers:
            return answers[group]
        raise RuntimeError("no service")

    monkeypatch.setattr(own_lock, "provide", lambda _: tmp_path)
    monkeypatch.setattr(vulnerabilities, "look_up", look_up)
    monkeypatch.setattr("sys.argv", ["vulnerabilities"])
    for groups, code in ((("dev",), 0), (("dev", "build"), 3), (("fuzz", "dev"), 3)):
        monkeypatch.setattr(vulnerabilities, "GROUPS", groups)
        assert vulnerabilities.main() == code
    answers["dev"] = vulnerabilities.Found(1, ("bad 1.9: CVE-0-0",), ())
    for groups in (("dev",), ("dev", "build"), ("build", "dev"), ("dev", "fuzz")):
        monkeypatch.setattr(vulnerabilities, "GROUPS", groups)
        assert vulnerabilities.main() == 1
