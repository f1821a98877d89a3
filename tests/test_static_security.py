"""What ruff's security rules do not see: exceptions without a reason, comparisons that take time.

`docs/explanation/secrets-in-memory.md` has the review in words.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.examples import ROOT

SOURCES = ROOT / "src" / "bellwire"
WITHOUT_ADVERSARY = {"lab", "bench", "demo", "claims"}
"""Experiments and figures: both sides of a comparison are ours."""

SECRET_WORDS = re.compile(
    r"(?:^|_)(?:macs?|tags?|(?:hex)?digests?|tokens?|secrets?|passwords?|passphrases?|pin|cookies?"
    r"|confirmations?|signatures?|sha256|commitments?|hash|bound|keys?|psk|seal|reveal|hmac)\d?$"
)
PLAIN = {
    ("admission/register.py", "known.keys != asked.keys"): "public keys",
    ("admission/service.py", "pending.challenge.keys != asked.keys"): "public keys",
    ("chat/messenger/attaching.py", "found.digest() != kept.about.sha256"): "of a file, ours",
    ("chat/store/files.py", "found.digest() == kept.about.sha256"): "of a file, ours",
    ("crypto/kek/os_keyring.py", "self.recover(KeyringKek(key)) != secret"): "two `Secret`s",
    ("etsi014/messages.py", "base64.b64encode(data).decode() != self.key"): "a text with itself",
    ("iot/datagram_wire.py", "knock_of(message).digest != fragment.digest"): "of public bytes",
    ("iot/datagram_wire.py", "fragment.digest != self._digest"): "of public bytes",
    ("iot/files.py", "self._hash.digest() != mark.digest"): "of our own file",
    ("iot/sending.py", "answer.sha256 != readings.sha256(answer.count)"): "sealed, of our own",
    ("keys/key_ids.py", "self._tag.number(text) >> _TAG_SHIFT != tag"): (
        "another tag unmasks another text: no digit of a guess is confirmed"
    ),
    ("keys/key_ids.py", "self._tags(upper, lower) == tags"): "NumPy compares all",
    ("ledger/anchors/evm.py", "self._w3.keccak(encoded) != _hash(transaction)"): "public",
    ("ledger/pins.py", "pin.digests == known.digests"): "of our own file, public",
    ("ledger/reading.py", "leaf_hash(entry) != _hash_in(tile, at)"): "of public bytes",
    ("network/meetings.py", "held.certain == held.keys[-1]"): "two `Secret`s",
    ("node/archive.py", "digests != about.files"): "finds damage: the archive lists them itself",
    ("node/assemble.py", "there != store.authentication_keys()"): "of `Secret`s, both ours",
    ("pki/folder.py", "key.public_key() != certificate.public_key()"): "public keys",
    ("web/browser.py", "key == name"): "names of fields",
    ("web/browser.py", "key == self.cookie.encode()"): "the name of a cookie",
}
"""Where and what → why `==` will do."""

REASONED = re.compile(r"# noqa: [A-Z0-9, ]*\bS\d{3}\b[A-Z0-9, ]* - \w")
EXEMPT = re.compile(r"# noqa: [A-Z0-9, ]*\bS\d{3}\b|# noqa\b(?!:)|# nosec")


def comparisons(source: str) -> Iterator[str]:
    """Each `==` and `!=` of something that is named like a secret."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare):
            continue
        if not any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) or _name(side).isupper() for side in sides):
            continue  # what stands in the code is no secret
        if any(SECRET_WORDS.search(_name(side).lower()) for side in sides):
            yield ast.unparse(node)


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case ast.Call(func=inner) | ast.Subscript(value=inner) | ast.Await(value=inner):
            return _name(inner)
        case ast.BinOp(left=left):
            return _name(left)
    return ""


def _files() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCES.rglob("*.py")):
        yield path.relative_to(SOURCES).as_posix(), path.read_text("utf-8")


def test_what_is_secret_or_proves_something_is_compared_in_constant_time() -> None:
    found = {
        (file, words)
        for file, source in _files()
        if Path(file).parts[0] not in WITHOUT_ADVERSARY
        for words in comparisons(source)
    }
    assert found - set(PLAIN) == set(), "take hmac.compare_digest, or say here why not"
    assert set(PLAIN) - found == set(), "these are no more"


@pytest.mark.parametrize(
    "source",
    [
        "if mac != self._mac(key, text): pass",
        "return found.hexdigest() == expected",
        "ok = tag == body[-16:]",
        "a[:16] == made.token",
        "found == hello.mac1[0:]",
    ],
)
def test_a_comparison_that_stops_at_the_first_difference_is_found(source: str) -> None:
    assert list(comparisons(source.replace("return ", "")))


def test_each_exception_from_a_security_rule_says_why() -> None:
    bare = [
        f"{file}: {line.strip()}"
        for file, source in _files()
        for line in source.splitlines()
        if EXEMPT.search(line) and not REASONED.search(line)
    ]
    assert bare == []
