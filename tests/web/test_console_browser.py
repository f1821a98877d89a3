"""A console and browsers: who signs in and how, whose page asks, what each role sees, live."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.console.model import GREEN, RED
from tests.console.reports import REPORT
from tests.patience import PATIENCE_S
from tests.web.pages import PASSWORD, Console, console

from bellwire.console.browsers import IDLE_S, MOST_OF_ACCOUNT, UNTIL_S
from bellwire.console.feed import KEPT
from bellwire.web.console_contract import OPERATIONS
from bellwire.web.sign_in import ATTEMPTS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("pages")) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(site: Console) -> None:
    """Attempts of the tests before do not count, and the link is well."""
    site.clock[0] += 1000.0
    site.sites.world.link = GREEN
    site.node.there = True


def events(lines: Iterator[str], count: int) -> list[tuple[str, str, Any]]:
    """(id, name, content) of the next events but heartbeats."""
    found: list[tuple[str, str, Any]] = []
    number = name = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "id":
            number = value
        elif field == "event":
            name = value
        elif field == "data" and name != "heartbeat":
            found.append((number, name, json.loads(value)))
        if len(found) == count:
            break
    return found


def test_a_one_time_link_makes_a_password_once_and_signs_in(site: Console) -> None:
    code = site.book.invite("boss")
    with site.client() as page, site.client() as other:
        body = {"code": code, "password": "too short"}
        assert page.post("/api/sign-in/link", json=body).status_code == 400
        body["password"] = PASSWORD
        answer = page.post("/api/sign-in/link", json=body)
        assert answer.status_code == 200
        assert (answer.json()["name"], answer.json()["role"]) == ("boss", "operator")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("bellwire-a=")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert page.post("/api/sign-in/link", json=body).status_code == 401
        assert page.get("/api/about").json()["first_operator"] is False
        assert site.book.invite_first() is None
        wrong = {"name": "boss", "password": "four words are enouhg"}
        assert other.post("/api/sign-in", json=wrong).status_code == 401
        assert other.post("/api/sign-in", json={**wrong, "name": "who"}).status_code == 401
        right = {"name": "boss", "password": PASSWORD}
        assert other.post("/api/sign-in", json=right).json()["sessions"] == 2
        again = {"current": PASSWORD, "password": f"{PASSWORD} again"}
        assert other.post("/api/password", json=again).json()["sessions"] == 1
        assert page.get("/api/me").status_code == 401
        assert other.get("/api/me").json()["has_password"] is True
        assert other.post("/api/sign-out", json={}).status_code == 200
        assert other.get("/api/me").status_code == 401


def test_a_link_that_is_over_signs_nobody_in(
    site: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwire.console.accounts.LINK_S", -1)
    code = site.book.invite("carol")
    with site.client() as page:
        body = {"code": code, "password": PASSWORD}
        assert page.post("/api/sign-in/link", json=body).status_code == 401


def test_guards_have_no_browser_and_a_guess_is_slow(site: Console) -> None:
    with site.client() as page:
        body = {"token": site.sites.tokens["dog"]}
        answers = [page.post("/api/sign-in/token", json=body) for _ in range(ATTEMPTS + 1)]
        assert [each.status_code for each in answers] == [401] * ATTEMPTS + [429]
        assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "http://127.0.0.1:8001"}, 403),  # the other site's page on the same host
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "evil.example"}, 403),
        ({"content-type": "text/plain"}, 415),
    ],
)
def test_only_pages_of_this_console_change_anything(
    site: Console, headers: dict[str, str], code: int
) -> None:
    with site.signed_in(site.sites.tokens["boss"]) as page:
        sent = {"content-type": "application/json", **headers}
        assert page.post("/api/reset", content=b"{}", headers=sent).status_code == code
        assert page.post("/api/reset", json={}).status_code == 200


def test_a_name_that_was_made_to_lead_here_reads_nothing(site: Console) -> None:
    with site.client(host="evil.example") as page:
        assert page.get("/api/about").status_code == 403


def test_each_role_does_and_sees_its_own(site: Console) -> None:
    tokens = site.sites.tokens
    attack = {"kind": "intercept-resend", "share": 0.5}
    with (
        site.signed_in(tokens["alice@a"]) as alice,
        site.signed_in(tokens["carol@a"]) as carol,
        site.signed_in(tokens["eyes"]) as eyes,
        site.signed_in(tokens["boss"]) as boss,
    ):
        assert alice.post("/api/attack", json=attack).status_code == 403
        assert eyes.post("/api/attack", json=attack).status_code == 403
        assert boss.post("/api/attack", json=attack).json()["eve"] == attack
        assert boss.post("/api/attack", json={**attack, "kind": "x"}).status_code == 400
        assert boss.post("/api/reset", json={}).json()["eve"] is None
        assert eyes.post("/api/sessions", json={"peer": "bob"}).status_code == 403
        made = alice.post("/api/sessions", json={"peer": "bob"}).json()
        assert len(made["aes_key"]) == 64
        assert made["session"]["joined_at"] is None
        assert [each["session_id"] for each in alice.get("/api/sessions").json()["sessions"]] == [
            made["session"]["session_id"]
        ]
        assert carol.get("/api/sessions").json() == {"sessions": []}
        assert len(eyes.get("/api/sessions").json()["sessions"]) == 1
        acts = {each["kind"]: each["actor"] for each in eyes.get("/api/events").json()["events"]}
        assert (acts["attack"], acts["session"]) == ("boss", "alice@a")
        assert "session" not in {each["kind"] for each in carol.get("/api/events").json()["events"]}
        local = alice.post("/api/sessions", json={"peer": "carol"}).json()
        joined = carol.post("/api/sessions", json={"peer": "alice"}).json()
        assert joined["aes_key"] == local["aes_key"]
        assert joined["session"]["joined_at"] >= joined["session"]["opened_at"]
        site.sites.world.link = RED
        assert alice.post("/api/sessions", json={"peer": "bob"}).status_code == 503
        told = httpx.post(
            f"{site.url}/guard_state",
            json=REPORT,
            headers={"authorization": f"Bearer {tokens['dog']}"},
            trust_env=False,
            timeout=PATIENCE_S,
        )
        assert told.status_code == 200
        assert alice.get("/api/network").json()["guards"] is None
        assert eyes.get("/api/network").json()["guards"][0]["name"] == "dog"


def test_a_program_asks_by_its_token_and_needs_no_page(site: Console) -> None:
    headers = {"authorization": f"Bearer {site.sites.tokens['boss']}"}
    with httpx.Client(
        base_url=site.url, headers=headers, trust_env=False, timeout=PATIENCE_S
    ) as program:
        assert program.post("/api/reset", json={}).status_code == 200
        assert program.get("/api/me").json()["until"] is None
        body = {"current": None, "password": PASSWORD}
        assert program.post("/api/password", json=body).status_code == 403


def test_browsers_are_signed_out_by_time_and_by_their_account(site: Console) -> None:
    token = site.book.add("fleeting", site.book.all()[0].role)
    with site.signed_in(token) as page:
        site.clock[0] += IDLE_S - 1
        assert page.get("/api/me").status_code == 200
        site.clock[0] += IDLE_S + 1
        assert page.get("/api/me").status_code == 401
    with site.signed_in(token) as page:
        codes = []
        for _ in range(int(UNTIL_S // IDLE_S) + 1):
            site.clock[0] += IDLE_S - 1
            codes.append(page.get("/api/me").status_code)
        assert codes == [200] * (len(codes) - 1) + [401]
    with site.signed_in(token) as page:
        token = site.book.renew("fleeting")
        assert page.get("/api/me").status_code == 401
    with site.signed_in(token) as page, site.signed_in(token) as other:
        assert other.post("/api/sign-out/everywhere", json={}).status_code == 200
        assert page.get("/api/me").status_code == 401
    with site.signed_in(token) as page:
        site.book.remove("fleeting")
        assert page.get("/api/me").status_code == 401


def test_the_oldest_browser_of_an_account_gives_way(site: Console) -> None:
    account = site.book.all()[0]
    opened = [site.browsers.open(account) for _ in range(MOST_OF_ACCOUNT + 1)]
    assert site.browsers.find(opened[0]) is None
    assert all(site.browsers.find(each) for each in opened[1:])
    assert site.browsers.count(account.name) == MOST_OF_ACCOUNT
    site.browsers.close_all(account.name)


def test_a_live_page_sees_everything_and_goes_on_where_it_was(site: Console) -> None:
    with site.signed_in(site.sites.tokens["alice@a"]) as page:
        with page.stream("GET", "/api/live") as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            lines = answer.iter_lines()
            ((_, name, whole),) = events(lines, 1)
            assert (name, whole["site"], whole["guards"]) == ("network", "a", None)
            site.node.decide(5.0, secret_bits=600)
            site.look()
            ((seen, name, block),) = [x for x in events(lines, 3) if x[1] == "block"]
            assert (name, block["secret_bits"]) == ("block", 600)
        site.sites.world.link = RED
        site.look()
        with page.stream("GET", "/api/live", headers={"last-event-id": seen}) as answer:
            missed = events(answer.iter_lines(), 2)
            assert "network" not in {name for _, name, _ in missed}
        for unknown in ("", "x-1", "0123456789abcdef-1", seen.partition("-")[0] + "-x"):
            with page.stream("GET", "/api/live", headers={"last-event-id": unknown}) as answer:
                assert events(answer.iter_lines(), 1)[0][1] == "network"


def test_who_was_away_too_long_begins_anew_and_who_is_signed_out_hears_so(site: Console) -> None:
    with site.signed_in(site.sites.tokens["alice@a"]) as page:
        with page.stream("GET", "/api/live") as answer:
            ((seen, _, _),) = events(answer.iter_lines(), 1)
        site.publish("stock", times=KEPT + 1)  # nobody listens
        with page.stream("GET", "/api/live", headers={"last-event-id": seen}) as answer:
            lines = answer.iter_lines()
            assert [name for _, name, _ in events(lines, 1)] == ["network"]
            site.clock[0] += UNTIL_S
            site.publish("stock")
            assert [name for _, name, _ in events(lines, 1)] == ["signed_out"]
            assert not any(lines)


def test_what_operators_alone_may_see_is_not_told_to_members(site: Console) -> None:
    with (
        site.signed_in(site.sites.tokens["alice@a"]) as page,
        page.stream("GET", "/api/live") as answer,
    ):
        lines = answer.iter_lines()
        events(lines, 1)
        site.publish("guards", watchers=True)
        site.publish("stock", watchers=True, names=frozenset({"alice"}))
        assert [name for _, name, _ in events(lines, 1)] == ["stock"]


def test_a_node_that_began_anew_is_followed_and_one_that_is_gone_is_said_to_be(
    site: Console,
) -> None:
    site.node.decide(10.0, secret_bits=1)
    site.look()
    site.node.said.clear()
    site.node.decide(11.0, secret_bits=2)
    site.look()
    site.look()
    assert [each.secret_bits for each in site.watch.blocks][-2:] == [1, 2]
    with site.signed_in(site.sites.tokens["alice@a"]) as page:
        newest = page.get("/api/blocks?limit=1").json()
        assert newest["more"] is True
        before = page.get(f"/api/blocks?before={newest['blocks'][0]['seq']}&limit=1").json()
        assert [each["secret_bits"] for each in before["blocks"]] == [1]
        assert page.get(f"/api/blocks?after={newest['blocks'][0]['seq']}").json()["blocks"] == []
        assert page.get("/api/stock").json()["samples"][-1]["stock_bits"] == 1000
        history = page.get("/api/history?since=5&limit=1").json()["records"]
        assert [each["at"] for each in history] == [5.0]
        for query in ("limit=0", "limit=1001", "limit=x", "limit=1&limit=1", "after=-1", "limit=%"):
            assert page.get(f"/api/blocks?{query}").status_code == 400
    site.node.there = False
    site.look()


def test_a_stock_that_shrinks_says_when_it_is_used_up(
    site: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.watch.samples.clear()
    for second, stock in ((100.0, 1000), (110.0, 800)):
        monkeypatch.setattr("bellwire.console.watching.time.time", lambda now=second: now)
        site.node.stock_bits = stock
        site.look()
    last = site.watch.samples[-1]
    assert (last.change_per_s, last.empty_at) == (-20.0, 150.0)


def test_every_operation_is_answered_and_nothing_else(site: Console) -> None:
    with site.client() as page:
        for each in OPERATIONS:
            path = each.path.decode()
            if each.roles and each.verb == b"GET":
                assert page.get(path).status_code == 401
            elif each.roles:
                assert page.post(path, json={}).status_code == 401
        wrong = page.post("/api/about", json={})
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
        assert page.get("/api/x").status_code == 404
        assert page.get("/api/about").headers["cache-control"] == "no-store"
        described = page.get("/openapi.json").json()
        assert {each.path.decode() for each in OPERATIONS} <= set(described["paths"])
        named = [op["operationId"] for path in described["paths"].values() for op in path.values()]
        assert len(set(named)) == len(named)


@pytest.mark.parametrize("who", ["alice@a", "boss", "eyes"])
def test_everybody_who_is_signed_in_reads_the_record(site: Console, who: str) -> None:
    with site.signed_in(site.sites.tokens[who]) as page:
        assert page.get("/api/about").json()["record"] is True
        found = page.get("/api/record").json()
        assert (found["size"], found["witnesses"][0]["name"]) == (3, "w")
        wanted = {"size": "2", "limit": "1", "writer": "site-a"}
        shown = page.get("/api/record/entries", params=wanted).json()
        assert [each["number"] for each in shown["entries"]] == [1]
        proof = page.get("/api/record/consistency", params={"old": "1", "size": "2"}).json()
        assert (proof["old"], proof["size"], len(proof["proof"])) == (1, 2, 1)
        assert page.get("/api/record/entries", params={"size": "4"}).status_code == 400
        assert page.get("/api/record/entries", params={"limit": "201"}).status_code == 400


def test_a_log_that_is_not_what_it_signed_is_told(site: Console) -> None:
    kept = dict(site.log.files)
    path = "tile/entries/000.p/3"
    site.log.files[path] = kept[path].replace(b"stop", b"pass")
    with site.signed_in(site.sites.tokens["eyes"]) as page:
        answer = page.get("/api/record/entries")
        site.log.files.update(kept)
        assert answer.status_code == 502
        assert "entry 0" in answer.json()["message"]
        assert page.get("/api/record/entries").status_code == 200


def test_outside_the_lab_nobody_lets_eve_in(tmp_path: Path) -> None:
    with console(tmp_path, lab=False) as plain:
        plain.look()
        with plain.signed_in(plain.sites.tokens["boss"]) as page:
            assert page.post("/api/reset", json={}).status_code == 403
            assert page.get("/api/network").json()["lab"] is None
            assert page.get("/api/about").json()["record"] is False
            assert page.get("/api/record").status_code == 404
