"""The devices of a site at its console: who sees them, who acts, and what is not there."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.iot.doubles import CLOUD, CLOUD_KEY, DEVICE
from tests.iot.test_operator import no_socket
from tests.web.pages import Console, console
from tests.web.test_admission import PUBLIC, plain
from tests.web.test_admission import Desk as Door
from tests.web.test_admission import desk as door

from bellwire.admission import operator as at_door
from bellwire.admission.register import Gate, Standing
from bellwire.admission.service import revoke
from bellwire.base.operating import operated
from bellwire.iot import operator as at_cloud
from bellwire.iot.cloud import Cloud
from bellwire.iot.code import parse_code
from bellwire.iot.counters import SeenCounters
from bellwire.iot.gateway.queue import MessageQueue
from bellwire.iot.identity import AllowList, write_public
from bellwire.iot.invitations import Invitations
from bellwire.iot.roster import Roster
from bellwire.iot.store import CloudStore
from bellwire.web.admission import AdmissionApi

FINGERPRINT = DEVICE.fingerprint.hex()
READ = ("/api/devices", "/api/devices/messages", "/api/admission")
ACTS: dict[str, dict[str, Any]] = {
    "/api/devices/invite": {"name": "sensor-7", "minutes": 5},
    "/api/devices/invite/cancel": {"id": "0" * 32},
    "/api/devices/remove": {"fingerprint": FINGERPRINT},
    "/api/admission": {"handle": "alice", "decision": "admit"},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("devices")) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(site: Console) -> None:
    site.clock[0] += 1000.0


@contextlib.contextmanager
def cloud_at(site: Console) -> Iterator[Invitations]:
    """A cloud in the site's state folder, with one device on its list."""
    folder = site.folder / "cloud"
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(CloudStore(folder))
        counters = stack.enter_context(contextlib.closing(SeenCounters(folder / "handshakes")))
        messages = stack.enter_context(MessageQueue(folder))
        admitted = AllowList(folder / "allowed")
        write_public(folder / "allowed" / "one.pub", DEVICE)
        kept = Invitations(folder / "invitations", folder / "allowed")
        roster = Roster(admitted, store)

        async def open_() -> contextlib.AsyncExitStack:
            cloud = Cloud(
                identity=CLOUD_KEY,
                name=CLOUD.name,
                admitted=admitted,
                store=store,
                keys=None,
                counters=counters,
                invitations=kept,
            )
            roster.watch(cloud.reception)
            desk = at_cloud.Desk(
                CLOUD.name,
                {"tcp": "127.0.0.1:1"},
                roster=roster,
                admitted=admitted,
                invitations=kept,
                messages=messages,
                reception=cloud.reception,
            )
            opened = contextlib.AsyncExitStack()
            await opened.enter_async_context(
                operated(folder, at_cloud.REQUESTS, desk.answer, no_socket)
            )
            return opened

        running = site.loop.wait(open_())
        try:
            yield kept
        finally:
            site.loop.wait(running.aclose())


@contextlib.contextmanager
def door_at(site: Console) -> Iterator[Door]:
    """A server of admission in the site's state folder."""
    state = site.folder
    folder = state / "admission"
    with door(state, gate=Gate.EITHER) as found:
        admission = found.admission
        desk = at_door.OperatorDesk(
            "here",
            "either",
            admission.register,
            admission.turn,
            evidence=admission.evidence,
            revoke=lambda handle, now: revoke(admission.register, [found.authority], handle, now),
            carry=AdmissionApi(admission).carry,
        )

        async def open_() -> contextlib.AsyncExitStack:
            opened = contextlib.AsyncExitStack()
            await opened.enter_async_context(
                operated(
                    folder,
                    at_door.REQUESTS,
                    desk.answer,
                    no_socket,
                    request_limit=at_door.REQUEST_LIMIT,
                )
            )
            return opened

        running = site.loop.wait(open_())
        try:
            yield found
        finally:
            site.loop.wait(running.aclose())


@pytest.fixture
def boss(site: Console) -> Iterator[httpx.Client]:
    with site.signed_in(site.sites.tokens["boss"]) as page:
        yield page


