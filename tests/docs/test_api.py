"""The public Python API is the one that its page shows."""

import ast
import importlib

import pytest
from tools import public_api


def test_the_page_shows_the_api_that_the_sources_have() -> None:
    page = public_api.PAGE.read_text("utf-8")
    shown = page.partition(public_api.BEGIN)[2].partition(public_api.END)[0].strip()
    assert shown == public_api.table(), "write it: tools/public_api.py --write; and the changelog"


def test_what_the_lab_offers_is_there() -> None:
    lab = importlib.import_module(public_api.LAB)
    assert public_api.listed(public_api.LAB) == lab.__all__
    assert all(hasattr(lab, name) for name in lab.__all__)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def f(a: int) -> str: ...", "def f(a: int, b: int) -> str: ..."),
        ("def f(a: int) -> str: ...", "def f(a: int) -> bytes: ..."),
        ("class C:\n    x: int = 1", "class C:\n    x: int = 2"),
        ("class C:\n    def m(self): ...", "class C:\n    async def m(self): ..."),
        ("class C(A): ...", "class C(B): ..."),
    ],
)
def test_a_change_of_a_parameter_a_type_or_a_default_shows(before: str, after: str) -> None:
    shown = [list(public_api.lines(ast.parse(each).body[0])) for each in (before, after)]
    assert shown[0] != shown[1]


def test_what_is_private_does_not_show() -> None:
    (node,) = ast.parse("class C:\n    _x: int = 1\n    def _m(self): ...").body
    assert list(public_api.lines(node)) == ["class C"]
