"""A run says what came of each claim; its report is whole, and refused if it shows a secret."""

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.demo.test_page import EVIL, Page

from bellwire.base.errors import BellwireError
from bellwire.claims import suite
from bellwire.claims.errors import CannotRun, ClaimFailed, NoCheckout, ReportLeaks
from bellwire.claims.model import Attacker, Claim, Ground, Outcome
from bellwire.claims.redaction import check, redacted
from bellwire.claims.report import DATA, PAGE, document, headline, write
from bellwire.claims.run import Evidence, run
from bellwire.cli import main, output, prove

SECRET = bytes(range(7, 247, 11)) + b"\xd3\x5e\x90\x1b\x77\xaa\x04\xc9\x62\x8f\x1d"


def claim(name: str, does: Callable[[Ground], str]) -> Claim:
    return Claim(name=name, attacker=Attacker.LEDGER, says=f"What {name} says", run=does)


def failing(error: Exception) -> Callable[[Ground], str]:
    def does(_: Ground) -> str:
        raise error

    return does


def evidence_of(*does: Callable[[Ground], str]) -> Evidence:
    return run([claim(f"part.{number}", each) for number, each in enumerate(does)])[0]


HOLDS = evidence_of(lambda _: "0.5 of 1")


def test_a_run_tells_of_each_claim_how_it_ended_and_what_runs_it_again() -> None:
    heard: list[str] = []
    evidence, seen = run(
        [
            claim("part.good", lambda ground: f"{len(ground.draw(16))} bytes"),
            claim("part.bad", failing(ClaimFailed("S = 1.2"))),
            claim("part.absent", failing(CannotRun("no quantum computer"))),
            claim("part.broken", failing(ZeroDivisionError("by zero"))),
        ],
        seed=5,
        full=True,
        say=lambda result: heard.append(result.name),
    )
    told = {each.name: (each.outcome.value, each.figure) for each in evidence.results}
    assert told == {
        "part.good": ("holds", "16 bytes"),
        "part.bad": ("fails", "S = 1.2"),
        "part.absent": ("not run", "no quantum computer"),
        "part.broken": ("fails", "ended by ZeroDivisionError: by zero"),
    }
    assert heard == list(told)
    assert [len(each) for each in seen] == [16]
    assert evidence.results[0].command == "bellwire prove part.good --seed 5 --full"
    assert not evidence.succeeded
    assert headline(evidence) == "2 of 3 claims fail, 1 not run"
    assert evidence.versions["openssl"].startswith("OpenSSL")


def test_what_was_not_run_proves_nothing() -> None:
    assert not evidence_of(failing(CannotRun("no"))).succeeded
    assert not evidence_of().succeeded
    assert evidence_of(lambda _: "yes", failing(CannotRun("no"))).succeeded


def test_folders_and_names_of_this_machine_are_not_in_a_figure() -> None:
    where: list[str] = []

    def fails(ground: Ground) -> str:
        where.append(str(ground.folder))
        raise BellwireError(f"cannot write {ground.folder}/keys.db, nor {Path.home()}/x")

    (result,) = evidence_of(fails).results
    assert where[0] not in result.figure
    assert str(Path.home()) not in result.figure
    assert "(folder of the claim)/keys.db, nor ~/x" in result.figure
    assert not Path(where[0]).exists()
    assert redacted(f"{tempfile.gettempdir()}/y") == "(temporary folder)/y"


SPELLINGS: list[Callable[[bytes], str]] = [
    bytes.hex,
    lambda secret: secret.hex().upper(),
    lambda secret: secret.hex(":"),
    lambda secret: base64.b64encode(secret).decode(),
    lambda secret: base64.urlsafe_b64encode(secret).decode(),
    repr,
    lambda secret: str(list(secret)),
    lambda secret: "".join(f"{byte:08b}" for byte in secret),
]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("seen", [[SECRET], []], ids=["known", "unknown"])
def test_a_report_that_shows_key_material_is_refused_and_not_written(
    spell: Callable[[bytes], str], seen: list[bytes], tmp_path: Path
) -> None:
    evidence = evidence_of(lambda _: f"the key is {spell(SECRET)}")
    for show in (lambda: document(evidence, seen), lambda: write(evidence, seen, tmp_path)):
        with pytest.raises(ReportLeaks) as caught:
            show()
        assert SECRET.hex()[:8] not in str(caught.value)
        assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", range(3))
