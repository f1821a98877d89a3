"""What a machine has for a guard."""

import shutil

import pytest

from bellwire.guard.machine import (
    may_change_the_firewall,
    missing_of_iptables,
    named_flow_tables,
)

LISTED = """table inet fw4 {
	flowtable ft {
		hook ingress priority filter
		devices = { "eth0", "eth1" }
		flags offload
	}
}
table ip other {
}
table ip6 more {
	flowtable a {
		hook ingress priority 10
	}
	flowtable b {
		hook ingress priority 11
	}
}
"""


def test_flow_tables_are_named_with_their_table() -> None:
    assert named_flow_tables(LISTED) == ["inet fw4 ft", "ip6 more a", "ip6 more b"]
    assert named_flow_tables("table inet fw4 {\n\tchain flowtable {\n\t}\n}\n") == []


@pytest.mark.parametrize(
    ("mask", "may"),
    [
        ("000001ffffffffff", True),
        ("0000000000001000", True),
        ("000001ffffffefff", False),
        ("0000000000000000", False),
    ],
)
def test_one_capability_counts(mask: str, may: bool) -> None:
    said = f"Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t{mask}\nCapBnd:\t000001ffffffffff\n"
    assert may_change_the_firewall(said) is may


def test_what_iptables_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_of_iptables("legacy") == missing_of_iptables("nft") == []
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if "ip" in name[:3] else "/x")
    assert missing_of_iptables("nft") == [
        "iptables-nft-save",
        "iptables-nft-restore",
        "ip6tables-nft-save",
        "ip6tables-nft-restore",
        "ipset",
    ]
