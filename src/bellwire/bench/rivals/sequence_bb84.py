"""BB84 with SeQUeNCe: its nodes, its protocol, its laser and detectors.

Polarised pulses of 0.1 photons on average at 80 MHz, 0.2 dB/km, detectors of 20 % that are blind
for 40 ns, no dark counts, 2 % of errors from the optics; all but efficiency and fidelity are the
library's defaults. It sifts what it detects. Source: `sequence.qkd.BB84` and
`sequence.topology.node.QKDNode` of the installed package.
"""

import json
import sys
import time

from sequence.components.optical_channel import ClassicalChannel, QuantumChannel
from sequence.kernel.timeline import Timeline
from sequence.qkd.BB84 import pair_bb84_protocols
from sequence.topology.node import QKDNode

FREQUENCY_HZ = 8e7
KEY_BITS = 256
EFFICIENCY = 0.2
FIDELITY = 0.96
"""Of the polarisation; what fails is replaced by a random state, so that 2 % are wrong."""


def send(km: float, pulses: int) -> dict[str, float]:
    """Send pulses, and say how many, in what processor time, what was sifted and what was wrong."""
    run_ps = pulses / FREQUENCY_HZ * 1e12
    timeline = Timeline(run_ps + 1e9)
    alice, bob = QKDNode("alice", timeline, stack_size=1), QKDNode("bob", timeline, stack_size=1)
    alice.set_seed(1)
    bob.set_seed(2)
    protocol = alice.protocol_stack[0]
    pair_bb84_protocols(protocol, bob.protocol_stack[0])
    for here, there in ((alice, bob), (bob, alice)):
        light = QuantumChannel(
            f"light {here.name}",
            timeline,
            attenuation=0.0002,
            distance=1000.0 * km,
            polarization_fidelity=FIDELITY,
        )
        light.set_ends(here, there.name)
        words = ClassicalChannel(f"words {here.name}", timeline, distance=1000.0 * km)
        words.set_ends(here, there.name)
    for number in range(2):  # the node's own method of this name passes polarisation over
        detectors = bob.components["bob.qsdetector"]
        detectors.update_detector_params(number, "efficiency", EFFICIENCY)
    timeline.init()
    protocol.push(KEY_BITS, 10**9, run_ps)
    began = time.process_time()
    timeline.run()
    seconds = time.process_time() - began
    keys = protocol.error_rates
    return {
        "sent": pulses,
        "seconds": seconds,
        "sifted": KEY_BITS * len(keys),
        "wrong": KEY_BITS * float(sum(keys)),
    }


if __name__ == "__main__":
    near = send(float(sys.argv[1]), int(sys.argv[2]))
    far = send(float(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.write(json.dumps([near, far]) + "\n")
