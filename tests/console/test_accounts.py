"""Accounts: tokens prove who somebody is, hashes alone are kept, doubt makes everybody nobody."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bellwire.base.errors import BellwireError
from bellwire.base.private import PathExposed
from bellwire.console import accounts as module
from bellwire.console.accounts import AccountBook, Accounts, Role, accounts_file
from bellwire.console.errors import AccountsDamaged, AccountUnusable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "console-a"


def test_a_token_is_its_account_and_any_other_text_is_nobody(folder: Path) -> None:
    book, accounts = AccountBook(folder), Accounts(folder, "a")
    assert accounts.identify("x") is None
    token = book.add("alice", Role.MEMBER)
    boss = book.add("boss", Role.OPERATOR)
    found, other = accounts.identify(token), accounts.identify(boss)
    assert found is not None
    assert other is not None
    assert (found.name, found.role, other.name, other.role) == (
        "alice",
        "member",
        "boss",
        "operator",
    )
    for text in ("", token[:-1], token + "A", token.swapcase(), "a" * 200, "é", found.token_sha256):
        assert accounts.identify(text) is None


def test_a_token_is_not_in_the_file_which_only_its_owner_may_read(folder: Path) -> None:
    token = AccountBook(folder).add("alice", Role.MEMBER)
    file = accounts_file(folder)
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    with pytest.raises(PathExposed):
        Accounts(folder, "a").identify(token)


def test_a_running_console_sees_every_change_with_the_next_request(folder: Path) -> None:
    book, accounts = AccountBook(folder), Accounts(folder, "a")
    first = book.add("alice", Role.MEMBER)
    assert accounts.has("alice")
    second = book.renew("alice")
    assert accounts.identify(first) is None
    assert accounts.identify(second) is not None
    book.remove("alice")
    assert accounts.identify(second) is None
    assert not accounts.has("alice")
    assert book.all() == []


@pytest.mark.parametrize(
    "name", ["", "a b", "a@b", "a/b", ".a", "-a", "a\n", "a\x00", "x" * 65, "e\u0301", "..", "ａ＠"]
)
def test_a_name_that_could_be_taken_for_something_else_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(AccountUnusable, match="expected"):
        AccountBook(folder).add(name, Role.MEMBER)


def test_names_of_any_script_are_good(folder: Path) -> None:
    book = AccountBook(folder)
    for name in ("Zoë", "李雷", "device_1", "a.b-c", "x" * 64):
        book.add(name, Role.MEMBER)
        assert Accounts(folder, "a").has(name)


def test_a_name_has_one_account_and_one_that_is_not_there_cannot_be_changed(folder: Path) -> None:
    book = AccountBook(folder)
    token = book.add("alice", Role.MEMBER)
    with pytest.raises(AccountUnusable, match="without an account"):
        book.add("alice", Role.OPERATOR)
    for change in (book.renew, book.remove):
        with pytest.raises(AccountUnusable, match="name of an account"):
            change("bob")
    assert Accounts(folder, "a").identify(token) is not None


def test_there_are_no_more_accounts_than_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ACCOUNTS", 2)
    book = AccountBook(folder)
    book.add("a", Role.MEMBER)
    book.add("b", Role.MEMBER)
    with pytest.raises(AccountUnusable, match="at most 2"):
        book.add("c", Role.MEMBER)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"version": 2, "accounts": []}', b"\xff", b"[" * 9999,
     b'{"version":1,"accounts":[{"name":"a","role":"king","token_sha256":"00","since":0}]}',
     b'{"version":1,"accounts":[%b,%b]}' % (
         (b'{"name":"a","role":"member","token_sha256":"%b","since":0}' % (b"0" * 64),) * 2)],
    ids=range(8),
)  # fmt: skip
def test_a_damaged_file_makes_everybody_nobody(folder: Path, content: bytes) -> None:
    book, accounts = AccountBook(folder), Accounts(folder, "a")
    token = book.add("alice", Role.MEMBER)
    assert accounts.identify(token) is not None
    accounts_file(folder).write_bytes(content)
    for _ in range(2):
        with pytest.raises(AccountsDamaged):
            accounts.identify(token)
    with pytest.raises(AccountsDamaged):
        book.add("bob", Role.MEMBER)


def test_accounts_that_many_make_at_once_are_all_there(folder: Path) -> None:
    def add(number: int) -> str:
        return AccountBook(folder).add(f"m{number}", Role.MEMBER)

    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(add, range(24)))
    accounts = Accounts(folder, "a")
    named = [accounts.identify(each) for each in tokens]
    assert [each.name for each in named if each is not None] == [f"m{i}" for i in range(24)]


def test_every_error_says_what_was_expected(folder: Path) -> None:
    with pytest.raises(BellwireError, match="expected"):
        AccountBook(folder).remove("nobody")
