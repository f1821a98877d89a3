"""What is committed to can be shown, by who has the salt, and by nobody else."""

import json

import pytest
from tests.reference.ledger import FILE

from bellwire.base.secret import Secret
from bellwire.ledger.entries.commitments import commit, new_salt, verify
from bellwire.ledger.entries.errors import CommitmentMismatch


def test_the_known_answer_is_given() -> None:
    known = json.loads(FILE.read_text())["commitment"]
    assert commit(Secret(bytes.fromhex(known["salt"])), known["value"]) == known["is"]


def test_value_and_salt_show_what_was_meant() -> None:
    salt = new_salt()
    verify(commit(salt, "Ada"), salt, "Ada")


@pytest.mark.parametrize("value", ["Bob", "ada", "Ada ", ""])
def test_another_value_is_refused(value: str) -> None:
    salt = new_salt()
    with pytest.raises(CommitmentMismatch):
        verify(commit(salt, "Ada"), salt, value)


def test_without_its_salt_a_guess_shows_nothing() -> None:
    first, second = new_salt(), new_salt()
    assert commit(first, "Ada") != commit(second, "Ada")
    with pytest.raises(CommitmentMismatch):
        verify(commit(first, "Ada"), second, "Ada")
    with pytest.raises(CommitmentMismatch):
        verify("Ada ≠ a commitment", first, "Ada")


def test_a_salt_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, got 16"):
        commit(Secret(bytes(16)), "Ada")
