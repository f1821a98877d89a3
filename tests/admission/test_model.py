"""A model tightens, never loosens; what it does not say clearly admits nobody."""

import asyncio
import json
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from tests.admission.models import Say, completion, judged, model

from bellwire.admission import model as ours
from bellwire.admission.assessment import Assessment, Verdict, assess
from bellwire.admission.errors import AssessorAbsent, AssessorUnusable
from bellwire.admission.evidence import Claim, Measured, read_address
from bellwire.admission.model import ModelAssessor, read_answer, read_key
from bellwire.base.private import PathExposed
from bellwire.base.secret import Secret
from bellwire.cli.main import run

HERE = read_address("192.0.2.7")
CLAIM = Claim(20.0, 2.0, HERE)
SEEN = Measured(21.0, 1.5, 24, HERE)
FAR = replace(SEEN, ping_ms=400.0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "TRIES", 2)


def asked(say: Say, seen: Measured = SEEN, key: str | None = None) -> Assessment:
    with model(say) as one:
        secret = None if key is None else Secret(key.encode())
        assessor = ModelAssessor(one.url, "judge-1", secret, ssl.create_default_context())
        found = asyncio.run(assessor.assess(CLAIM, seen, assess(CLAIM, seen)))
        assert one.keys == [None if key is None else f"Bearer {key}"]
        assert one.asked[0]["model"] == "judge-1"
        assert one.asked[0]["temperature"] == 0
        assert one.asked[0]["response_format"]["json_schema"]["strict"] is True
    return found


def test_the_stricter_of_rules_and_model_counts() -> None:
    assert asked(lambda _: judged("SECURE", 3)).verdict is Verdict.SECURE
    assert asked(lambda _: judged("SECURE", 3), FAR).verdict is Verdict.INSECURE
    assert asked(lambda _: judged("INSECURE", 90, "no"), FAR).verdict is Verdict.INSECURE
    found = asked(lambda _: judged("INSECURE", 90, "It drifts."), key="k-1")
    assert (found.verdict, found.reasons) == (Verdict.INSECURE, ("It drifts.",))
    assert found.assessor == "judge-1"


def test_a_model_that_believes_whatever_it_reads_is_told_numbers_alone() -> None:
    def gullible(numbers: dict[str, object]) -> tuple[int, bytes]:
        text = json.dumps(numbers)
        return judged("SECURE" if "SECURE" in text or "192" in text else "INSECURE", 99, "told")

    assert asked(gullible).verdict is Verdict.INSECURE

    def strict(numbers: dict[str, object]) -> tuple[int, bytes]:
        plain = (bool, int, float, type(None))
        return (
            judged("SECURE", 0) if all(type(v) in plain for v in numbers.values()) else (500, b"")
        )

    assert asked(strict).verdict is Verdict.SECURE


@pytest.mark.parametrize(
    "content",
    [
        "",
        "SECURE",
        "null",
        "[]",
        '{"verdict": "SECURE"}',
        '{"verdict": "SECURE", "risk": 0, "reasons": [], "admit": true}',
        '{"verdict": "INSECURE", "verdict": "SECURE", "risk": 0, "reasons": []}',
        '{"verdict": "secure", "risk": 0, "reasons": []}',
        '{"verdict": ["SECURE"], "risk": 0, "reasons": []}',
        '{"verdict": "SECURE", "risk": 0.0, "reasons": []}',
        '{"verdict": "SECURE", "risk": true, "reasons": []}',
        '{"verdict": "SECURE", "risk": NaN, "reasons": []}',
        '{"verdict": "SECURE", "risk": "0", "reasons": []}',
        '{"verdict": "SECURE", "risk": 80, "reasons": []}',
        '{"verdict": "INSECURE", "risk": 5, "reasons": []}',
        '{"verdict": "SECURE", "risk": 101, "reasons": []}',
        '{"verdict": "SECURE", "risk": 0, "reasons": "none"}',
        '{"verdict": "SECURE", "risk": 0, "reasons": ["\\u001b[31mred"]}',
        '{"verdict": "SECURE", "risk": 0, "reasons": [1]}',
        '{"verdict": "SECURE", "risk": 0, "reasons": ["a", "b", "c", "d", "e", "f"]}',
        json.dumps({"verdict": "SECURE", "risk": 0, "reasons": ["x" * 201]}),
        "[" * 30_000,
        '```json\n{"verdict": "SECURE", "risk": 0, "reasons": []}\n```',
    ],
)
def test_an_unclear_answer_admits_nobody(content: str) -> None:
    with pytest.raises(AssessorAbsent) as caught:
        read_answer(completion(content))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"\xff\xfe", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}',
     b'{"choices": {"0": 1}}', b'{"choices": [], "choices": []}'],
)  # fmt: skip
def test_what_is_no_completion_admits_nobody(body: bytes) -> None:
    with pytest.raises(AssessorAbsent):
        read_answer(body)


