"""A word of a guard, as it comes over the wire."""

REPORT: dict[str, object] = {
    "packets": "stop",
    "reason": "a-b is RED: Eve is there",
    "since": 1000.0,
    "heard_at": 1000.5,
    "qber": 0.25,
    "blocked_packets": 3,
    "blocked_bytes": 180,
    "restored": 0,
    "override": {"packets": "stop", "until": None, "reason": "works"},
    "firewall": "nftables",
    "lease_s": 3.0,
    "ports": [8765],
    "addresses": ["10.0.0.0/24"],
    "interfaces": [],
}
