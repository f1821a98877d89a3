"""Benchmarks of distillation: each stage, a whole block's cost, and two nodes over TCP.

| module | measures |
|---|---|
| `stages` | each stage alone, beside the textbook's way in the same run |
| `block` | what a block costs each party, from detections to secret bits |
| `wire`, `side` | two nodes in two processes, with and without latency |
| `start` | a process's first blocks, with kernels compiled and without |

`run` gives all their figures.
"""

from bellwire.bench.distill.figures import run

__all__ = ["run"]
