"""What all tests need: a process that heeds Ctrl-C, whatever started it."""

import signal

# A shell starts background jobs with SIGINT ignored, and what is ignored is inherited by every
# program that a test starts: none of them would then be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
