"""The plan: what each service is told, and what it is not."""

from pathlib import Path

import pytest

from bellwire.node.settings import load
from bellwire.services.errors import PlanUnusable
from bellwire.services.place import Place
from bellwire.services.plan import STOP_ORDER, programs
from bellwire.services.program import Known, Program

NOTHING_KNOWN: Known = {}


def plan(tmp_path: Path, *, lab: bool = False, **sections: dict[str, object]) -> dict[str, Program]:
    made = programs(
        load(None, sections), Place(tmp_path), config=tmp_path / "x.toml", lab=lab, identities={}
    )
    return {each.name: each for each in made}


def test_every_service_that_is_started_is_stopped(tmp_path: Path) -> None:
    assert set(plan(tmp_path)) == set(STOP_ORDER)


def test_every_service_ends_with_its_supervisor_and_has_its_state_and_settings(
    tmp_path: Path,
) -> None:
    for program in plan(tmp_path).values():
        line = program.arguments(NOTHING_KNOWN)
        assert "--with-parent" in line
        assert line[line.index("--state") + 1] == str(tmp_path)
        assert line[line.index("--config") + 1] == str(tmp_path / "x.toml")


def test_only_in_the_lab_eve_is_let_in_and_overhears(tmp_path: Path) -> None:
    everywhere = {"link", "node-a", "node-b", "console-a", "console-b"}
    for lab in (False, True):
        made = plan(tmp_path, lab=lab).values()
        told = {each.name for each in made if "--lab" in each.arguments(NOTHING_KNOWN)}
        assert told == (everywhere if lab else set())


def test_a_console_asks_the_key_server_of_its_own_site(tmp_path: Path) -> None:
    made = plan(tmp_path)
    known = {
        "node-a": {"kme": "https://0.0.0.0:7001"},
        "node-b": {"kme": "https://127.0.0.1:7002"},
        "console-b": {"url": "http://127.0.0.1:7003"},
    }
    for site, kme, listen in (("a", 7001, 8000), ("b", 7002, 7003)):
        program = made[f"console-{site}"]
        line = program.arguments(known)
        assert line[line.index("--site") + 1] == site
        assert line[line.index("--kme") + 1] == f"https://127.0.0.1:{kme}"
        assert line[line.index("--listen") + 1] == f"127.0.0.1:{listen}"
        assert program.needs == (f"node-{site}",)


def test_consoles_talk_over_the_relay_of_this_machine_but_for_another(tmp_path: Path) -> None:
    name, variable = "console-a", "BELLWIRE_CONSOLE__RELAYS"
    made = plan(tmp_path)[name]
    assert made.environment(NOTHING_KNOWN)[variable] == '["ws://127.0.0.1:8765"]'
    known = {"relay": {"url": "ws://0.0.0.0:9001"}}
    assert made.environment(known)[variable] == '["ws://127.0.0.1:9001"]'
    assert "relay" in plan(tmp_path, addresses={"relay_port": 0})[name].needs
    other = plan(tmp_path, console={"relays": ["wss://relay.example"]})[name]
    assert variable not in other.environment(NOTHING_KNOWN)


def test_consoles_show_the_log_of_this_machine_but_no_other(tmp_path: Path) -> None:
    known = {"ledger": {"url": "http://0.0.0.0:7009"}}
    for name in ("console-a", "console-b"):
        own = {
            "BELLWIRE_CONSOLE__LOG": "http://127.0.0.1:7009",
            "BELLWIRE_CONSOLE__LOG_POLICY": str(tmp_path / "ledger.policy"),
        }
        assert plan(tmp_path)[name].environment(known).items() >= own.items()
        elsewhere = plan(tmp_path, console={"log": "https://log.example"})
        assert not own.keys() & elsewhere[name].environment(known).keys()
        free = plan(tmp_path, addresses={"ledger_port": 0})
        assert "ledger" in free[name].needs


def test_ports_are_those_of_the_settings(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        addresses={"kme_a_port": 1, "kme_b_port": 2, "classical_port": 3, "console_b_port": 4},
    )
    ports = {port.what: port.number for each in made.values() for port in each.ports}
    assert ports == {
        "KME of site a": 1,
        "KME of site b": 2,
        "classical channel": 3,
        "cloud": 8470,
        "console of site a": 8000,
        "console of site b": 4,
        "relay": 8765,
        "log": 8480,
        "witness of site a": 8481,
        "witness of site b": 8482,
        "server of admission": 8490,
    }
    alice, bob = (made[name].arguments(NOTHING_KNOWN) for name in ("node-a", "node-b"))
    assert alice[alice.index("--kme") + 1] == "127.0.0.1:1"
    assert bob[bob.index("--kme") + 1] == "127.0.0.1:2"
    assert bob[bob.index("--listen") + 1] == "127.0.0.1:3"
    assert alice[alice.index("--peer") + 1] == "127.0.0.1:3"


