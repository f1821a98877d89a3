"""Who changes the firewall: the kernel tells, so that a guard sees at once what others did to it.

The kernel's word on a change of nftables (NFT_MSG_NEWGEN of nfnetlink, linux/netfilter/nf_tables.h)
names the process that made it. Our own changes need no look.
"""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable

_NETFILTER = 12  # NETLINK_NETFILTER
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP = 7  # NFNLGRP_NFTABLES
_NEW_GENERATION = 10 << 8 | 15  # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN
_HEADER, _FAMILY_HEADER, _ATTRIBUTE = 16, 4, struct.Struct("=HH")
_PROCESS = 2  # NFTA_GEN_PROC_PID
_BUFFER = 1 << 16


class Changes:
    """Calls `changed` when somebody else changed nftables; in the event loop's thread.

    Args:
        changed: What to do.

    Raises:
        OSError: the kernel does not tell us.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        try:
            self._socket.setblocking(False)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        except OSError:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        foreign = False
        while True:
            try:
                data = self._socket.recv(_BUFFER)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                foreign = True  # words were lost
                continue
            foreign = foreign or any(pid != os.getpid() for pid in changers(data))
        if foreign:
            self._changed()


def changers(data: bytes) -> list[int]:
    """The processes that made the changes in what the kernel sent; 0 where it does not say."""
    found, at = [], 0
    while at + _HEADER <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if length < _HEADER or at + length > len(data):
            break
        if kind == _NEW_GENERATION:
            found.append(_process(data[at + _HEADER + _FAMILY_HEADER : at + length]))
        at += length + -length % 4
    return found


def _process(attributes: bytes) -> int:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if length < _ATTRIBUTE.size:
            break
        if kind == _PROCESS and length >= _ATTRIBUTE.size + 4:
            return int.from_bytes(attributes[at + 4 : at + 8], "big")
        at += length + -length % 4
    return 0
