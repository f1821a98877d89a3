"""What `bellwire up` says can be done next."""

from pathlib import Path

from bellwire.cli.up import _next_words
from bellwire.node.settings import load


def test_commands_are_told_to_look_where_up_was_told_to(tmp_path: Path) -> None:
    state, config = tmp_path / "my state", tmp_path / "site.toml"
    config.write_text("")
    settings = load(config, {"state": {"dir": state}})
    assert " need " not in _next_words(settings, None, None)
    assert f"need --state '{state}' as well" in _next_words(settings, state, None)
    said = _next_words(settings, state, config)
    assert f"need --state '{state}' --config {config} as well" in said
