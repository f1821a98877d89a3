"""`bellwire doctor`: finds what is wrong, says how to mend it, and exits accordingly."""

import json
import os
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from tests.crypto.randomness.fifos import fifo, good

from bellwire.cli import doctor
from bellwire.cli.doctor import Finding, Level
from bellwire.cli.main import run
from bellwire.node.settings import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_a_usable_machine_exits_with_0_and_lists_every_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o700)
    assert run(["doctor", "--state", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["usable"] is True
    names = {finding["name"] for finding in report["findings"]}
    assert {"Python", "numba", "ML-KEM-768", "CPU", "state folder", "free disk"} <= names


def test_a_state_folder_open_to_others_is_a_problem_with_its_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    assert run(["doctor", "--state", str(folder)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "chmod 700" in said
    assert "cannot be used" in said


def test_a_state_folder_that_cannot_be_written_is_a_problem() -> None:
    finding = only(doctor.state_folder(Path("/proc/bellwire")))
    assert finding.level is Level.PROBLEM
    assert finding.mend is not None
    assert "--state" in finding.mend


def test_a_state_folder_that_is_not_there_yet_will_be_made(tmp_path: Path) -> None:
    finding = only(doctor.state_folder(tmp_path / "a" / "b"))
    assert finding.level is Level.OK
    assert "will be made" in finding.found


def test_a_port_in_use_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        finding = only(doctor.port("cloud", "127.0.0.1", number))
    assert finding.level is Level.NOTE
    assert str(os.getpid()) in finding.found
    assert only(doctor.port("cloud", "127.0.0.1", number)).level is Level.OK


def test_every_port_of_the_services_is_looked_at() -> None:
    settings = load()
    found = " ".join(each.found for each in doctor.ports(settings))
    for what in ("classical channel", "KME of site a", "KME of site b", "cloud"):
        assert what in found


@pytest.mark.parametrize(
    ("free", "level"),
    [(10 << 30, Level.OK), (500 << 20, Level.NOTE), (1 << 20, Level.PROBLEM)],
)
def test_little_disk_is_noted_and_no_disk_is_a_problem(
    free: int, level: Level, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(psutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert only(doctor.disk(tmp_path)).level is level


def test_a_missing_library_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LIBRARIES", ("no-such-library",))
    assert only(doctor.libraries()).level is Level.PROBLEM


def test_an_optional_library_that_is_missing_is_no_problem_and_its_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"some": ("numpy", "no-such-library")})
    finding = only(doctor.extras())
    assert finding.level is Level.OK
    assert finding.found.startswith("numpy ")
    assert finding.found.endswith(", no-such-library not installed")
    assert finding.mend is not None
    assert "bellwire[some]" in finding.mend
    monkeypatch.setattr(doctor, "EXTRAS", {"some": ("numpy",)})
    assert only(doctor.extras()).mend is None


def test_the_extras_that_are_looked_at_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        extra: tuple(each.partition(">")[0] for each in names)
        for extra, names in project["optional-dependencies"].items()
    }
    assert declared == doctor.EXTRAS


def test_missing_instructions_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CPU_FEATURES", ("warp",))
    finding = only(doctor.cpu())
    assert (finding.level, "without warp" in finding.found) == (Level.NOTE, True)


def test_a_library_without_ml_kem_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("sys").modules, "cryptography.hazmat.primitives.asymmetric.mlkem", None
    )
    assert only(doctor.post_quantum()).level is Level.PROBLEM


def test_kernels_that_cannot_be_kept_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/cache")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert only(doctor.kernel_cache()).level is Level.NOTE


def test_a_version_other_than_the_locked_one_is_noted(tmp_path: Path) -> None:
    assert "not a checkout" in only(doctor.locked_versions(tmp_path)).found
    lock = tmp_path / "requirements" / "runtime.txt"
    lock.parent.mkdir()
    lock.write_text("numpy==0.1 \\\n    --hash=sha256:00\n")
    finding = only(doctor.locked_versions(tmp_path))
    assert finding.level is Level.NOTE
    assert "numpy" in finding.found


def test_a_random_device_passes_the_start_up_test_or_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from_system = only(doctor.randomness(load()))
    assert from_system == Finding("randomness", Level.OK, "the operating system's generator")
    with fifo(tmp_path / "rng", good()) as rng:
        passed = only(doctor.randomness(load(None, {"random": {"source": f"device:{rng.path}"}})))
    assert passed.level is Level.OK
    assert "4,096 bytes passed the health tests; 1 bits of min-entropy a byte" in passed.found
    for path, why, mend in (
        ("/dev/zero", "repetition count", "replace the device"),
        ("/dev/urandom", "operating system", "set random.source to os"),
    ):
        found = only(doctor.randomness(load(None, {"random": {"source": f"device:{path}"}})))
        assert found.level is Level.PROBLEM
        assert why in found.found
        assert mend in (found.mend or "")
    assert capsys.readouterr() == ("", "")
