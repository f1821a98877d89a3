"""Registration over the wire: codes, shapes, garbage, who may, and how often."""

import asyncio
import base64
import contextlib
import json
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.admission.models import Say, judged, model
from tests.ledger.logs import WITNESSES
from tests.ledger.outbox.test_delivery import carrier_to
from tests.patience import PATIENCE_S
from tests.web.doors import Loop
from tests.web.test_log import Running, running

from bellwire.admission import recording
from bellwire.admission.channel import ChannelDesk
from bellwire.admission.client import AdmissionClient
from bellwire.admission.desk import sae_of
from bellwire.admission.errors import AdmissionAbsent, AdmissionRefused, AdmissionUnusable
from bellwire.admission.keys import own_keys
from bellwire.admission.model import ModelAssessor
from bellwire.admission.possession import PUBLIC_BYTES, generate, prove, public_bytes
from bellwire.admission.receipts import Receipts
from bellwire.admission.register import Gate, Register, Standing
from bellwire.admission.service import Admission
from bellwire.admission.service import revoke as take_back
from bellwire.chat.messenger.home import Home, make
from bellwire.cli.main import run
from bellwire.iot import enrolment
from bellwire.iot.identity import AllowList, load_or_create
from bellwire.ledger.fetching import fetching
from bellwire.ledger.outbox.delivery import Delivery
from bellwire.ledger.outbox.outbox import Outbox
from bellwire.pki.authority import Authority, authorities_in
from bellwire.pki.index import State
from bellwire.pki.registry import Registry
from bellwire.web.admission import ADMISSION_LIMITS, AdmissionApi
from bellwire.web.api import ApiServer
from bellwire.web.settings import DoorLimits

LIMITS = replace(ADMISSION_LIMITS, linger_s=0.1, requests_per_s=1e5, burst=1e5)
NAME = "admission.test"
KEYS = {kind: generate(kind) for kind in PUBLIC_BYTES}
PUBLIC = {kind: public_bytes(key) for kind, key in KEYS.items()}


@dataclass
class Desk:
    """A server of admission, and what is behind it."""

    url: str
    http: httpx.Client
    admission: Admission
    authority: Authority

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, content=content, headers=headers)

    def whole(
        self,
        handle: str = "alice",
        ask: Callable[[str, object], httpx.Response] | None = None,
        **other: object,
    ) -> dict[str, Any]:
        """A registration that would be taken, but for what is given; by another way, if one is."""
        ask = ask or self.post
        asked = {"username": handle, "public_keys": plain(PUBLIC)}
        challenge = ask("/register/challenge", asked).json()
        word = challenge["word"]
        for _ in range(8):
            said = {"challenge": challenge["challenge"], "word": word}
            word = ask("/register/echo", said).json()["word"]
        pending = self.admission.challenges._open[base64.b64decode(challenge["challenge"])]
        assert len(pending.times_ms) == 8
        pending.times_ms[:] = [1.0, 2.0] * 4  # how busy this machine is, is no matter here
        proofs = prove(
            NAME,
            handle,
            KEYS,
            base64.b64decode(challenge["nonce"]),
            {kind: base64.b64decode(each) for kind, each in challenge["ciphertexts"].items()},
        )
        state = {"ping": 1.0, "jitter": 1.0, "ip_address": challenge["ip_address"]}
        return {
            **asked,
            "quantum_state": state,
            "challenge": challenge["challenge"],
            "proofs": plain(proofs),
            **other,
        }


def plain(given: dict[str, bytes]) -> dict[str, str]:
    return {kind: base64.b64encode(each).decode() for kind, each in given.items()}


@contextlib.contextmanager
def desk(
    folder: Path,
    *,
    gate: Gate = Gate.OPEN,
    proxies: int = 0,
    limits: DoorLimits = LIMITS,
    say: Say | None = None,
    log: str | None = None,
    channel: Callable[[Register], ChannelDesk] | None = None,
) -> Iterator[Desk]:
    authority = Authority(folder / "ca", "a")
    authority.create()
    register = Register(folder / "admission", recorded=log is not None)
    with contextlib.ExitStack() as stack:
        stack.callback(register.close)
        assessor = None
        if say is not None:
            url = stack.enter_context(model(say)).url
            assessor = ModelAssessor(url, "judge", None, ssl.create_default_context())
        loop = stack.enter_context(Loop(asyncio.new_event_loop))
        admission = Admission(
            NAME,
            register,
            authority,
            channel=None if channel is None else channel(register),
            gate=gate,
            assessor=assessor,
        )
        told = None if log is None else Receipts(register, stack.enter_context(fetching(log)))
        api = AdmissionApi(admission, told, proxies=proxies, limits=limits)
        server = ApiServer(api.answer, limits)
        host, port = loop.wait(server.start("127.0.0.1", 0, None))
        try:
            url = f"http://{host}:{port}"
            with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as http:
                yield Desk(url, http, admission, authority)
        finally:
            loop.wait(server.stop(1.0))


