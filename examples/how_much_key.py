"""How long must a block be? What the finite-key bound of BBM92 proves, by the length of the block.

python examples/how_much_key.py [QBER]
"""

import sys

from bellwire import lab


def main(qber: float = 0.02) -> None:
    """Print secret bits and their share of what an endless block would give."""
    proved = lab.bounds("bbm92", pulses="1e4:1e8:5:log", qber=qber)
    print(f"QBER {proved.qber:.1%}, failure probability {proved.epsilon:.0e}")
    for point in proved.of(proved.curves[0].theorem):
        print(
            f"{point.pulses:>13,} pairs  {point.secret_bits:>12,} secret bits  {point.share:6.1%}"
        )


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