def test_operators_act_auditors_read_and_members_see_nothing(site: Console) -> None:
    tokens = site.sites.tokens
    with site.signed_in(tokens["eyes"]) as eyes, site.signed_in(tokens["alice@a"]) as alice:
        for path in READ:
            assert alice.get(path).status_code == 403
        assert alice.get(f"/api/devices/readings?device={FINGERPRINT}").status_code == 403
        for path in ("/api/devices", "/api/admission"):
            assert eyes.get(path).status_code == 200
        for path, body in ACTS.items():
            assert alice.post(path, json=body).status_code == 403
            assert eyes.post(path, json=body).status_code == 403


def test_where_nothing_runs_it_is_said(site: Console, boss: httpx.Client) -> None:
    assert boss.get("/api/devices").json() == {"cloud": None}
    assert boss.get("/api/admission").json() == {"admission": None}
    assert boss.get(f"/api/devices/readings?device={FINGERPRINT}").status_code == 503
    for path, body in ACTS.items():
        answer = boss.post(path, json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "runs at this site" in answer.json()["message"]


def test_another_page_changes_nothing(site: Console, boss: httpx.Client) -> None:
    with cloud_at(site) as kept:
        for path, body in ACTS.items():
            answer = boss.post(path, json=body, headers={"origin": "http://evil.example"})
            assert answer.status_code == 403
        assert kept.all() == []


def test_a_device_is_invited_shown_and_removed(site: Console, boss: httpx.Client) -> None:
    with cloud_at(site) as kept:
        made = boss.post("/api/devices/invite", json=ACTS["/api/devices/invite"])
        assert made.headers["cache-control"] == "no-store"
        found = made.json()
        assert parse_code(found["code"]).id.hex() == found["invitation"]["id"]
        assert (found["at"], found["invitation"]["state"]) == ("127.0.0.1:1", "open")
        assert {len(row) for row in found["qr"]} == {len(found["qr"])}
        assert set("".join(found["qr"])) == {"0", "1"}
        cloud = boss.get("/api/devices").json()["cloud"]
        assert [each["name"] for each in cloud["devices"]] == [DEVICE.name]
        assert [each["name"] for each in cloud["invitations"]] == ["sensor-7"]
        assert found["code"] not in str(cloud)
        assert boss.get("/api/devices?find=zzz").json()["cloud"]["found"] == 0
        readings = boss.get(f"/api/devices/readings?device={FINGERPRINT}").json()
        assert readings == {"stream": "", "at": None, "begin": "", "readings": []}
        assert boss.get("/api/devices/messages").json() == {"routes": []}
        cancel = {"id": found["invitation"]["id"]}
        assert boss.post("/api/devices/invite/cancel", json=cancel).status_code == 200
        assert kept.all() == []
        assert boss.post("/api/devices/invite/cancel", json=cancel).status_code == 400
        gone = {"fingerprint": FINGERPRINT}
        assert boss.post("/api/devices/remove", json=gone).status_code == 200
        assert boss.get("/api/devices").json()["cloud"]["devices"] == []
        assert boss.post("/api/devices/remove", json=gone).status_code == 400


def test_what_is_not_asked_for_is_refused(site: Console, boss: httpx.Client) -> None:
    asked: list[tuple[str, object]] = [
        ("/api/devices/invite", {"name": "", "minutes": 5}),
        ("/api/devices/invite", {"name": "x" * 61, "minutes": 5}),
        ("/api/devices/invite", {"name": "a\u0000b", "minutes": 5}),
        ("/api/devices/invite", {"name": "x", "minutes": 0.5}),
        ("/api/devices/invite", {"name": "x", "minutes": 1e9}),
        ("/api/devices/invite", {"name": "x"}),
        ("/api/devices/invite/cancel", {"id": "0" * 31}),
        ("/api/devices/remove", {"fingerprint": "g" * 64}),
        ("/api/devices/remove", {"fingerprint": f"{'0' * 64}\n"}),
        ("/api/admission", {"handle": "alice", "decision": "promote"}),
        ("/api/admission", {"handle": "../../x", "decision": "admit"}),
        ("/api/admission", {"handle": "nobody", "decision": "admit"}),
        ("/api/admission", []),
    ]
    with cloud_at(site), door_at(site):
        for path, body in asked:
            answer = boss.post(path, json=body)
            assert answer.status_code == 400, (path, body, answer.text)


def test_no_fingerprint_is_no_device(site: Console, boss: httpx.Client) -> None:
    with cloud_at(site):
        for said in ("", "?device=", "?device=xyz", f"?device={'0' * 65}", "?limit=0"):
            assert boss.get(f"/api/devices/readings{said}").status_code == 400


def test_a_newcomer_waits_with_its_evidence_and_is_let_in(
    site: Console, boss: httpx.Client
) -> None:
    with door_at(site) as there:
        waiting = there.post("/register/", there.whole("alice"))
        assert waiting.status_code == 202
        odd = there.whole("mallory")
        odd["quantum_state"] = {**odd["quantum_state"], "ping": 900.0}
        assert there.post("/register/", odd).status_code == 403
        found = boss.get("/api/admission").json()["admission"]
        (alice,) = found["registrations"]
        assert (alice["handle"], alice["standing"], alice["verdict"]) == (
            "alice",
            "waiting",
            "SECURE",
        )
        assert alice["evidence"]["measured"]["address"] == "127.0.0.1"
        assert alice["evidence"]["echoes"] == 8
        (mallory,) = found["turned_away"]
        assert (mallory["handle"], mallory["verdict"]) == ("mallory", "INSECURE")
        assert any("900.0 ms is claimed" in each for each in mallory["reasons"])
        decided = boss.post("/api/admission", json={"handle": "alice", "decision": "admit"}).json()
        assert (decided["standing"], decided["by"]) == ("admitted", "operator")
        assert there.post("/register/", there.whole("alice")).status_code == 200
        again = boss.get("/api/admission?find=ali").json()["admission"]
        assert again["counts"]["admitted"] == 1
        assert again["registrations"][0]["evidence"] is None
        revoked = boss.post("/api/admission", json={"handle": "alice", "decision": "revoke"})
        assert revoked.json()["standing"] == "revoked"
        assert there.post("/register/", there.whole("alice")).status_code == 403


def test_a_member_registers_by_the_console_from_the_address_that_it_saw(site: Console) -> None:
    path = "/api/register"
    with site.signed_in(site.sites.tokens["alice@a"]) as alice:
        assert alice.get(path).json() == {"door": None}
        asked = {"username": "attic", "public_keys": plain(PUBLIC)}
        assert alice.post(f"{path}/challenge", json=asked).status_code == 503
        with door_at(site) as there:
            assert alice.get(path).json() == {"door": {"server": "here", "gate": "either"}}
            whole = there.whole(
                "attic", ask=lambda step, body: alice.post(f"/api{step}", json=body)
            )
            assert whole["quantum_state"]["ip_address"] == "127.0.0.1"
            stolen = {**whole, "username": "attic2"}
            assert alice.post(path, json=stolen).status_code == 403
            whole = there.whole(
                "attic", ask=lambda step, body: alice.post(f"/api{step}", json=body)
            )
            answer = alice.post(path, json=whole)
            assert (answer.status_code, answer.json()["status"]) == (200, "waiting")
            echo = {"challenge": whole["challenge"], "word": whole["challenge"]}
            assert alice.post(f"{path}/echo", json=echo).status_code == 403
            found = there.admission.register.find("attic")
            assert found is not None
            assert found.standing is Standing.WAITING
            assert (
                alice.post(f"{path}/challenge", json={**asked, "username": "1"}).status_code == 422
            )


def test_nobody_registers_who_is_not_signed_in(site: Console) -> None:
    with door_at(site), httpx.Client(base_url=site.url, trust_env=False) as nobody:
        for path in ("/challenge", "/echo", ""):
            assert nobody.post(f"/api/register{path}", json={}).status_code in {401, 403}
        assert nobody.get("/api/register").status_code == 401
