"""Places are read as people write them, and no secret gets into one."""

from pathlib import Path

import pytest

from bellwire.base.private import PathExposed
from bellwire.iot.errors import OutputUnknown
from bellwire.iot.outputs.mqtt import MqttOutput
from bellwire.iot.outputs.nats import NatsOutput
from bellwire.iot.outputs.place import parse_place
from bellwire.iot.outputs.sqlite import SqliteOutput


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nats://localhost", "nats://localhost:4222/bellwire.readings"),
        ("nats://h:1/a.b-c", "nats://h:1/a.b-c"),
        ("mqtt://[::1]:1884", "mqtt://[::1]:1884/bellwire/readings"),
        ("mqtt://h/site/7/", "mqtt://h:1883/site/7"),
        ("mqtt://h?user=u", "mqtt://h:1883/bellwire/readings"),
        ("sqlite:/srv/r.db", "sqlite:/srv/r.db"),
    ],
)
def test_a_place_has_one_name_whatever_its_options(text: str, name: str) -> None:
    assert parse_place(text).name == name


def test_a_relative_file_is_the_same_from_wherever_the_cloud_starts() -> None:
    assert parse_place("sqlite:r.db").name == f"sqlite:{Path('r.db').absolute()}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sqlite:",
        "sqlite://h/x",
        "postgres://h",
        "nats:h",
        "nats://",
        "nats://h:99999",
        "nats://h/a.*",
        "nats://h/a..b",
        "mqtt://h/a/#",
        "mqtt://h/a b",
        "mqtt://h?retain=1",
        "mqtt://h?user=a&user=b",
        "mqtt://h?user",
        "mqtt://h#x",
        "nats://h?user=a",
    ],
)
def test_what_is_misspelt_is_refused(text: str) -> None:
    with pytest.raises(OutputUnknown, match="expected"):
        parse_place(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    for text in ("nats://bob:hunter2@h", "mqtt://:hunter2@h"):
        with pytest.raises(OutputUnknown) as caught:
            parse_place(text)
        assert "hunter2" not in str(caught.value)
        assert "FILE" in (caught.value.hint or "")


def test_places_open_to_their_outputs_and_files_of_options_are_checked(tmp_path: Path) -> None:
    assert isinstance(parse_place("nats://h").open(), NatsOutput)
    assert isinstance(parse_place("sqlite:x.db").open(), SqliteOutput)
    secret = tmp_path / "password"
    place = parse_place(f"mqtt://h?user=u&password-file={secret}")
    with pytest.raises(OutputUnknown, match="no such file"):
        place.open()
    secret.write_text("hunter2\n")
    secret.chmod(0o644)
    with pytest.raises(PathExposed):
        place.open()
    secret.chmod(0o600)
    assert isinstance(place.open(), MqttOutput)
    for option in ("ca", "credentials"):
        with pytest.raises(OutputUnknown, match="expected"):
            parse_place(f"nats://h?{option}={tmp_path}/none").open()
