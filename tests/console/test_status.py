"""What a node's page tells becomes what pollers are told; what tells nothing is an error."""

import json
from typing import Any

import pytest

from bellwire.base.errors import UsageError
from bellwire.console.carrier import check_url
from bellwire.console.errors import KeysAbsent
from bellwire.console.status import read_page


def link(status: str = "GREEN", **more: Any) -> dict[str, Any]:
    history = [{"qber": 0.02}, {"qber": None}, {"qber": 0.03}]
    found = {"status": status, "reason": "why", "qber": 0.025, "last_qber": 0.03, "stale": False}
    return {**found, "history": history, **more}


def page(**links: dict[str, Any]) -> bytes:
    return json.dumps({"at": 1.0, "links": links}).encode()


def test_a_link_is_told_as_its_node_tells_it() -> None:
    now = read_page(page(link=link("YELLOW")))
    assert (now.status, now.qber, now.history, now.reason) == ("YELLOW", 0.025, (0.02, 0.03), "why")


def test_a_link_of_which_nothing_recent_is_known_is_red() -> None:
    now = read_page(page(link=link(stale=True)))
    assert now.status == "RED"
    assert "nothing recent" in now.reason


def test_on_red_the_qber_is_that_of_the_last_block() -> None:
    assert read_page(page(link=link("RED", qber=None, last_qber=0.25))).qber == 0.25
    assert read_page(page(link=link("RED", qber=None, last_qber=None))).qber is None


def test_of_several_links_the_worst_counts() -> None:
    assert read_page(page(a=link(), b=link("YELLOW"), c=link())).status == "YELLOW"
    assert read_page(page(a=link(stale=True), b=link("RED"))).reason.startswith("nothing recent")


@pytest.mark.parametrize(
    "told", [b"", b"{}", b"[" * 9999, page(), page(link=link("BLUE")), page(link={}), b"\xff"]
)
def test_a_page_that_tells_nothing_is_an_error(told: bytes) -> None:
    with pytest.raises(KeysAbsent):
        read_page(told)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "https://b.example/", "http://[::1]:1"])
def test_addresses_of_consoles_are_taken(url: str) -> None:
    assert check_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["", "b.example", "ftp://x", "http://", "http://x:0", "http://x:99999", "http://u:p@x",
     "http://x/path", "http://x?q", "http://x#f", "http://x\n", "http://[x"],
)  # fmt: skip
def test_what_is_no_address_of_a_console_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="expected http"):
        check_url(url)