def refused(answer: httpx.Response, code: int) -> str:
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) <= {"message", "details"}
    return str(answer.json()["message"])


def test_a_newcomer_is_registered_and_its_certificate_is_of_its_own_key(tmp_path: Path) -> None:
    with desk(tmp_path) as found:
        answer = found.post("/register/", found.whole())
        assert answer.status_code == 201, answer.text
        said = answer.json()
        assert (said["username"], said["status"], said["verdict"]) == (
            "alice",
            "admitted",
            "SECURE",
        )
        made = x509.load_pem_x509_certificate(said["certificate"]["certificate"].encode())
        registry = Registry(found.authority.folder)
        whose = registry.identify(made.public_bytes(Encoding.DER))
        assert whose == sae_of("alice") == said["certificate"]["sae_id"]
        point = made.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert point == PUBLIC["p-256"]
        again = found.post("/register", found.whole())
        assert (again.status_code, again.json()["since"]) == (200, said["since"])


def test_a_certificate_ends_with_the_admission(tmp_path: Path) -> None:
    with desk(tmp_path) as found:
        said = found.post("/register/", found.whole()).json()
        made = x509.load_pem_x509_certificate(said["certificate"]["certificate"].encode())
        assert 6.9 < (said["certificate"]["not_after"] - said["since"]) / 86_400 < 7.1
        take_back(found.admission.register, [found.authority], "alice", said["since"])
        take_back(found.admission.register, [found.authority], "alice", said["since"])
        assert Registry(found.authority.folder).identify(made.public_bytes(Encoding.DER)) is None
        assert "revoked" in refused(found.post("/register/", found.whole()), 403)


def test_no_name_is_that_of_another_sae(tmp_path: Path) -> None:
    with desk(tmp_path) as found:
        console = found.authority.issue("console-a")
        said = found.post("/register/", found.whole("console-a")).json()
        assert said["certificate"]["sae_id"] == "registered:console-a"
        take_back(found.admission.register, [found.authority], "console-a", said["since"])
        assert console.record.state(said["since"]) is State.VALID


def test_the_operator_lets_in_where_the_gate_says_so(tmp_path: Path) -> None:
    with desk(tmp_path, gate=Gate.OPERATOR) as found:
        answer = found.post("/register/", found.whole())
        assert (answer.status_code, answer.json()["status"]) == (202, "waiting")
        assert answer.json()["certificate"] is None
        found.admission.register.decide("alice", Standing.ADMITTED, 1)
        answer = found.post("/register/", found.whole())
        assert (answer.status_code, answer.json()["status"]) == (200, "admitted")
        assert answer.json()["certificate"] is not None


def test_a_name_that_is_taken_is_a_conflict(tmp_path: Path) -> None:
    with desk(tmp_path) as found:
        body = found.whole()
        assert found.post("/register/", body).status_code == 201
        found.admission.register.decide("alice", Standing.REVOKED, 1)
        other = generate("ed25519")
        keys = {"ed25519": public_bytes(other)}
        for name in ("alice", "a1ice"):
            asked = {"username": name, "public_keys": plain(keys)}
            challenge = found.post("/register/challenge", asked).json()
            word = found.post(
                "/register/echo", {"challenge": challenge["challenge"], "word": challenge["word"]}
            )
            assert word.status_code == 200
            nonce = base64.b64decode(challenge["nonce"])
            proofs = prove(NAME, name, {"ed25519": other}, nonce, {})
            state = {"ping": 1.0, "jitter": 1.0, "ip_address": "127.0.0.1"}
            words = {
                **asked,
                "quantum_state": state,
                "challenge": challenge["challenge"],
                "proofs": plain(proofs),
            }
            refused(found.post("/register/", words), 409)


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"username": "Ali ce"}, 422, "characters"),
        ({"username": "аlice"}, 422, "characters"),
        ({"username": "x" * 65}, 422, "length"),
        ({"username": 7}, 422, "expected `str`"),
        ({"username": "bobby"}, 403, "of the challenge"),
        ({"public_keys": {}}, 403, "of the challenge"),
        ({"public_keys": {"ed25519": "!!"}}, 422, "base64"),
        ({"public_keys": {"ed25519": "A" * 4000}}, 422, "length"),
        ({"proofs": {}}, 403, "a proof of"),
        ({"challenge": "AAAA"}, 403, "a challenge"),
        ({"quantum_state": {"ping": -1, "jitter": 0, "ip_address": "127.0.0.1"}}, 422, "ping"),
        ({"quantum_state": {"ping": 1, "jitter": "0", "ip_address": "127.0.0.1"}}, 422, "float"),
        ({"quantum_state": {"ping": 1, "jitter": 0, "ip_address": "localhost"}}, 422, "IPv4"),
        ({"quantum_state": {"ping": 1}}, 422, "missing"),
        ({"quantum_state": {"ping": 1, "jitter": 1, "ip_address": "192.0.2.1"}}, 403, "address"),
        ({"quantum_state": {"ping": 900, "jitter": 1, "ip_address": "127.0.0.1"}}, 403, "ping"),
        ({"token": "x" * 129}, 422, "length"),
    ],
)
def test_what_is_no_registration_is_refused_with_its_reason(
    tmp_path: Path, change: dict[str, object], code: int, word: str
) -> None:
    with desk(tmp_path) as found:
        message = refused(found.post("/register/", {**found.whole(), **change}), code)
        assert word in message
        assert found.admission.register.all() == []


