"""Which errors a store raises, by what went wrong with its database."""

from dataclasses import dataclass

from bellwire.base.errors import BellwireError


@dataclass(frozen=True, slots=True)
class Failures:
    """The errors of whoever keeps something in a database, by what went wrong.

    Attributes:
        failed: A transaction was not done, or its end is unknown; again may help.
        busy: Another process has the database.
        corrupt: What is there is damaged.
        unusable: It cannot be reached, read or written.
        refused: It is another's, or does not keep what it confirms.
    """

    failed: type[BellwireError]
    busy: type[BellwireError]
    corrupt: type[BellwireError]
    unusable: type[BellwireError]
    refused: type[BellwireError]
