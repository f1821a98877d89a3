"""When is Eve seen? BB84 over her share of the photons: errors, key, verdict.

    python examples/eve_and_errors.py [PULSES]

Both sides' real sessions judge each block; nothing of its key is used for anything. An Eve who
measures and resends causes errors in a quarter of what she takes.
"""

import sys

from bellwire import lab


def main(pulses: int = 60_000) -> None:
    """Print a line for each share."""
    print(f"{'Eve takes':>9}  {'QBER':>14}  {'secret bits':>11}  verdict")
    for share in (0.0, 0.1, 0.3, 0.5, 1.0):
        found = lab.run("bb84", pulses=pulses, eve=f"intercept-resend:{share}", seed=1)
        qber = f"{found.qber or 0:.1%} ± {found.qber_stderr or 0:.1%}"
        print(f"{share:9.0%}  {qber:>14}  {found.secret_bits:11,}  {found.reason or found.verdict}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
