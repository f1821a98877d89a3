"""`bellwire config`."""

import json
from pathlib import Path

import pytest

from bellwire.cli.main import run


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def test_show_names_value_and_origin_of_every_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bellwire.toml"
    file.write_text("[link]\nfibre_km = 20\n")
    monkeypatch.setenv("BELLWIRE_LOG__LEVEL", "debug")
    arguments = ["config", "show", "--config", str(file), "--state", str(tmp_path), "--json"]
    assert run(arguments) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["settings"]}
    assert (rows["link.fibre_km"]["value"], rows["link.fibre_km"]["origin"]) == (20.0, "file")
    assert (rows["log.level"]["value"], rows["log.level"]["origin"]) == ("debug", "environment")
    assert rows["state.dir"]["origin"] == "command line"
    assert rows["status.red_qber"]["origin"] == "default"


def test_show_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show"]) == 0
    assert "status.red_qber" in capsys.readouterr().out


def test_check_accepts_a_good_file_and_names_what_it_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "good.toml"
    file.write_text("[distill]\npulses = 5000\n")
    assert run(["config", "check", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == ["distill.pulses"]
    assert run(["config", "check", str(file)]) == 0
    assert "1 differ" in capsys.readouterr().out


def test_check_refuses_a_bad_file_as_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[distill]\npulses = 5\n")
    assert run(["config", "check", str(file)]) == 2
    assert "distill.pulses: expected" in capsys.readouterr().err


def test_check_takes_its_file_as_other_commands_do_and_one_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("[distill]\npulses = 5000\n")
    bad.write_text("[distill]\npulses = 5\n")
    assert run(["config", "check", "--config", str(good), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == ["distill.pulses"]
    assert run(["config", "check", "--config", str(bad)]) == 2
    assert "distill.pulses: expected" in capsys.readouterr().err
    assert run(["config", "check", str(good), "--config", str(bad)]) == 2
    assert "expected one settings file" in capsys.readouterr().err
