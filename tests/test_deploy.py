"""What `deploy` has: units that systemd takes, settings that we take, and a container file.

The units are examined by systemd's own tools. No image is built here, and no unit is started; what
was tried by hand is in docs/how-to/deploy.md. The compose file was held against the schema of the
Compose specification when it was written; here its words are held against the program and the
container file.
"""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mkdocs.utils.yaml import yaml_load
from tools import console_build

from bellwire.cli import main
from bellwire.node import settings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
COMPOSE = yaml_load(DEPLOY.joinpath("container", "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXPOSURE = 20
"""Most that a unit may expose, in tenths of what `systemd-analyze security` tells."""

PROGRAM = "/opt/bellwire/bin/bellwire"
INSTRUCTIONS = {
    "FROM", "WORKDIR", "RUN", "COPY", "USER", "ENV", "VOLUME", "EXPOSE", "STOPSIGNAL",
    "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


def examined(*line: object) -> str:
    done = subprocess.run(
        ["systemd-analyze", *map(str, line)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout + done.stderr


def takes(words: list[str]) -> None:
    """Fails unless the command line has these words' command and options."""
    name, *rest = words
    command = main.load(name)
    known = {option for parameter in command.params for option in parameter.opts}
    assert len(known) > 3
    assert [word for word in rest if word.startswith("--") and word not in known] == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_a_unit_without_a_word(unit: Path, tmp_path: Path) -> None:
    ours = Path(sys.executable).parent / "bellwire"
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(PROGRAM, str(ours)))
    assert examined("verify", "--man=no", copy) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_exposes_little(unit: Path) -> None:
    told = examined("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)
    assert "Overall exposure level" in told


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    started, *words = shlex.split(line)
    assert started == PROGRAM
    takes(words)


def test_a_unit_that_exposes_more_is_found(tmp_path: Path) -> None:
    unit = tmp_path / UNITS[0].name
    unit.write_text(re.sub(r"^(Protect|Restrict|SystemCall).*$", "", UNITS[0].read_text(), flags=8))
    with pytest.raises(AssertionError, match="Overall exposure"):
        examined("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)


def test_the_settings_of_an_example_are_settings() -> None:
    path = DEPLOY / "bellwire.toml"
    loaded = settings.load(path)
    told = tomllib.loads(path.read_text())
    assert loaded.etsi014.own_sae == told["etsi014"]["own_sae"]


def steps() -> list[tuple[str, str]]:
    """(instruction, arguments) of the container file."""
    lines = [line for line in CONTAINERFILE.read_text().splitlines() if not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines if line]


def said(instruction: str) -> list[str]:
    return [arguments for name, arguments in steps() if name == instruction]


def test_the_container_file_has_only_instructions_that_there_are() -> None:
    assert {name for name, _ in steps()} == INSTRUCTIONS
    assert steps()[0][0] == "FROM"
    for image in said("FROM"):
        assert re.fullmatch(r"docker\.io/library/python:3\.11-slim-bookworm( AS \w+)?", image)


def copied() -> list[str]:
    """What of the checkout the container file copies."""
    found = [words for words in map(shlex.split, said("COPY")) if "--from=build" not in words]
    return [source for words in found for source in words[:-1]]


def test_what_the_container_copies_is_in_the_checkout() -> None:
    assert len(copied()) > 4
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    tops = {source.partition("/")[0] for source in copied()}
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == tops


def test_the_container_copies_what_its_wheel_is_built_by_and_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hatch = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    hook = hatch["hooks"]["custom"]["path"]
    console = Path(console_build.SOURCES).relative_to(ROOT)
    builds = [hook, f"tools/{Path(console_build.__file__).name}", str(console), "pyproject.toml"]
    given = [project["project"]["readme"], *project["project"]["license-files"], "src"]
    assert set(builds + given) <= set(copied())
    read = {name for words in said("RUN") for name in re.findall(r"-r (\S+)", words)}
    assert "requirements/console.txt" in read  # the hook's Node: none is in the image
    assert read <= set(copied())


def test_the_container_runs_our_program_as_nobody_s_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    names = [name for name, _ in steps()]
    assert said("USER") == ["10001:10001"]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert json.loads(said("ENTRYPOINT")[0]) == [PROGRAM]
    takes(json.loads(said("CMD")[-1]))
    for pair in shlex.split(said("ENV")[0]):
        name, _, value = pair.partition("=")
        if name.startswith(settings.PREFIX):
            monkeypatch.setenv(name, value)
    loaded = settings.load()
    assert str(loaded.state.dir) == said("VOLUME")[0]
    (check,) = said("HEALTHCHECK")
    assert f"127.0.0.1:{loaded.addresses.metrics_port}/healthz" in check
    addresses = loaded.addresses
    ports = {addresses.kme_a_port, addresses.kme_b_port, addresses.classical_port}
    assert {int(port) for port in said("EXPOSE")[0].split()} == ports


@pytest.mark.parametrize("name", ["link", "node-a", "node-b"])
def test_a_composed_service_starts_a_command_that_there_is(name: str) -> None:
    takes(SERVICES[name]["command"])


def test_the_composed_sites_are_given_one_key_by_a_script_that_a_shell_reads(
    tmp_path: Path,
) -> None:
    service = SERVICES["first-contact"]
    shell, _ = service["entrypoint"]
    (script,) = service["command"]
    (line,) = re.findall(rf"^{PROGRAM} (.*)$", script, re.MULTILINE)
    takes(line.split())
    writes = tmp_path / "writes"  # as the command does, whose own tests are elsewhere
    writes.write_text('#!/bin/sh\numask 077\nhead -c 32 /dev/urandom >"$3"\n')
    writes.chmod(0o700)
    here = script.replace("/run/bellwire", str(tmp_path)).replace(PROGRAM, str(writes))
    for site in "ab":
        (tmp_path / site).mkdir()
    for _ in range(2):  # it is run at each start
        subprocess.run([shell, "-euc", here], check=True, capture_output=True)
    keys = [tmp_path / site / "authentication.key" for site in "ab"]
    assert keys[0].read_bytes() == keys[1].read_bytes()
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    for site in "ab":
        words = SERVICES[f"node-{site}"]["command"]
        given = words[words.index("--authentication-key") + 1]
        assert given == f"/run/bellwire/{site}/authentication.key"
        assert given in script


def test_what_is_composed_is_there_and_nobody_s_root(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"networks": set(COMPOSE["networks"]), "volumes": set(COMPOSE["volumes"])}
    folders = shlex.split(said("RUN")[-1])
    for name, service in SERVICES.items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert {each.partition(":")[0] for each in service["volumes"]} <= named["volumes"]
        # A volume is given to user 10001 where the image has the folder so.
        assert {each.partition(":")[2] for each in service["volumes"]} <= set(folders)
        assert set(service.get("networks", ())) <= named["networks"]
        assert set(service.get("depends_on", ())) <= set(SERVICES)
    ports = settings.load().addresses
    for site, port in (("a", ports.kme_a_port), ("b", ports.kme_b_port)):
        assert SERVICES[f"node-{site}"]["ports"] == [f"127.0.0.1:{port}:{port}"]
        for key, value in SERVICES[f"node-{site}"]["environment"].items():
            monkeypatch.setenv(key, value)
        assert settings.load().kme.hosts[-1] == f"node-{site}"
    (check,) = (words for words in SERVICES["node-b"]["command"] if words.startswith("0.0.0.0:"))
    assert check == f"0.0.0.0:{ports.classical_port}"
    assert f"node-b:{ports.classical_port}" in SERVICES["node-a"]["command"]


def shellcheck(*words: object) -> str:
    program = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run(
        [program, "--norc", *map(str, words)], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("shell", ["sh", "busybox"])
def test_the_linter_of_shell_scripts_finds_nothing_in_the_small_guard(shell: str) -> None:
    assert shellcheck("--shell", shell, DEPLOY / "openwrt" / "bellwire-guard") == ""


def test_nor_does_it_in_its_service_file_whose_shell_is_busybox() -> None:
    assert shellcheck(DEPLOY / "openwrt" / "bellwire-guard.init") == ""


def test_the_linter_finds_what_posix_does_not_have(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n[[ -r $1 ]]\n")
    assert "SC3010" in shellcheck("--shell", "sh", script)


def test_no_secret_is_in_what_is_deployed() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert not re.search(r"BEGIN [A-Z ]*PRIVATE KEY|passw(or)?d\s*=", path.read_text()), (
                path
            )