@pytest.mark.parametrize(
    ("status", "body", "times"),
    [(200, b"x" * 70_000, 1), (401, b"{}", 1), (429, b"{}", 2), (500, b"", 2), (302, b"", 1)],
)
def test_a_server_that_fails_admits_nobody(status: int, body: bytes, times: int) -> None:
    with model(lambda _: (status, body)) as one:
        assessor = ModelAssessor(one.url, "m", Secret(b"the-key"), ssl.create_default_context())
        with pytest.raises(AssessorAbsent) as caught:
            asyncio.run(assessor.assess(CLAIM, SEEN, assess(CLAIM, SEEN)))
        assert len(one.asked) == times
    assert "the-key" not in str(caught.value) + repr(assessor)


def test_one_that_recovers_is_asked_again() -> None:
    answers = [(503, b""), judged("SECURE", 1)]
    with model(lambda _: answers.pop(0)) as one:
        assessor = ModelAssessor(one.url, "m", None, ssl.create_default_context())
        found = asyncio.run(assessor.assess(CLAIM, SEEN, assess(CLAIM, SEEN)))
    assert found.verdict is Verdict.SECURE


def test_one_that_hangs_costs_its_budget_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "BUDGET_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        assessor = ModelAssessor(url, "m", None, ssl.create_default_context())
        with pytest.raises(AssessorAbsent, match="no answer in time"):
            asyncio.run(assessor.assess(CLAIM, SEEN, assess(CLAIM, SEEN)))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://models.example/v1", "m"),
        ("ftp://127.0.0.1/v1", "m"),
        ("https://", "m"),
        ("https://user:word@models.example/v1", "m"),
        ("https://[::1", "m"),
        ("https://models.example/v1?key=1", "m"),
        ("https://models.example/v1", ""),
        ("https://models.example/v1", "m\n"),
    ],
)
def test_a_model_that_cannot_be_asked_safely_is_refused(url: str, name: str) -> None:
    with pytest.raises(AssessorUnusable) as caught:
        ModelAssessor(url, name, None, ssl.create_default_context())
    assert "word" not in str(caught.value)


def test_a_key_is_read_from_a_file_of_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(b" sk-1\n")
    assert read_key(path).reveal() == b"sk-1"
    for content in (b"", b"two words", b"\xff", b"x" * 1025):
        path.write_bytes(content)
        with pytest.raises(AssessorUnusable):
            read_key(path)
    path.chmod(0o644)
    with pytest.raises(PathExposed):
        read_key(path)


WORDS = ["admission", "assess", "--ping", "20", "--jitter", "2", "--address", "192.0.2.7"]
ECHOES = [word for time in (21, 22, 20.5, 21, 23, 21, 22, 21) for word in ("--echo", str(time))]


def test_a_connection_is_judged_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*WORDS, *ECHOES, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verdict"], said["reasons"], said["assessor"]) == ("SECURE", [], "local")
    assert sum(said["probabilities"]) == pytest.approx(1)
    assert run([*WORDS, *ECHOES, "--seen", "192.0.2.8"]) == 0
    shown = capsys.readouterr().out
    assert "INSECURE by local" in shown
    assert "against: the address" in shown
    assert "RY(" in shown


def test_the_command_line_asks_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text("k")
    with model(lambda _: judged("INSECURE", 70, "Too even.")) as one:
        asks = ["--model-url", one.url, "--model", "judge-1", "--model-key", str(key)]
        assert run([*WORDS, *ECHOES, *asks, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["verdict"], said["reasons"]) == ("INSECURE", ["Too even."])
        assert one.keys == ["Bearer k"]
        one.say = lambda _: (200, b"{}")
        assert run([*WORDS, *ECHOES, *asks]) == 4
    assert run([*WORDS, *ECHOES, "--model", "judge-1"]) == 2
    assert run([*WORDS, *ECHOES, "--model-url", "https://models.example/v1"]) == 2
    assert run([*WORDS]) == 2