def test_eight_bytes_of_a_known_secret_are_enough(start: int) -> None:
    piece = SECRET[8:16]
    for text in (piece.hex(), ", ".join(map(str, piece)), base64.b64encode(SECRET[start:18])):
        with pytest.raises(ReportLeaks):
            check(f"say {text!s} here", [SECRET])


def test_words_figures_and_names_of_tests_pass() -> None:
    check(
        "S 2.7153 ± 0.0098; test_a_store_that_was_put_back_is_fenced_before_a_key_leaves in "
        "keys/peering/test_session.py, 2026-11-22T20:08:45Z, 1,116,320 of 1,116,320 bits",
        [SECRET, bytes(64)],
    )


def test_the_report_is_one_page_and_its_data(tmp_path: Path) -> None:
    assert write(HOLDS, [SECRET], tmp_path) == tmp_path / PAGE
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([DATA, PAGE])
    data = json.loads((tmp_path / DATA).read_text())
    assert data["succeeded"] is True
    assert data["outcomes"] == {"holds": 1, "fails": 0, "not run": 0}
    (result,) = data["results"]
    assert list(result) == [
        "name", "attacker", "says", "outcome", "figure", "command", "wall_s",
    ]  # fmt: skip
    page = Page((tmp_path / PAGE).read_text())
    for word in ("1 claim holds", "0.5 of 1", "bellwire prove part.0", Attacker.LEDGER.value):
        assert word in page.words
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img", "iframe"})


def test_what_a_claim_says_cannot_become_markup(tmp_path: Path) -> None:
    write(evidence_of(failing(ClaimFailed(EVIL))), [], tmp_path)
    page = Page((tmp_path / PAGE).read_text())
    assert EVIL in page.words
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img"})


def test_the_command_prints_a_table_writes_the_report_and_ends_by_the_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output.forget()
    assert prove.command(["ledger"], report=tmp_path / "new") == 0
    out = capsys.readouterr().out
    assert "2 claims hold" in out
    assert "ledger.proofs" in out
    assert (tmp_path / "new" / PAGE).exists()
    monkeypatch.setattr("bellwire.claims.ledger.verify_inclusion", lambda *_: None)
    assert prove.command(["ledger"], json=True) == 1
    data = json.loads(capsys.readouterr().out)
    assert [each["outcome"] for each in data["results"]] == ["fails", "holds"]
    assert data["report"] is None
    output.forget()
    assert prove.command(None, listed=True, json=True) == 0
    assert len(json.loads(capsys.readouterr().out)["claims"]) > 30
    output.forget()


def test_an_unknown_claim_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit(["prove", "nope"]) == 2
    assert "got 'nope'" in capsys.readouterr().err


def _exit(arguments: list[str]) -> Any:
    try:
        return main.run(arguments)
    except SystemExit as error:
        return error.code


PAGE_OF_CLAIMS = """# Threats

## Who listens

| attack | outcome | test |
|---|---|---|
| hears | nothing | part/test_it.py `test_good`, part/test_it.py `test_each` |

## Who alters

| attack | outcome | test |
|---|---|---|
| alters | seen | part/test_it.py `test_bad`, part/test_it.py `test_gone` |

## What does not hold

- nothing
"""
TESTS = """
import pytest

def test_good():
    pass

@pytest.mark.parametrize("n", [1, 2])
def test_each(n):
    if n == 2:
        pytest.skip("not here")

def test_bad():
    assert False
"""


def test_tests_that_a_page_names_are_run_and_counted_by_section(tmp_path: Path) -> None:
    page = tmp_path / suite.PAGE
    page.parent.mkdir(parents=True)
    page.write_text(PAGE_OF_CLAIMS)
    (tmp_path / "tests" / "part").mkdir(parents=True)
    (tmp_path / "tests" / "part" / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    listens, alters = suite.run_tests(tmp_path)
    assert (listens.outcome, listens.figure) == (Outcome.HOLDS, "2 pass")
    assert alters.outcome is Outcome.FAILS
    assert "test_bad" in alters.figure
    assert "test_gone" in alters.figure


def test_an_installed_program_has_no_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (suite.checkout() / suite.PAGE).is_file()
    monkeypatch.setattr("bellwire.__file__", str(tmp_path / "a" / "b" / "__init__.py"))
    with pytest.raises(NoCheckout, match="expected a checkout"):
        suite.checkout()
