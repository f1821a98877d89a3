"""What a node has of key, and what its tags cost; public numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accounts:
    """How much key a node has, and what its tags cost since its start.

    Attributes:
        stock_bits: Bits that this side may hand out as master.
        reserve_sets: Blocks that the authentication key is still good for.
        consumed_bits: Authentication key burnt.
        refilled_bits: Authentication key cut from new blocks.
        first_contact: How the first authentication key was come by (`keys.model.ContactMethod`);
            None before there is one.
        ledger_waiting: Entries that wait for the log; None where nothing is recorded.
        ledger_oldest_at: Since when the first of them waits, seconds since the epoch.
        ledger_problem: Why the log takes nothing; empty if it does.
    """

    stock_bits: int
    reserve_sets: int
    consumed_bits: int
    refilled_bits: int
    first_contact: str | None
    ledger_waiting: int | None = None
    ledger_oldest_at: float | None = None
    ledger_problem: str = ""
