"""Settings: later sources win, unknown names and bad values are refused by name."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bellwire.base.errors import UsageError
from bellwire.base.limits import (
    MAX_FIBRE_KM,
    MAX_INSERTION_LOSS_DB,
    MAX_LOSS_DB_PER_KM,
    MAX_PULSES,
)
from bellwire.link.detectors import MAX_DEAD_GATES, MAX_DECAY_GATES, Detectors
from bellwire.node.errors import ConfigError
from bellwire.node.physics import link_config
from bellwire.node.settings import MAX_FILE_BYTES, Origin, default_file, describe, load


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source", "dice"),
        ("source", "device:"),
        ("entropy_per_byte", 0.4),
        ("entropy_per_byte", 8.5),
        ("false_alarm_log2", 19),
        ("false_alarm_log2", 41),
        ("reseed_s", -1),
        ("timeout_s", 0),
        ("timeout_s", 121),
    ],
)
def test_a_random_device_is_described_within_bounds(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"random.{key}"):
        load(None, {"random": {key: value}})


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "given.toml"
    file.write_text(text)
    return file


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    settings = load()
    assert settings.state.dir == tmp_path / "data" / "bellwire"
    assert (settings.link.misalignment, settings.distill.protocol) == (0.02, "e91")
    assert {row.origin for row in describe(settings)} == {Origin.DEFAULT}


def test_every_setting_is_described() -> None:
    rows = describe(load())
    assert len({row.name for row in rows}) == len(rows) > 20
    assert all(row.explanation.endswith(".") for row in rows)


def test_the_environment_beats_the_file_and_the_command_line_beats_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, '[link]\nfibre_km = 1\nmisalignment = 0.01\n[state]\ndir = "/file"\n')
    monkeypatch.setenv("BELLWIRE_LINK__FIBRE_KM", "2.5")
    monkeypatch.setenv("BELLWIRE_STATE__DIR", "/environment")
    settings = load(file, {"state": {"dir": tmp_path}, "link": {"misalignment": None}})
    assert settings.link.fibre_km == 2.5
    assert settings.link.misalignment == 0.01
    assert settings.state.dir == tmp_path
    origins = {row.name: row.origin for row in describe(settings)}
    assert origins["link.fibre_km"] is Origin.ENVIRONMENT
    assert origins["link.misalignment"] is Origin.FILE
    assert origins["state.dir"] is Origin.COMMAND_LINE


def test_the_default_file_is_used_when_it_exists() -> None:
    default_file().parent.mkdir(parents=True)
    default_file().write_text("[status]\nwindow = 7\n")
    assert load().status.window == 7


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.link.fibre_km = 5.0


def test_a_home_folder_is_spelt_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert load(written(tmp_path, '[state]\ndir = "~/keys"\n')).state.dir == Path(
        "/home/alice/keys"
    )


def test_all_bad_values_are_named_with_their_origin_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, '[link]\nfibre_km = -1\n[log]\nlevel = "loud"\n')
    monkeypatch.setenv("BELLWIRE_DISTILL__PULSES", "many")
    with pytest.raises(ConfigError) as caught:
        load(file, {"addresses": {"cloud_port": 70_000}})
    problems = caught.value.problems
    assert f"link.fibre_km: expected greater than or equal to 0, got -1 (from {file})" in problems
    assert any(
        each.startswith("distill.pulses: expected a valid integer")
        and each.endswith("got 'many' (from BELLWIRE_DISTILL__PULSES)")
        for each in problems
    )
    assert any(each.startswith("log.level: expected 'debug'") for each in problems)
    assert any(each.endswith("got 70000 (from the command line)") for each in problems)
    assert isinstance(caught.value, UsageError)


def test_a_misspelt_key_is_refused_without_telling_its_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, '[link]\nfiber_km = "hunter2"\n'))
    assert "link.fiber_km: unknown setting; did you mean fibre_km?" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_section_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="lnik: expected a section, one of state, kek, store, link"
    ):
        load(written(tmp_path, "[lnik]\nfibre_km = 1\n"))


def test_a_value_where_a_section_belongs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a section \\[link\\], got a single value"):
        load(written(tmp_path, "link = 1\n"))


@pytest.mark.parametrize(
    "name", ["BELLWIRE_LNIK__FIBRE_KM", "BELLWIRE_LINK__FIBER_KM", "BELLWIRE_LINK", "BELLWIRE_X"]
)
def test_an_unknown_variable_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(ConfigError, match=f"{name}: expected BELLWIRE_SECTION__KEY") as caught:
        load()
    assert "hunter2" not in str(caught.value)


def test_variables_of_the_program_itself_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_DEBUG", "1")
    assert load().link.fibre_km == 0.0


def test_yellow_may_not_lie_above_red(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected yellow_qber at most red_qber"):
        load(written(tmp_path, "[status]\nyellow_qber = 0.2\n"))


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a settings file, got no file at"):
        load(tmp_path / "absent.toml")


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="up to 1 MiB"):
        load(written(tmp_path, "#" * (MAX_FILE_BYTES + 1)))


def test_what_is_not_toml_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected TOML in .* line 1"):
        load(written(tmp_path, "fibre_km 20"))


@given(content=st.binary(max_size=60))
@hypothesis_settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_file_is_read_or_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.toml"
    file.write_bytes(content)
    problems: tuple[str, ...] = ("none: it was read",)
    try:
        load(file)
    except ConfigError as error:
        problems = error.problems
    assert problems
    assert all(problems)


@pytest.mark.parametrize("name", ["pulses", "probe_pulses"])
def test_a_block_that_could_never_run_is_refused_here(tmp_path: Path, name: str) -> None:
    longest = load(written(tmp_path, f"[distill]\n{name} = {MAX_PULSES}\n"))
    assert getattr(longest.distill, name) == MAX_PULSES
    with pytest.raises(ConfigError, match=f"distill.{name}: expected less than or equal to"):
        load(written(tmp_path, f"[distill]\n{name} = {MAX_PULSES + 1}\n"))


def test_the_link_takes_every_link_that_the_settings_take(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        f"[link]\nfibre_km = {MAX_FIBRE_KM}\nloss_db_per_km = {MAX_LOSS_DB_PER_KM}\n"
        f"insertion_loss_db = {MAX_INSERTION_LOSS_DB}\nmisalignment = 0.5\n"
        f"dead_gates = {MAX_DEAD_GATES}\nafterpulse = 0.99\nafterpulse_gates = {MAX_DECAY_GATES}\n",
    )
    config = link_config(load(file).link)
    assert config.fibre_km == MAX_FIBRE_KM
    assert config.detectors == Detectors(
        dead_gates=MAX_DEAD_GATES, afterpulse=0.99, afterpulse_gates=MAX_DECAY_GATES
    )
