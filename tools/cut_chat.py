#!/usr/bin/env python
"""A chat flows through a router, Eve attacks the link, the port is cut, she goes, the chat resumes.

Then its relay moves to another port, to another address, into lockdown, and home. Unattended, in
network namespaces: a link with two nodes and Eve, a guard on the router, a relay behind it, two
people before it who never stop talking. Prints what was measured, and ends with 1 if a message
passed while the link was RED or the relay locked, was lost or came twice. Needs root and nftables.

    python tools/cut_chat.py --seconds 10
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.guard.story import tell

LEASE_S = 3.0


def main() -> int:
    """Let it happen once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long Eve stays")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = tell(Path(folder) / "s", red_s=asked.seconds, patient=True)
    print(f"GREEN: QBER {told.green_qber:.1%}, the chat flows")
    print(f"Eve measures all: QBER {told.red_qber:.1%}, RED after {told.attack_to_event_s:.2f} s")
    print(
        f"port blocked {told.event_to_rules_ms:.1f} ms after the node's word, last message "
        f"{told.event_to_last_ms:.1f} ms after it"
    )
    print(f"while RED: {told.passed_while_red} messages passed, {told.held_back} were held back")
    print(f"Eve is gone, GREEN: the chat resumed {told.resumed_s:.2f} s after packets might pass")
    order = "in order" if told.in_order else "OUT OF ORDER"
    print(f"{told.said} messages: {told.lost} lost, {told.doubled} came twice, {order}")
    port, address, home = told.moved_s
    print(
        f"the relay moved: the chat went on at another port after {port:.2f} s, at another address "
        f"after {address:.2f} s, at home after {home:.2f} s"
    )
    print(
        f"{told.passed_away_while_red} messages passed at the new port while RED, "
        f"{told.passed_while_locked} in a lockdown, {told.old_places_heard} old places were heard"
    )
    print(f"node killed: nothing passed {told.node_killed_s:.2f} s later (lease {LEASE_S:g} s)")
    late = max(told.event_to_last_ms / 1e3, told.node_killed_s - 1.0) > LEASE_S
    passed = told.passed_while_red + told.passed_away_while_red + told.passed_while_locked
    return 1 if passed or told.old_places_heard or told.lost or told.doubled or late else 0


if __name__ == "__main__":
    raise SystemExit(main())
