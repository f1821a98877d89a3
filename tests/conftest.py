"""What all tests need: a process that heeds Ctrl-C, whatever started it, and no clock over it."""

import signal

from hypothesis import HealthCheck, settings

# A shell starts background jobs with SIGINT ignored, and what is ignored is inherited by every
# program that a test starts: none of them would then be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long anything takes says how busy the machine is, not whether it is right.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
