"""Each claim holds, and fails where the product is broken on purpose."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.docs.examples import ROOT

from bellwire.base.secret import Secret
from bellwire.claims import classical, cryptography
from bellwire.claims.catalogue import CLAIMS, chosen
from bellwire.claims.errors import CannotRun, ClaimFailed, UnknownClaim
from bellwire.claims.model import Attacker, Claim, Ground, near, refused, require
from bellwire.claims.redaction import check
from bellwire.guard.decision import Verdict
from bellwire.keys.store import KeyStore
from bellwire.lab.pair import PairOutcome, Wire, faithful

QUICK = [claim for claim in CLAIMS if not claim.long]


def named(name: str) -> Claim:
    (claim,) = chosen([name])
    return claim


@pytest.mark.parametrize("claim", QUICK, ids=[claim.name for claim in QUICK])
def test_each_claim_holds_and_its_figure_shows_no_secret(claim: Claim, tmp_path: Path) -> None:
    ground = Ground(folder=tmp_path, seed=7)
    figure = claim.run(ground)
    assert len(figure) > 10
    check(figure, ground.seen)
    if claim.name in {"keys.once-and-equal", "classical.altered", "relays.messages"}:
        assert ground.seen, "what is secret is told to the search"


def nothing(*_: object, **__: object) -> None:
    """Verifies whatever it is given."""


OPEN = Verdict(3.0, "GREEN")
BROKEN: list[tuple[str, str, Any]] = [
    ("ledger.proofs", "ledger.verify_inclusion", nothing),
    ("ledger.proofs", "ledger.verify_consistency", nothing),
    ("ledger.signatures", "ledger.verify_signature", nothing),
    ("crypto.known-answers", "cryptography.ed25519.verify", nothing),
    ("crypto.known-answers", "cryptography.signatures.verify", nothing),
    ("crypto.known-answers", "cryptography.hkdf", lambda *_, length, **__: bytes(length)),
    ("crypto.one-time-tag", "cryptography.verify_tag", nothing),
    ("crypto.one-time-tag", "cryptography.tag", lambda *_: bytes(16)),
    ("keys.red-is-closed", "keys.FlowCheck.__call__", nothing),
    ("relays.shares", "relays.is_unaltered", lambda *_: True),
    ("relays.safety-numbers", "relays.safety_number", lambda *_: "1 2 3"),
    ("figures.channel", "figures.HANDSHAKE_BYTES", 4_757),
    ("guard.lease", "guard.Decision.told", lambda *_, **__: OPEN),
    ("light.hidden-variables", "light.CLASSICAL", -9.0),
    ("channel.records", "channel.Session.open", lambda *_: b"21.5 degrees"),
]


@pytest.mark.parametrize(
    ("name", "what", "instead"), BROKEN, ids=[f"{each[0]}-{each[1]}" for each in BROKEN]
)
def test_a_claim_fails_where_what_it_speaks_of_is_broken(
    name: str, what: str, instead: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"bellwire.claims.{what}", instead)
    with pytest.raises(ClaimFailed):
        named(name).run(Ground(folder=tmp_path, seed=7))


def test_a_store_that_gives_pads_again_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    burn = KeyStore.burn
    first: dict[object, Any] = {}

    def again(store: Any, block: int, **more: Any) -> Any:
        if block not in first:
            first[block] = burn(store, block, **more) if block == 2 else None
        return first[block]

    monkeypatch.setattr(KeyStore, "burn", again)
    with pytest.raises(ClaimFailed, match="again"):
        named("keys.pads-once").run(Ground(folder=tmp_path))


def test_sides_that_accept_whatever_came_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = classical._Light.distil

    def deaf(light: Any, wire: Wire) -> PairOutcome:
        """Whatever the wire does to messages, they arrive as they were."""
        return honest(light, wire if getattr(wire, "__name__", "") == "listening" else faithful)

    monkeypatch.setattr(classical._Light, "distil", deaf)
    with pytest.raises(ClaimFailed, match="accepted"):
        named("classical.altered").run(Ground(folder=tmp_path, seed=7))


@pytest.mark.parametrize("measured", [2.6, None])
def test_a_measurement_far_from_theory_or_missing_fails(measured: float | None) -> None:
    with pytest.raises(ClaimFailed, match="S"):
        near("S", measured, 0.01, 2.7)
    assert near("S", 2.69, 0.01, 2.7) == "S 2.6900 ± 0.0100, theory 2.7000"


def test_what_is_accepted_where_it_should_not_be_fails() -> None:
    with (
        pytest.raises(ClaimFailed, match="a forgery: expected a refusal"),
        refused("a forgery", CannotRun),
    ):
        require(holds=True, figure="")
    with refused("a forgery", CannotRun):
        raise CannotRun("no")


def test_every_attacker_of_the_threat_model_has_a_claim() -> None:
    page = (ROOT / "docs" / "explanation" / "threat-model.md").read_text()
    heads = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## Who ")}
    claimed = {claim.attacker.value for claim in CLAIMS}
    assert heads <= claimed
    assert claimed - heads == {Attacker.FIGURES.value}


def test_claims_are_chosen_by_name_and_by_part_and_long_ones_when_there_is_time() -> None:
    assert [claim.name for claim in chosen(["ledger.proofs"])] == ["ledger.proofs"]
    assert {claim.name.partition(".")[0] for claim in chosen(["ledger", "light"])} == {
        "ledger",
        "light",
    }
    assert chosen([]) == tuple(QUICK)
    assert chosen([], full=True) == CLAIMS
    assert named("guard.kernel").long
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    with pytest.raises(UnknownClaim, match=r"light, classical, crypto.*got 'nope'"):
        chosen(["nope"])


def test_known_answers_are_unchanged_from_those_of_others() -> None:
    ours = cryptography.known_answers()
    for name in ("aes_gcm", "chacha20_poly1305", "ed25519", "hkdf_sha256"):
        theirs = _wycheproof(f"{name}_test")
        for case in ours[name]:
            group, test = theirs[case["id"]]
            fields = {**test, "sealed": test.get("ct", "") + test.get("tag", "")}
            public = group.get("publicKey", "")
            fields["public"] = public["pk"] if isinstance(public, dict) else public
            assert case["valid"] == (test["result"] == "valid")
            assert all(fields[key] == text for key, text in case.items() if isinstance(text, str))
    theirs = _wycheproof("mldsa_65_verify_test")
    for case in ours["mldsa_65"]:
        group, test = theirs[case["id"]]
        assert (case["public"], case["sig"]) == (group["publicKey"], test["sig"])
        assert case["valid"] == (test["result"] == "valid")
    drafted = json.loads((ROOT / "vectors" / "xwing" / "test-vectors.json").read_text())
    assert [case["ss"] for case in ours["xwing"]] == [each["ss"] for each in drafted]


def _wycheproof(name: str) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    path = ROOT / "vectors" / "wycheproof" / f"{name}.json.gz"
    groups = json.loads(gzip.decompress(path.read_bytes()))["testGroups"]
    return {test["tcId"]: (group, test) for group in groups for test in group["tests"]}


def test_a_seed_gives_the_same_simulation_and_the_system_another_one(tmp_path: Path) -> None:
    one, again = (Ground(folder=tmp_path, seed=3) for _ in range(2))
    assert one.number("x") == again.number("x") != one.number("y")
    free = Ground(folder=tmp_path)
    assert free.number("x") != free.number("x")
    assert free.keep(Secret(b"12345678")) == b"12345678" == free.seen[0]
