"""Tables of services and nodes, for `bellwire up` and `bellwire status`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from bellwire.ledger.outbox.outbox import OutboxState

COLOURS = {"running": "green", "failing": "red", "stopped": "red"}


def service_table(services: list[dict[str, Any]]) -> "Table":
    """What runs: one row for each service."""
    from rich.text import Text

    table = new_table("service", "state", "process", "up for", "restarts", "where")
    for each in services:
        state = each["state"]
        places = [f"{what} {where}" for what, where in each["addresses"].items()]
        running = state == "running"
        last = [] if running or each["trouble"] is None else [each["trouble"]]
        table.add_row(
            each["name"],
            Text(state, COLOURS.get(state, "yellow")),
            "" if each["pid"] is None else str(each["pid"]),
            "" if each["uptime_s"] is None else duration(each["uptime_s"]),
            "" if each["restarts"] is None else str(each["restarts"]),
            ", ".join(last or places),
        )
    return table


def record_words(log: dict[str, Any]) -> str:
    """How it stands with a log and its witnesses, in a line."""
    witnesses = [
        f"{each['name']} {each['size']:,}"
        if each["trouble"] is None
        else f"{each['name']} does not"
        for each in log["witnesses"]
    ]
    cosigned = f"; cosigned by {', '.join(witnesses)}" if witnesses else ""
    return f"Log: {log['entries']:,} entries, {log['shown']:,} of them shown{cosigned}."


def node_table(nodes: list[dict[str, Any]]) -> "Table":
    """How nodes and their link are: one row for each node."""
    table = new_table("node", "status", "QBER", "S", "key in stock", "tags left for", "why")
    for node in nodes:
        if not node["running"]:
            table.add_row(node["site"], "not running", "", "", "", "", "")
            continue
        qber, chsh = node["last_qber"], node["last_chsh"]
        table.add_row(
            node["site"],
            node["status"] if node["keys_may_flow"] else f"{node['status']}, no keys",
            "–" if qber is None else f"{qber:.1%}",
            "–" if chsh is None else f"{chsh:.2f}",
            f"{node['stock_bits']:,} bits",
            f"{node['reserve_sets']:,} blocks",
            node["reason"],
        )
    return table


def history_table(site: str, records: list[dict[str, Any]]) -> "Table":
    """How the link of a node was: one row for each record."""
    from datetime import UTC, datetime

    table = new_table(f"node {site} from", "status", "mean QBER", "why")
    for each in records:
        at = datetime.fromtimestamp(each["at"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        qber = each["qber"]
        status = f"{each['status']}, stale" if each["stale"] else each["status"]
        table.add_row(at, status, "–" if qber is None else f"{qber:.1%}", each["reason"])
    return table


def state_of_log(state: "OutboxState | None") -> dict[str, Any]:
    """How it stands with what a service tells the log, as fields of JSON."""
    return {
        "ledger_waiting": None if state is None else state.waiting,
        "ledger_oldest_at": None if state is None else state.oldest_at,
        "ledger_problem": "" if state is None else state.problem,
    }


def log_words(writer: Mapping[str, Any]) -> str:
    """How it stands with what a service tells the log, in words."""
    import time

    waiting, since, problem = (
        writer[f"ledger_{each}"] for each in ("waiting", "oldest_at", "problem")
    )
    if not waiting:
        return "it has all entries"
    age = duration(max(0.0, time.time() - (since or time.time())))
    words = f"{waiting:,} {'entry waits' if waiting == 1 else 'entries wait'}, the first for {age}"
    return f"{words}: {problem}" if problem else words


def duration(seconds: float) -> str:
    """A time for people: 5 s, 12 min, 3.5 h, 2.0 d."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} d"


def new_table(*columns: str) -> "Table":
    """An empty table in our style."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for name in columns:
        table.add_column(name)
    return table
