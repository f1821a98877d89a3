"""`tools/secrets_in_memory.py` finds what is in the memory of a process."""

import os
import subprocess
import sys

import pytest
from tools.secrets_in_memory import left

HOLDER = """
import base64, sys
first, second = sys.stdin.buffer.read(32), base64.b64encode(sys.stdin.buffer.read(32))
print("held", flush=True)
sys.stdin.buffer.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_key_is_found_as_it_lies_in_the_memory_of_a_process() -> None:
    keys = [os.urandom(32) for _ in range(3)]
    words = [sys.executable, "-S", "-u", "-c", HOLDER]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(keys[0] + keys[1])
        holder.stdin.flush()
        assert holder.stdout.readline() == b"held\n"
        raw, spelt = left(holder.pid, keys)
        neither, _ = left(holder.pid, keys[2:])
        holder.stdin.close()
    assert raw >= 1  # the second one's bytes may have been written over, or not
    assert spelt == 1
    assert neither == 0
