"""Was this entry in a log that cannot be rewritten? Check a receipt without the log, offline.

    python examples/check_a_receipt.py FILE.tlog-proof POLICY

The policy, a tlog-policy file, says which log and witnesses you trust, and how many of them must
have cosigned; get it from elsewhere than the receipt.
"""

import sys
from pathlib import Path

from bellwire.base.errors import BellwireError
from bellwire.ledger.policy import parse_policy
from bellwire.ledger.receipt import parse_receipt, verify_receipt
from bellwire.ledger.tree import leaf_hash


def main(receipt: Path, policy: Path) -> int:
    """Say what holds; 3 if it does not."""
    try:
        found = parse_receipt(receipt.read_bytes())
        entry = found.extra or b""
        shown = verify_receipt(found, leaf_hash(entry), parse_policy(policy.read_bytes()))
    except BellwireError as error:
        print(f"does not hold: {error}")
        return 3
    print(f"entry {found.index} of {shown.checkpoint.size} in {shown.log.name}: {entry!r}")
    print("cosigned by", ", ".join(each.name for each in shown.witnesses) or "nobody")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
