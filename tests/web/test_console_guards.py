"""Guards tell the console how they are, operators see it, and nobody else may do either."""

from collections.abc import Iterator

import httpx
import pytest
from tests.console.reports import REPORT
from tests.patience import PATIENCE_S
from tests.web.test_console import Consoles, consoles, refused

from bellwire.console.accounts import AccountBook, Role


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    with consoles(tmp_path_factory.mktemp("c")) as found:
        book = AccountBook(found.folder / "console-a")
        found.sites.tokens["router@a"] = book.add("router", Role.GUARD)
        found.sites.tokens["carla@a"] = book.add("carla", Role.AUDITOR)
        yield found


def test_what_a_guard_tells_an_operator_sees(both: Consoles) -> None:
    assert both.post("router@a", "/guard_state", REPORT).json() == {}
    (shown,) = both.get("boss@a", "/guards").json()["guards"]
    assert shown.pop("silent_s") < 5.0
    assert shown == {"name": "router", "silent": False, **REPORT, "relay": None}


def test_nobody_else_tells_or_sees_it(both: Consoles) -> None:
    for who in ("alice@a", "boss@a", "carla@a"):
        assert "for guards" in refused(both.post(who, "/guard_state", REPORT), 403)
    for who in ("alice@a", "router@a"):
        assert "for operators and auditors" in refused(both.get(who, "/guards"), 403)
    refused(httpx.get(both.urls["a"] + "/guards", trust_env=False, timeout=PATIENCE_S), 401)
    refused(
        httpx.post(
            both.urls["a"] + "/guard_state", json=REPORT, trust_env=False, timeout=PATIENCE_S
        ),
        401,
    )
    stranger = {"Authorization": f"Bearer {both.sites.tokens['router@a']}"}
    url = both.urls["b"] + "/guard_state"  # another site's
    refused(
        httpx.post(url, json=REPORT, headers=stranger, trust_env=False, timeout=PATIENCE_S), 401
    )


def test_an_auditor_sees_what_an_operator_sees_and_does_nothing_else(both: Consoles) -> None:
    relay = {"level": "port", "places": ["ws://10.0.0.2:9001"], "sequence": 3, "problem": ""}
    both.post("router@a", "/guard_state", {**REPORT, "relay": relay})
    (shown,) = both.get("carla@a", "/guards").json()["guards"]
    assert shown["relay"] == relay
    body = {"client_id": "carla", "peer_id": "bob@b"}
    assert "for members" in refused(both.post("carla@a", "/get_session_key", body), 403)
    refused(both.session("alice@a", "carla"), 404)
    refused(both.session("bob@b", "carla@a"), 404)
    for path in ("/force_attack", "/reset"):
        assert "for operators" in refused(both.post("carla@a", path, {}), 403)


def test_a_guard_gets_no_key_and_nobody_has_one_with_it(both: Consoles) -> None:
    body = {"client_id": "router", "peer_id": "alice"}
    assert "for members" in refused(both.post("router@a", "/get_session_key", body), 403)
    refused(both.session("alice@a", "router"), 404)
    refused(both.session("bob@b", "router@a"), 404)
    refused(both.post("router@a", "/reset"), 403)


@pytest.mark.parametrize(
    "body", [None, [], {}, {**REPORT, "ports": "8765"}, {**REPORT, "reason": "x" * 601}]
)
def test_what_is_no_state_is_refused_and_changes_nothing(both: Consoles, body: object) -> None:
    both.post("router@a", "/guard_state", REPORT)
    refused(both.post("router@a", "/guard_state", body), 400)
    (shown,) = both.get("boss@a", "/guards").json()["guards"]
    assert shown["reason"] == REPORT["reason"]
    assert "reason" in shown
    refused(both.post("router@a", "/guard_state", {**REPORT, "more": "x" * 40_000}), 413)


def test_a_guard_whose_account_is_gone_is_not_shown(both: Consoles) -> None:
    book = AccountBook(both.folder / "console-a")
    token = {"Authorization": f"Bearer {book.add('other', Role.GUARD)}"}
    url = both.urls["a"] + "/guard_state"
    assert (
        httpx.post(url, json=REPORT, headers=token, trust_env=False, timeout=PATIENCE_S).status_code
        == 200
    )
    book.remove("other")
    names = [each["name"] for each in both.get("boss@a", "/guards").json()["guards"]]
    assert "other" not in names
    refused(httpx.post(url, json=REPORT, headers=token, trust_env=False, timeout=PATIENCE_S), 401)