def test_a_registration_serves_once(tmp_path: Path) -> None:
    with desk(tmp_path) as found:
        body = found.whole()
        assert found.post("/register/", body).status_code == 201
        assert "a challenge" in refused(found.post("/register/", body), 403)


def test_without_echoes_there_is_no_verdict(tmp_path: Path) -> None:
    with desk(tmp_path) as found:
        asked = {"username": "alice", "public_keys": plain(PUBLIC)}
        challenge = found.post("/register/challenge", asked).json()
        ciphertexts = {k: base64.b64decode(v) for k, v in challenge["ciphertexts"].items()}
        nonce = base64.b64decode(challenge["nonce"])
        words = {
            **asked,
            "quantum_state": {"ping": 1.0, "jitter": 1.0, "ip_address": "127.0.0.1"},
            "challenge": challenge["challenge"],
            "proofs": plain(prove(NAME, "alice", KEYS, nonce, ciphertexts)),
        }
        assert "echoes" in refused(found.post("/register/", words), 403)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"\xff", b"{" * 1000, b'{"a": 1'])
@pytest.mark.parametrize("path", ["/register/", "/register/challenge", "/register/echo"])
def test_garbage_is_refused_in_one_form(tmp_path: Path, path: str, body: bytes) -> None:
    with desk(tmp_path) as found:
        answer = found.post(path, body)
        assert answer.status_code in {400, 422}
        refused(answer, answer.status_code)
        refused(found.post(path, b"x" * 70_000), 413)
        refused(found.http.get(path), 405)
        refused(found.post(path + "x", body), 404)


def test_a_model_that_is_away_leaves_it_to_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwire.admission.model.TRIES", 1)
    answers = [(500, b""), judged("INSECURE", 90, "It drifts."), judged("SECURE", 1)]
    with desk(tmp_path, say=lambda _: answers.pop(0)) as found:
        assert found.post("/register/", found.whole()).status_code == 202
        assert "It drifts." in refused(found.post("/register/", found.whole()), 403)
        assert found.post("/register/", found.whole()).json()["assessor"] == "judge"


def test_behind_a_proxy_the_address_is_the_one_that_it_adds(tmp_path: Path) -> None:
    asked = {"username": "alice", "public_keys": plain(PUBLIC)}
    with desk(tmp_path / "one", proxies=1) as found:
        said = found.post(
            "/register/challenge", asked, **{"x-forwarded-for": "203.0.113.9, 2001:db8::7"}
        )
        assert said.json()["ip_address"] == "2001:db8::7"
        assert "proxies" in refused(found.post("/register/challenge", asked), 422)
    with desk(tmp_path / "none") as found:
        said = found.post("/register/challenge", asked, **{"x-forwarded-for": "203.0.113.9"})
        assert said.json()["ip_address"] == "127.0.0.1"


def test_an_address_may_ask_so_often_and_no_more(tmp_path: Path) -> None:
    asked = {"username": "alice", "public_keys": plain(PUBLIC)}
    with desk(tmp_path) as found:
        codes = [found.post("/register/challenge", asked).status_code for _ in range(30)]
        assert codes[:20] == [200] * 20
        assert 429 in codes
        late = found.post("/register/challenge", asked)
        if late.status_code == 429:
            assert int(late.headers["retry-after"]) >= 1


