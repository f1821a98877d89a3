"""The topology file, and whether settings fit it: every problem is named."""

from pathlib import Path

import pytest

from bellwire.node.errors import ConfigError
from bellwire.node.network.assemble import plan
from bellwire.node.network.map import MAX_FILE_BYTES, read_map
from bellwire.node.network.survey import survey
from bellwire.node.settings import Settings

SITE = 'identity = "{}"\naddress = "127.0.0.1:84{}"\n'
SITES = "".join(
    f"[sites.{name}]\n" + SITE.format(f"{number:064x}", 60 + number)
    for number, name in enumerate("abcd")
)


def links(*pairs: str) -> str:
    return "".join(f'[[links]]\nbetween = ["{pair[0]}", "{pair[1]}"]\n' for pair in pairs)


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "topology.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "sites: expected a value"),
        ("[", "expected TOML"),
        ("sites = 1", "sites: expected"),
        ("[sites.a]", "sites.a.identity: expected a value"),
        ('[sites."a b"]\nidentity = ""', "a b"),
        (SITES.replace("0" * 63 + "1", "zz"), "sites.b.identity"),
        (SITES.replace("127.0.0.1:8461", "8461"), "sites.b.address"),
        (SITES + "more = 1\n", "sites.d.more: expected no such name"),
        (SITES + links("az"), "one to z"),
        (SITES + links("ab", "ba"), "another from b to a"),
        (SITES + links("aa"), "another from a to a"),
        (SITES + links("ab") + "cost = 0\n", "links.0.cost"),
        (SITES + links("ab") + "cost = 10001\n", "links.0.cost"),
        (SITES + links("ab").replace('"b"', '"b", "c"'), "links.0.between"),
        (SITES + 'saes = ["x"]\n[sites.e]\n' + SITE.format("1" * 64, 99) + 'saes = ["x"]\n', "'x'"),
        (SITES + 'saes = [""]\n', "sites.d.saes.0"),
        (SITES + f'saes = ["{"x" * 257}"]\n', "sites.d.saes.0"),
        ("a = " + "[" * 3000, "expected TOML"),
        ("#" * (MAX_FILE_BYTES + 1), "up to 4 MiB"),
    ],
)
def test_a_topology_that_makes_no_sense_is_refused_by_name(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_map(file(tmp_path, text))
    assert told in str(refused.value)
    assert len(str(refused.value)) < 3000


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ConfigError, match="cannot read"):
            read_map(path)


def test_settings_and_topology_are_found_to_fit_together(tmp_path: Path) -> None:
    path = file(tmp_path, SITES + links("ab", "bc"))
    good = {"site": "b", "topology": path, "nodes": {"a": tmp_path / "a", "c": tmp_path / "c"}}
    planned = plan(Settings.model_validate({"network": good}))
    assert planned.listen == ("127.0.0.1", 8461)
    assert planned.kme == ("127.0.0.1", 8443)
    assert planned.sockets == {name: tmp_path / name / "keys.sock" for name in "ac"}
    other = {"listen": "[::1]:9", "kme": "off"}
    planned = plan(Settings.model_validate({"network": good | other}))
    assert (planned.listen, planned.kme) == (("::1", 9), None)
    for changes, told in (
        ({"site": ""}, "network.site: expected a value"),
        ({"topology": None}, "network.topology: expected a value"),
        ({"site": "z"}, "expected a site of"),
        ({"nodes": {"a": tmp_path}}, "link to c, got none"),
        ({"nodes": good["nodes"] | {"d": tmp_path}}, "got d"),  # type: ignore[operator]
        ({"listen": "localhost:70000"}, "network.listen: expected HOST:PORT"),
    ):
        with pytest.raises(ConfigError, match=told):
            plan(Settings.model_validate({"network": good | changes}))


@pytest.mark.parametrize(
    "network",
    [
        {"bus": "http://x"},
        {"bus": "nats://user:secret@host"},
        {"kme": "8443"},
        {"listen": "::1:80:"},
        {"routes": 1, "min_routes": 2},
        {"routes": 9},
        {"block_bytes": 100},
        {"patience_s": 0},
        {"site": "a b"},
        {"nodes": {"a/b": "/x"}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_settings_out_of_bounds_are_refused(network: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="network"):
        Settings.model_validate({"network": network})


def test_a_map_says_who_could_know_keys(tmp_path: Path) -> None:
    found = survey(read_map(file(tmp_path, SITES + links("ab", "bc"))), "a")
    others = {each.pop("site"): each for each in found["others"]}
    assert others["b"] == {
        "saes": 0, "hops": 1, "disjoint_routes": 1, "relays_that_all_pass": []
    }  # fmt: skip
    assert others["c"] == {
        "saes": 0, "hops": 2, "disjoint_routes": 1, "relays_that_all_pass": ["b"]
    }  # fmt: skip
    assert others["d"]["hops"] is None
    ring = survey(read_map(file(tmp_path, SITES + links("ab", "bc", "cd", "da"))), "a")
    (far,) = [each for each in ring["others"] if each["site"] == "c"]
    assert (far["disjoint_routes"], far["relays_that_all_pass"]) == (2, [])
    # One way to b first, and two from there: b is on all ways, c and d on none of them alone.
    kite = survey(read_map(file(tmp_path, SITES + links("ab", "bc", "bd", "cd"))), "a")
    (far,) = [each for each in kite["others"] if each["site"] == "d"]
    assert (far["disjoint_routes"], far["relays_that_all_pass"]) == (1, ["b"])
