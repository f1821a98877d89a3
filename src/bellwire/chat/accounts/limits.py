"""How much, and how fast, accounts may be asked."""

from dataclasses import dataclass

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens that come each second, and how many (`burst`) a bucket holds."""

    per_s: float
    burst: float


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Sources are an IPv4 address or an IPv6 /64.

    Attributes:
        requests: Of one source, of any kind.
        lines: Offers and hellos, of one source; beyond, the connection ends.
        sign_ups: Of one source.
        log_ins: Of one source, into one account: who guesses gets 300 passwords a day.
        account_log_ins: Into one account, from everywhere.
        takes: Of keys, by one source.
        one_time: Of one account's one-time prekeys, by everybody: beyond it, others get the lasting
            prekey alone, so that nobody can use them all up.
        searches: By one source.
        accounts: In all.
        devices: Sessions of one account; the one that was silent longest ends for a new one.
        one_time_prekeys: Of one account that wait to be handed out.
        idle_s: After how long a session ends that asks for nothing.
        session_s: After how long each session ends.
        prekey_s: How far ahead a prekey may expire.
    """

    requests: Rate = Rate(20, 400)
    lines: Rate = Rate(20, 400)
    sign_ups: Rate = Rate(1 / 60, 20)
    log_ins: Rate = Rate(1 / 300, 10)
    account_log_ins: Rate = Rate(1 / 10, 100)
    takes: Rate = Rate(1 / 2, 60)
    one_time: Rate = Rate(1 / 60, 20)
    searches: Rate = Rate(2, 60)
    accounts: int = 1_000_000
    devices: int = 10
    one_time_prekeys: int = 100
    idle_s: int = 30 * _DAY_S
    session_s: int = 180 * _DAY_S
    prekey_s: int = 90 * _DAY_S
