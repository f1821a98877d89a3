"""The launcher, the locks and the checks' own machinery, tried without a network."""

import ast
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S
from tools import check, launch, lock, system_packages

ROOT = Path(__file__).resolve().parent.parent

UV = """#!/bin/sh
# Stands in for uv: writes down what it is asked, makes what uv would make.
here=$(cd "$(dirname "$0")/../.." && pwd)
echo "$*" >> "$here/asked"
case "$2 $*" in
  venv*) rm -rf "$here/.venv"; mkdir -p "$here/.venv/bin"
    ln -s {python} "$here/.venv/bin/python" ;;
  *--require-hashes*) [ ! -e "$here/offline" ] || {{ echo "no route to index" >&2; exit 2; }} ;;
  *--editable*) printf '#!/bin/sh\\necho program "$@"\\nexit 3\\n' > "$here/.venv/bin/bellwire"
    chmod +x "$here/.venv/bin/bellwire" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the real launcher, and a uv that only makes files."""
    place = tmp_path / "a checkout"
    shutil.copytree(ROOT / "requirements", place / "requirements")
    (place / "tools").mkdir()
    for name in ("bellwire", "pyproject.toml", "tools/launch.py", "tools/console_build.py"):
        shutil.copy2(ROOT / name, place / name)
    (place / "tools" / "check.py").write_text("import sys; print('checking', sys.argv[1:])\n")
    uv = place / ".tools" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(UV.format(python=sys.executable))
    uv.chmod(0o755)
    return place


