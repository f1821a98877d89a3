"""A pair of KMEs in memory, behind the interface of the real ones: honest and obviously right.

It is the model that doors are tested against: grants, once only, 401 for keys of others, all of a
request or nothing. Nothing is durable.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from bellwire.base.secret import Secret
from bellwire.keys.errors import KeyGone, KeyNotGranted, NotEnoughKey, SlaveUnknown
from bellwire.keys.kme import KEY_ID_BYTES, Delivery, KeyRequest, Limits, PairStatus


@dataclass
class Made:
    """A key: who got it, who may have it still, and its bits."""

    master: str
    slaves: frozenset[str]
    left_to: set[str]
    bits: bytes


@dataclass
class World:
    """What both KMEs know.

    Attributes:
        saes: KME of each SAE.
        limits: Of both.
        stock: Keys of any size that there are still.
        refuse: What every request fails with, if it fails.
        hold: Whether deliveries wait for `release`.
    """

    saes: dict[str, str]
    limits: Limits = field(default_factory=Limits)
    stock: int = 10**6
    refuse: Callable[[], Exception] | None = None
    hold: bool = False
    made: dict[bytes, Made] = field(default_factory=dict)
    held: list[tuple["asyncio.Future[Delivery]", Delivery]] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(6))

    def release(self) -> None:
        """Deliver what is held, the latest first."""
        while self.held:
            future, delivery = self.held.pop()
            future.set_result(delivery)


class ModelKme:
    """One of them."""

    def __init__(self, name: str, world: World) -> None:
        self.kme_id = name
        self.world = world
        self.calls = 0

    @property
    def limits(self) -> Limits:
        return self.world.limits

    def serves(self, sae: str) -> bool:
        return self.world.saes.get(sae) == self.kme_id

    def status(self, caller: str, slave: str) -> PairStatus:
        self._begin()
        return PairStatus(
            source_kme=self.kme_id,
            target_kme=self._kme_of(slave),
            master=caller,
            slave=slave,
            stored_keys=self.world.stock,
            extension={"source": "model"},
        )

    def get_keys(self, caller: str, request: KeyRequest) -> "asyncio.Future[Delivery]":
        self._begin()
        world = self.world
        for each in request.slaves:
            self._kme_of(each)
        if request.number > world.stock:
            raise NotEnoughKey(request.bits, 0)
        world.stock -= request.number
        made = {}
        for _ in range(request.number):
            key_id = uuid.UUID(bytes=world.random.randbytes(16), version=4).bytes
            bits = world.random.randbytes(request.bits // 8)
            made[key_id] = Made(caller, frozenset(request.slaves), set(request.slaves), bits)
        world.made |= made
        keys = Secret(b"".join(each.bits for each in made.values()))
        return self._later(Delivery(b"".join(made), keys, request.bits))

    def get_keys_with_ids(self, caller: str, master: str, ids: bytes) -> "asyncio.Future[Delivery]":
        self._begin()
        wanted = [ids[i : i + KEY_ID_BYTES] for i in range(0, len(ids), KEY_ID_BYTES)]
        found = [self.world.made.get(each) for each in wanted]
        if any(each is not None and caller not in each.slaves for each in found):
            raise KeyNotGranted("a key was granted to others")
        there = [
            each
            for each in found
            if each is not None and caller in each.left_to and each.master == master
        ]
        if len(there) != len(wanted):
            raise KeyGone("of the request", "gone, or never there")
        for each in there:
            each.left_to.discard(caller)
        keys = Secret(b"".join(each.bits for each in there))
        lengths = tuple(len(each.bits) for each in there)
        if len(set(lengths)) == 1:
            return self._later(Delivery(ids, keys, 8 * lengths[0]))
        return self._later(Delivery(ids, keys, None, lengths))

    def _begin(self) -> None:
        self.calls += 1
        if self.world.refuse is not None:
            raise self.world.refuse()

    def _kme_of(self, sae: str) -> str:
        kme = self.world.saes.get(sae)
        if kme is None:
            raise SlaveUnknown("no KME that we reach has this SAE")
        return kme

    def _later(self, delivery: Delivery) -> "asyncio.Future[Delivery]":
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        if self.world.hold:
            self.world.held.append((future, delivery))
        else:
            asyncio.get_running_loop().call_soon(future.set_result, delivery)
        return future
