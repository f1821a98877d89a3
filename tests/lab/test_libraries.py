"""What needs a library that is not there says which, and how to get it."""

import sys

import pytest

from bellwire.lab import libraries
from bellwire.lab.errors import LibraryMissing


def test_a_library_that_is_there_is_imported() -> None:
    assert libraries.load("json.decoder") is sys.modules["json.decoder"]


@pytest.mark.parametrize(
    ("library", "extra"), [("qiskit", "qiskit"), ("qiskit_aer", "qiskit"), ("distributed", "dask")]
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(LibraryMissing, match=library) as caught:
        libraries.load(library)
    assert caught.value.exit_code == 2
    assert caught.value.hint is not None
    assert "./bellwire extras" in caught.value.hint
    assert f"pip install 'bellwire[{extra}]'" in caught.value.hint


def test_a_fault_within_is_not_taken_for_a_missing_library() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        libraries.load("bellwire.lab.no_such_module", "qiskit")
