"""What a decoder raises for bytes from outside that are none of its messages.

msgspec's own error is not all: text that is not UTF-8, and nesting too deep for the stack, come up
as Python's. Whoever decodes catches these three together.
"""

from typing import Final

import msgspec

UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