def test_a_client_proves_itself_to_the_server_that_it_means(tmp_path: Path) -> None:
    async def register(url: str, name: str) -> None:
        keys = own_keys(tmp_path / "keys")
        async with AdmissionClient.to(url, name) as client:
            assert (await client.register("alice", keys)).status is Standing.ADMITTED

    with desk(tmp_path) as found:
        with pytest.raises(AdmissionRefused, match="expected the server 'other'"):
            asyncio.run(register(found.url, "other"))
        assert found.admission.register.all() == []
        asyncio.run(register(found.url, NAME))
        asyncio.run(register(found.url, NAME))
    with pytest.raises(AdmissionAbsent):
        asyncio.run(register(found.url, NAME))


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://127.0.0.1", "https://", "https://u:p@h", "https://[::1"]
)
def test_a_server_that_cannot_be_asked_safely_is_not_asked(url: str) -> None:
    with pytest.raises(AdmissionUnusable):
        AdmissionClient.to(url)


@contextlib.contextmanager
def a_log(folder: Path) -> Iterator[tuple[Loop, Running]]:
    folder.mkdir(0o700)
    with Loop(asyncio.new_event_loop) as loop:
        there = running(folder)
        log = loop.wait(there.__aenter__())
        try:
            yield loop, log
        finally:
            loop.wait(there.__aexit__(None, None, None))


async def bring(register: Register, log: Running) -> None:
    """What waits, until the log shows it."""
    async with carrier_to(log) as carrier:
        outbox = Outbox(register.transaction, "site-a", recording.noted)
        await Delivery(outbox, carrier).step()
    await log.signed(log.service.store.head.size)


def test_a_receipt_is_to_be_had_as_soon_as_the_log_shows_the_registration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(code: int, *words: object) -> Any:
        capsys.readouterr()
        assert run([*map(str, words), "--json"]) == code
        # The server of this process says on standard output, too, what it does.
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    with a_log(tmp_path / "log") as (loop, log), desk(tmp_path, log=str(log.client.base_url)) as at:
        key = log.service.signer.identity.keys[1]
        policy, others = tmp_path / "policy", tmp_path / "others"
        policy.write_text(f"log {key}\nquorum none\n")
        register = ("register", "bobby", "--at", at.url, "--server", NAME, "--state", tmp_path)
        kept = (*register, "--log-within", 0, "--log-policy")
        assert at.post("/register/", at.whole()).json()["receipt"] == "/register/receipts/alice"
        assert said(0, *kept, policy)["receipt"] is None
        first = at.http.get("/register/receipts/bobby")
        assert (first.status_code, first.headers["retry-after"]) == (202, "1")
        loop.wait(bring(at.admission.register, log))
        file = said(0, *kept, policy)["receipt"]
        checked = said(0, "log", "verify", file, "--policy", policy)
        assert (checked["entry"]["index"], checked["size"]) == (1, 2)
        assert run([*map(str, register)]) == 0
        assert "name a --log-policy" in capsys.readouterr().out
        others.write_text(f"log {key}\nwitness w {WITNESSES[0][1].verifier}\nquorum w\n")
        assert said(3, *kept, others)["error"]["code"] == 3
        given = at.http.get("/register/receipts/alice")
        assert given.headers["content-type"].startswith("text/plain")
        assert given.content.startswith(b"c2sp.org/tlog-proof@v1\n")
        refused(at.http.get("/register/receipts/carol"), 404)
        refused(at.http.get("/register/receipts/%2e%2e"), 422)
        refused(at.post("/register/receipts/alice"), 405)
    (tmp_path / "elsewhere").mkdir(0o700)
    with desk(tmp_path / "elsewhere") as without:
        assert without.post("/register/", without.whole()).json()["receipt"] is None
        refused(without.http.get("/register/receipts/alice"), 404)


