"""Secret bytes that do not show themselves."""

import hmac
from typing import NoReturn


class Secret:
    """Key material: no repr, no pickling, comparison in constant time.

    `reveal()` is the one way to the bytes, so that every use can be found by its name.
    """

    __slots__ = ("_data",)

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = bytearray(data)

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return bytes(self._data)

    def wipe(self) -> None:
        """Overwrite our copy; the interpreter may still hold others."""
        self._data[:] = bytes(len(self._data))

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._data, other._data)

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret is not hashable")

    def __repr__(self) -> str:
        return f"Secret({len(self._data)} bytes)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not picklable")
