"""Experiments that browsers ask a console for: bounded, counted, taken back, and the lab's own."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.patience import PATIENCE_S
from tests.web.pages import Console, console

from bellwire import lab
from bellwire.console.experiments import MOST_OF_ACCOUNT, ExperimentLost, TooManyExperiments
from bellwire.node.laboratory import LabProcesses
from bellwire.web.console_browser import EXPERIMENTS_BURST

ASKED = {"protocol": "e91", "seed": 5, "pulses": 20_000, "eve": "ghz", "share": 0.5}


class Patient:
    """A laboratory that answers when it is told to."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.begun = threading.Semaphore(0)
        self.taken_back = threading.Event()

    async def run(self, protocol: str, words: Mapping[str, Any]) -> dict[str, Any]:
        self.begun.release()
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.taken_back.set()
            raise
        raise ExperimentLost("nothing came of it")

    async def close(self) -> None:
        self.done.set()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("lab")) as found:
        yield found


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def waiting(tmp_path_factory: pytest.TempPathFactory, patient: Patient) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("patient"), laboratory=patient) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(site: Console) -> None:
    site.clock[0] += 1000.0


def test_a_member_gets_what_the_lab_finds_and_how_to_repeat_it(site: Console) -> None:
    with site.signed_in(site.sites.tokens["alice@a"]) as page:
        found = page.post("/api/lab/run", json=ASKED).json()
        again = page.post("/api/lab/run", json={**ASKED, "hidden": False, "km": 0}).json()
    expected = lab.run("e91", pulses=20_000, eve="ghz:0.5", seed=5)
    assert found["qber"]["value"] == again["qber"]["value"] == expected.qber
    assert found["chsh"]["value"] == expected.chsh
    assert found["asked"]["share"] == 0.5
    assert found["command"] == ("bellwire lab run e91 --pulses 20000 --eve ghz:0.5 --seed 5")


def test_hidden_variables_answer_as_well(site: Console) -> None:
    with site.signed_in(site.sites.tokens["alice@a"]) as page:
        body = {"protocol": "e91", "seed": 1, "pulses": 50_000, "hidden": True}
        found = page.post("/api/lab/run", json=body).json()
    assert found["chsh"]["value"] - 3 * found["chsh"]["stderr"] < 2
    assert found["verdict"] == "abort"


def test_an_auditor_reads_what_there_is_and_strangers_nothing(site: Console) -> None:
    with site.signed_in(site.sites.tokens["eyes"]) as page:
        offers = page.get("/api/lab").json()["protocols"]
        assert [each["name"] for each in offers] == ["e91", "bbm92", "bb84", "decoy-bb84"]
        assert page.get("/api/lab/run").status_code == 405
    with site.client() as stranger:
        assert stranger.get("/api/lab").status_code == 401
        assert stranger.post("/api/lab/run", json=ASKED).status_code == 401


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"protocol": "e92"}, "protocol"),
        ({"pulses": 999}, "pulses"),
        ({"pulses": 10_000_000}, "at most 1000000 of e91"),
        ({"pulses": "1e4"}, "pulses"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"km": 1e9}, "km"),
        ({"misalignment": 0.6}, "misalignment"),
        ({"share": 1.1}, "share"),
        ({"eve": "pns"}, "eve: expected one of intercept-resend"),
        ({"eve": "man-in-the-middle"}, "eve"),
        ({"engine": "qiskit"}, "engine"),
        ({"hidden": True}, "without Eve"),
        ({"hidden": True, "eve": None, "km": 5}, "km"),
    ],
)
def test_nothing_else_is_run(site: Console, change: dict[str, Any], says: str) -> None:
    with site.signed_in(site.sites.tokens["carol@a"]) as page:
        site.clock[0] += 1000.0
        answer = page.post("/api/lab/run", json={**ASKED, **change})
    assert answer.status_code == 400
    assert says in answer.json()["message"]


def test_who_asks_too_often_waits(site: Console) -> None:
    with site.signed_in(site.sites.tokens["boss"]) as page:
        body = {**ASKED, "eve": "nobody"}
        codes = [
            page.post("/api/lab/run", json=body).status_code
            for _ in range(int(EXPERIMENTS_BURST) + 1)
        ]
    assert codes == [400] * int(EXPERIMENTS_BURST) + [429]


def test_an_account_has_few_at_once_and_none_stays_when_it_ends(
    waiting: Console, patient: Patient
) -> None:
    token = waiting.sites.tokens["alice@a"]
    with waiting.signed_in(token) as page, ThreadPoolExecutor(MOST_OF_ACCOUNT) as pool:
        begun = [pool.submit(page.post, "/api/lab/run", json=ASKED) for _ in range(MOST_OF_ACCOUNT)]
        for _ in begun:
            assert patient.begun.acquire(timeout=PATIENCE_S)
        answer = page.post("/api/lab/run", json=ASKED)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        waiting.loop.call(patient.done.set)
        assert {each.result().status_code for each in begun} == {503}
        assert page.post("/api/lab/run", json=ASKED).status_code == 503


def test_who_goes_away_takes_his_experiment_back(waiting: Console, patient: Patient) -> None:
    token = waiting.sites.tokens["alice@a"]
    body = b'{"protocol":"e91","seed":1}'
    host, port = waiting.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as page:
        page.sendall(
            b"POST /api/lab/run HTTP/1.1\r\nhost: " + f"{host}:{port}".encode()
            + b"\r\nauthorization: Bearer " + token.encode()
            + b"\r\ncontent-type: application/json\r\ncontent-length: "
            + str(len(body)).encode() + b"\r\n\r\n" + body
        )  # fmt: skip
        assert patient.begun.acquire(timeout=PATIENCE_S)
    assert patient.taken_back.wait(PATIENCE_S)


def test_a_process_that_dies_is_an_error_of_one_experiment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        processes = LabProcesses(1)
        try:
            with monkeypatch.context() as patch:
                patch.setattr("bellwire.node.laboratory.sys.executable", "/bin/true")
                with pytest.raises(ExperimentLost):
                    await processes.run("bb84", {})
            words = {"pulses": 1000, "seed": 1}
            assert (await processes.run("bb84", words))["detections"] == 1000
            processes._send_home()
            await asyncio.gather(*processes._tasks)
            assert not processes._idle
            with monkeypatch.context() as patch:
                patch.setattr("bellwire.node.laboratory.MOST_WAITING", 0)
                with pytest.raises(TooManyExperiments):
                    await processes.run("bb84", words)
        finally:
            await processes.close()

    asyncio.run(work())