def started(
    launcher: Path, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(launcher), *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def asked(checkout: Path) -> list[str]:
    return (checkout / "asked").read_text().splitlines()


def pretend(version: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run the launcher as if by a Python of another version, with only `path` to search."""
    code = (
        f"import runpy, sys; sys.version_info = {version}; sys.argv = ['bellwire', '--version']\n"
        f"runpy.run_path({str(ROOT / 'bellwire')!r}, run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_the_launcher_can_be_read_by_old_pythons() -> None:
    ast.parse((ROOT / "bellwire").read_text(), feature_version=(3, 4))


def test_a_python_that_is_too_old_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = pretend("(3, 8, 1)", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: bellwire needs Python 3.11 or newer, this is Python 3.8;")
    assert done.stderr.count("\n") == 1


def test_a_newer_python_on_the_path_takes_over_if_it_really_starts(tmp_path: Path) -> None:
    broken = tmp_path / "python3.13"
    broken.write_text("#!/bin/sh\nexit 127\n")
    working = tmp_path / "python3.12"
    working.write_text('#!/bin/sh\n[ "$1" = -c ] || echo "taken over: $*"\n')
    for script in (broken, working):
        script.chmod(0o755)
    done = pretend("(3, 8, 1)", tmp_path)
    assert done.stdout == f"taken over: {ROOT / 'bellwire'} --version\n"


def test_the_program_gets_its_arguments_and_its_exit_code_comes_back(checkout: Path) -> None:
    done = started(checkout / "bellwire", "lab", "run", "a b")
    assert (done.returncode, done.stdout) == (3, "program lab run a b\n")
    first = f"bellwire: setting up with Python {platform.python_version()}, this happens once"
    assert done.stderr.splitlines()[0] == first


def test_a_second_run_sets_nothing_up_wherever_it_is_called_from(
    checkout: Path, tmp_path: Path
) -> None:
    started(checkout / "bellwire")
    before = asked(checkout)
    link = tmp_path / "elsewhere"
    link.symlink_to(checkout / "bellwire")
    done = started(link, "demo", cwd=Path("/"))
    assert (done.stdout, done.stderr) == ("program demo\n", "")
    assert asked(checkout) == before


def test_installation_is_from_hashes_and_never_downloads_a_python(checkout: Path) -> None:
    started(checkout / "bellwire")
    made, locked, project = asked(checkout)
    assert f"venv --clear --python {sys.executable}" in made
    assert "--require-hashes -r" in locked
    assert locked.endswith("requirements/runtime.txt")
    assert "--no-deps --build-constraints" in project


@pytest.mark.parametrize("changed", ["pyproject.toml", "requirements/runtime.txt"])
def test_a_change_of_what_it_is_made_from_sets_up_again(checkout: Path, changed: str) -> None:
    started(checkout / "bellwire")
    before = len(asked(checkout))
    with (checkout / changed).open("a") as file:
        file.write("# changed\n")
    done = started(checkout / "bellwire")
    assert done.stderr.splitlines()[0] == "bellwire: bringing the environment up to date"
    assert len(asked(checkout)) > before


def test_a_set_up_that_failed_says_so_and_the_next_one_starts_afresh(checkout: Path) -> None:
    (checkout / "offline").touch()
    done = started(checkout / "bellwire", "demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: set-up stopped at `uv" in done.stderr
    assert "no route to index" in done.stderr
    assert "needs to reach a package index once" in done.stderr
    (checkout / "offline").unlink()
    done = started(checkout / "bellwire", "demo")
    assert done.stdout == "program demo\n"
    assert sum("venv --clear" in line for line in asked(checkout)) == 2


def test_development_tools_that_cannot_be_fetched_leave_the_program_ready(checkout: Path) -> None:
    started(checkout / "bellwire")
    (checkout / "offline").touch()
    assert started(checkout / "bellwire", "check").returncode == 2
    done = started(checkout / "bellwire", "demo")
    assert (done.stdout, done.stderr) == ("program demo\n", "")


def test_a_set_up_that_was_killed_is_started_afresh(checkout: Path) -> None:
    started(checkout / "bellwire")
    (checkout / ".tools" / "unfinished").touch()
    assert started(checkout / "bellwire", "demo").stdout == "program demo\n"
    assert sum("venv --clear" in line for line in asked(checkout)) == 2


@pytest.mark.parametrize("lost", ["python", "bellwire"])
def test_a_program_that_went_away_is_replaced(checkout: Path, lost: str) -> None:
    started(checkout / "bellwire")
    (checkout / ".venv" / "bin" / lost).unlink()
    assert started(checkout / "bellwire", "demo").stdout == "program demo\n"


def test_a_checkout_that_cannot_be_written_is_a_clear_sentence(checkout: Path) -> None:
    shutil.rmtree(checkout / ".tools")
    (checkout / ".tools").write_text("a file where a folder belongs")
    done = started(checkout / "bellwire", "demo")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot set up in {checkout}: ")


def test_without_uv_and_pip_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\necho "python3: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(launch, "TOOLS", tmp_path / ".tools")
    with pytest.raises(launch.SetupError, match="neither uv nor pip is here"):
        launch.fetch_uv()


def test_check_installs_the_development_tools_and_hands_on_its_arguments(checkout: Path) -> None:
    done = started(checkout / "bellwire", "check", "-k", "bits")
    assert done.stdout == "checking ['-k', 'bits']\n"
    assert any(line.endswith("requirements/dev.txt") for line in asked(checkout))
    before = asked(checkout)
    assert started(checkout / "bellwire", "demo").stderr == "", "dev holds everything of runtime"
    assert started(checkout / "bellwire", "check").returncode == 0
    assert asked(checkout) == before


def test_two_launchers_at_once_set_up_once(checkout: Path) -> None:
    command = [sys.executable, str(checkout / "bellwire"), "demo"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in "ab"]
    said = [process.communicate(timeout=PATIENCE_S)[0] for process in both]
    assert said == [b"program demo\n"] * 2
    assert len(asked(checkout)) == 3


@pytest.mark.parametrize("group", lock.GROUPS)
def test_every_pin_has_a_hash_and_no_lock_names_a_place(group: str) -> None:
    text = (ROOT / "requirements" / f"{group}.txt").read_text()
    assert not re.search(r"://|index|@|\.(org|com|net|io)\b", text)
    joined = text.replace("\\\n", " ").splitlines()
    pins = [line for line in joined if line and not line.startswith("#")]
    assert pins
    for pin in pins:
        assert re.match(r"[a-z0-9.\-]+==\S+ ", pin), pin
        assert "--hash=sha256:" in pin, pin


def test_each_lock_holds_the_smaller_one_version_for_version() -> None:
    def pins(group: str) -> set[str]:
        text = (ROOT / "requirements" / f"{group}.txt").read_text()
        return {line.split()[0] for line in text.splitlines() if "==" in line}

    assert pins("runtime") <= pins("extras") <= pins("dev")


def test_the_locks_were_made_from_what_pyproject_says() -> None:
    assert lock.stale_locks(lock.read_project(), ROOT / "requirements") == []


def test_a_new_dependency_makes_the_locks_stale() -> None:
    project = lock.read_project()
    project["project"]["dependencies"].append("left-pad")
    assert lock.stale_locks(project, ROOT / "requirements") == ["dev", "extras", "runtime"]


def test_a_missing_lock_is_stale(tmp_path: Path) -> None:
    assert lock.stale_locks(lock.read_project(), tmp_path) == list(lock.GROUPS)


def test_test_numbers_come_from_the_report_and_errors_count_as_failed(tmp_path: Path) -> None:
    report = tmp_path / "tests.xml"
    assert check.count(report) == (0, 0)
    report.write_text(
        '<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>'
    )
    assert check.count(report) == (3, 3)


def test_a_step_that_fails_or_hangs_says_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(check.StepFailed, match=r"(?s)oh no.*sh ended with 5"):
        check.run(["sh", "-c", "echo oh no; exit 5"], cwd=tmp_path, env={})
    with pytest.raises(check.StepFailed, match="not done after 0 s"):
        check.run(["sh", "-c", "read x < /dev/zero"], cwd=tmp_path, env={}, limit=0.1)


def test_options_choose_among_the_steps(tmp_path: Path) -> None:
    def names(expression: str | None = None, *, fast: bool, coverage: bool = False) -> list[str]:
        steps = check.Checks(tmp_path, expression).steps(fast=fast, coverage=coverage)
        return [name for name, _ in steps]

    every, fast = names(fast=False), names(fast=True)
    assert every == [*fast, "wheel"]
    assert names(fast=False, coverage=True) == [*fast, "coverage", "wheel"]
    assert names("bits", fast=True) == ["tests"]


def test_a_diary_of_tests_tells_how_far_they_are(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    assert check.progress(diary) == "0 tests done, at work: none"
    diary.write_text("+ one\n+ two\n- one\n")
    assert check.progress(diary) == "1 tests done, at work: two"


def test_a_run_is_whole_when_every_test_that_was_found_has_ended(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    diary.write_text("= 2\n= 2\n+ one\n- one\n")
    assert not check.whole(diary)
    diary.write_text("= 2\n= 2\n+ one\n- one\n+ two\n- two\n")
    assert check.whole(diary)


TRIALS = """
from pathlib import Path

def test_that_passes():
    pass

def test_that_fails_the_first_time():
    seen = Path("seen")
    first = not seen.exists()
    seen.touch()
    assert not first

def test_that_is_wrong():
    assert not Path("wrong").exists()
"""


def test_what_fails_among_others_runs_again_alone_and_only_what_passes_then_is_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "project"
    place.mkdir()
    (place / "conftest.py").write_text("from tests.conftest import pytest_configure\n")
    (place / "test_trials.py").write_text(TRIALS)
    monkeypatch.setattr(check, "ROOT", place)
    monkeypatch.setattr(check, "WORKERS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    checks = check.Checks(tmp_path, None)
    said = checks.run_tests()
    assert "UNSTABLE: test_trials.test_that_fails_the_first_time" in said
    assert "1 failed, 2 passed" in said
    assert checks.unstable == 1
    (place / "wrong").touch()
    checks = check.Checks(place, None)
    with pytest.raises(check.StepFailed, match=r"(?s)And again, alone:.*test_that_is_wrong"):
        checks.run_tests()
    assert checks.verdicts == ["FAILED twice: test_trials.test_that_is_wrong"]


FRAGILE = """
from pathlib import Path
import pytest

def once(name):
    first = not Path(name).exists()
    Path(name).touch()
    assert not first

@pytest.fixture(scope="module")
def ground():
    once("ground")

@pytest.mark.parametrize("each", ["a b", "x::y", "[z]", b"\\n", "é"])
def test_that_waits_for_what_could_not_begin(ground, each):
    pass

@pytest.fixture
def place():
    yield
    once("left")

def test_that_fails_and_leaves_something(place):
    once("failed")
"""


def test_a_fixture_of_many_tests_is_one_failure_and_a_test_that_fails_twice_over_one_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "project"
    place.mkdir()
    (place / "conftest.py").write_text("from tests.conftest import pytest_configure\n")
    (place / "test_fragile.py").write_text(FRAGILE)
    monkeypatch.setattr(check, "ROOT", place)
    monkeypatch.setattr(check, "WORKERS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    checks = check.Checks(tmp_path, None)
    said = checks.run_tests()
    assert "UNSTABLE: test_fragile.test_that_fails_and_leaves_something" in checks.verdicts
    assert "UNSTABLE: test_fragile.test_that_waits_for_what_could_not_begin[x::y]" in said
    assert checks.unstable == 6


def test_a_missing_system_package_is_named_where_it_cannot_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system_packages.provide({"sh": "dash"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RuntimeError, match="missing: chromium; install"):
        system_packages.provide({"no-such-program": "chromium"})


def test_continuous_integration_runs_the_checks_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "exec ./bellwire check"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert os.access(ROOT / "bellwire", os.X_OK)


def test_extras_are_installed_from_their_lock_and_include_the_core(checkout: Path) -> None:
    done = started(checkout / "bellwire", "extras")
    assert done.returncode == 0
    assert "all optional libraries are installed" in done.stderr
    assert any(line.endswith("requirements/extras.txt") for line in asked(checkout))
    before = asked(checkout)
    assert started(checkout / "bellwire", "demo").stderr == "", "extras hold everything of runtime"
    assert asked(checkout) == before