def test_devices_and_clouds_take_each_other_as_the_log_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(code: int, *words: object) -> Any:
        capsys.readouterr()
        assert run([*map(str, words), "--json"]) == code
        # The server of this process says on standard output, too, what it does.
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    ours, theirs = tmp_path / "a", tmp_path / "b"
    with a_log(tmp_path / "log") as (loop, log), desk(tmp_path, log=str(log.client.base_url)) as at:
        key = str(log.service.signer.identity.keys[1])
        there = ("--at", at.url, "--server", NAME)
        said(0, "register", "thermo-1", "--device", *there, "--state", ours)
        said(0, "register", "cloud-b", "--cloud", *there, "--state", theirs)
        said(0, "register", "alice", *there, "--state", ours)
        said(2, "register", "alice", "--cloud", "--device", *there, "--state", ours)
        said(2, "register", "alice", "--key-protection", "plain", *there, "--state", ours)
        loop.wait(bring(at.admission.register, log))
        find = ("--log", log.client.base_url, "--key", key)
        allowed, pin = theirs / "cloud" / "allowed", tmp_path / "cloud.pub"
        allowed.mkdir(0o700)
        seen = said(0, "people", "find", "thermo-1", *find, "--allow", allowed, "--state", theirs)
        assert seen["pinned"] == [str(allowed / "thermo-1.pub")]
        assert said(0, "people", "find", "cloud-b", *find, "--cloud-key", pin, "--state", ours)
        found = said(3, "people", "find", "alice", *find, "--cloud-key", pin, "--state", ours)
        assert "expected the key of a device or a cloud" in found["error"]["message"]
    done = said(0, "device", "enroll", "--cloud-key", pin, "--state", ours)
    assert seen["channel"] == done["device"]
    (admitted,) = AllowList(allowed).load().values()
    assert (admitted.name, admitted.fingerprint.hex()) == ("thermo-1", done["device"])
    identity, cloud = enrolment.load(ours / "device")
    assert identity.public_bytes == admitted.public
    assert (cloud.name, cloud.public) == ("cloud", load_or_create(theirs / "cloud").public_bytes)


def test_a_log_that_is_away_gives_no_receipt_now(tmp_path: Path) -> None:
    with desk(tmp_path, log="http://127.0.0.1:9") as at:
        assert at.post("/register/", at.whole()).status_code == 201
        outbox = Outbox(at.admission.register.transaction, "site-a", recording.noted)
        outbox.taken(outbox.first(), [7])
        refused(at.http.get("/register/receipts/alice"), 503)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., str]]:
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> str:
        command = [sys.executable, "-m", "bellwire", "admission", "run", "--with-parent"]
        process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", "--state", str(tmp_path / "state"), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        return str(ready["url"])

    yield start
    for each in started:
        each.send_signal(signal.SIGKILL)
        each.communicate()


def test_a_name_is_registered_from_the_command_line_and_outlives_the_server(
    tmp_path: Path, server: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert run([*words, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    state, own = ["--state", str(tmp_path / "state")], ["--state", str(tmp_path / "own")]
    url = server("--site", "a")
    assert run(["register", "alice", "--at", url, *own]) == 0
    told = capsys.readouterr()
    assert "alice is waiting" in told.out
    assert "alice will be a public name" in told.err
    assert said("register", "alice", "--at", url, *own)["status"] == "waiting"
    assert [
        e["username"] for e in said("admission", "list", "--waiting", *state)["registrations"]
    ] == ["alice"]
    assert said("admission", "admit", "alice", *state)["status"] == "admitted"
    token = tmp_path / "token"
    said("admission", "token", "for bob", "--out", str(token), *state)
    bob = said("register", "bob", "--at", url, "--token", str(token), *own)
    assert (bob["status"], bob["sae_id"]) == ("admitted", "registered:bob")
    assert re.match("-----BEGIN CERT", Path(bob["files"]["certificate"]).read_text())
    make(tmp_path / "own", "carol", Home("carol", "", "", f"file:{tmp_path / 'keks'}"))
    assert said("register", "carol", "--as", "carol", "--at", url, *own)["status"] == "waiting"
    context = ssl.create_default_context(cafile=bob["files"]["ca"])
    context.load_cert_chain(bob["files"]["certificate"], bob["files"]["key"])
    url = server_again(server, "--site", "a")
    assert said("register", "alice", "--at", url, *own)["status"] == "admitted"
    said("admission", "revoke", "alice", *state)
    (authority,) = authorities_in(tmp_path / "state")
    assert all(
        (each.issued.name == "registered:alice") == (each.revoked_at is not None)
        for each in authority.certificates()
    )
    assert run(["register", "alice", "--at", url, *own]) == 3
    assert "revoked" in capsys.readouterr().err
    assert run(["register", "Al ice", "--at", url, *own]) == 2
    assert run(["admission", "admit", "nobody", *state]) == 2
    assert run(["admission", "token", "--out", str(token), *state]) == 2
    assert run(["admission", "run", "--listen", "0.0.0.0:0", *own]) == 3
    assert run(["admission", "run", "--listen", "127.0.0.1:0", *state]) == 2


def server_again(server: Callable[..., str], *words: str) -> str:
    """After a crash of the one that runs."""
    for each in psutil.Process().children():
        if "admission" in each.cmdline():
            each.kill()
            each.wait()
    return server(*words)