def test_a_free_port_that_was_taken_is_kept_over_a_restart(tmp_path: Path) -> None:
    made = plan(tmp_path, addresses={"kme_b_port": 0, "classical_port": 0, "cloud_port": 0})
    known = {
        "node-b": {"kme": "https://127.0.0.1:7001", "classical": "127.0.0.1:7002"},
        "cloud": {"listen": "127.0.0.1:7003"},
    }
    bob = made["node-b"].arguments(known)
    assert bob[bob.index("--kme") + 1] == "127.0.0.1:7001"
    assert bob[bob.index("--listen") + 1] == "127.0.0.1:7002"
    alice = made["node-a"].arguments(known)
    assert alice[alice.index("--peer") + 1] == "127.0.0.1:7002"
    cloud = made["cloud"].arguments(known)
    assert cloud[cloud.index("--listen") + 1] == "127.0.0.1:7003"


def test_metrics_of_site_b_are_at_the_next_port(tmp_path: Path) -> None:
    name = "BELLWIRE_ADDRESSES__METRICS_PORT"
    made = plan(tmp_path, addresses={"metrics_port": 9100})
    told = [made[node].environment(NOTHING_KNOWN)[name] for node in ("node-a", "node-b")]
    assert told == ["9100", "9101"]
    off = plan(tmp_path)
    assert [off[node].environment(NOTHING_KNOWN)[name] for node in ("node-a", "node-b")] == [
        "0",
        "0",
    ]
    with pytest.raises(PlanUnusable, match="at most 65534"):
        plan(tmp_path, addresses={"metrics_port": 65535})


def test_light_that_two_nodes_of_one_machine_cannot_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanUnusable, match="expected link"):
        plan(tmp_path, distill={"source": "timetags:tags"})


def test_where_first_contact_is_signed_each_node_is_told_of_the_other(tmp_path: Path) -> None:
    made = programs(
        load(), Place(tmp_path), config=None, lab=False, identities={"a": "aa", "b": "bb"}
    )
    for program, other in ((made[1], "bb"), (made[2], "aa")):
        line = program.arguments(NOTHING_KNOWN)
        assert line[line.index("--peer-identity") + 1] == other
        assert "--authentication-key" not in line


def test_who_writes_to_the_log_is_told_where_it_is_and_has_a_token_of_its_own(
    tmp_path: Path,
) -> None:
    made = plan(tmp_path, addresses={"ledger_port": 0})
    known = {"ledger": {"url": "http://0.0.0.0:7001"}}
    tokens = set()
    for name in ("node-a", "node-b", "admission"):
        told = made[name].environment(known)
        assert told["BELLWIRE_LEDGER__URL"] == "http://127.0.0.1:7001"
        assert told["BELLWIRE_LEDGER__WRITER"] == name
        tokens.add(told["BELLWIRE_LEDGER__TOKEN"])
        (option,) = (
            each for each in made["ledger"].arguments(known) if each.startswith(f"--writer={name}=")
        )
        assert option.endswith(told["BELLWIRE_LEDGER__TOKEN"])
    assert len(tokens) == 3
    assert made["ledger"].needs == ("witness-a", "witness-b")
    assert made["node-b"].needs == ("ledger",)
    node = plan(tmp_path)["node-b"]
    assert node.needs == ()
    assert node.environment(NOTHING_KNOWN)["BELLWIRE_LEDGER__URL"] == "http://127.0.0.1:8480"


def test_the_cloud_takes_devices_that_admission_certifies(tmp_path: Path) -> None:
    made = plan(tmp_path)
    certifies, takes = (made[name].arguments(NOTHING_KNOWN) for name in ("admission", "cloud"))
    assert certifies[certifies.index("--cloud") + 1] == "cloud"
    assert certifies[certifies.index("--cloud-at") + 1] == "127.0.0.1:8470"
    files = [Path(takes[takes.index(each) + 1]) for each in ("--authority", "--revoked")]
    assert [each.parent.name for each in files] == ["device-ca", "device-ca"]
    anywhere = plan(tmp_path, addresses={"cloud_host": "0.0.0.0"})["admission"]
    assert "--cloud-at" not in anywhere.arguments(NOTHING_KNOWN)


def test_where_the_settings_name_a_log_none_is_started(tmp_path: Path) -> None:
    token = tmp_path / "token"
    elsewhere: dict[str, object] = {
        "url": "https://log.example",
        "writer": "site-a",
        "token": token,
    }
    made = plan(tmp_path, ledger=elsewhere)
    assert not {"ledger", "witness-a", "witness-b"} & set(made)
    assert made["node-b"].needs == made["admission"].needs == ()
    assert "BELLWIRE_LEDGER__URL" not in made["node-a"].environment(NOTHING_KNOWN)
