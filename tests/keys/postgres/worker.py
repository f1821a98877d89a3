"""One more process of a site: takes keys at Alice's store and fetches them at Bob's.

`python -m tests.keys.postgres.worker URL ALICE BOB FILE`: each line of FILE is an id that it tries
to fetch first. What it gets it prints, each line after the commit: `took` or `left`, the id, and a
digest of the key. It goes on until it is killed or standard input ends.
"""

import hashlib
import sys
import threading
import time
from pathlib import Path
from uuid import UUID

from tests.keys.stores import KEK, each, leave, take

from bellwire.base.detections import Side
from bellwire.database.place import ServerPlace
from bellwire.keys.errors import KeyGone, StoreError
from bellwire.keys.kme import Delivery
from bellwire.keys.pool import Pool
from bellwire.keys.store import KeyStore


def shared_pool(url: str, schema: str, side: Side) -> tuple[KeyStore, Pool]:
    """A pool beside the node's, as if the peer had said that it numbers all units alike."""
    store = KeyStore.open(ServerPlace(url, schema), KEK, side, shared=True)
    pool = store.pool()
    pool.load(store.authentication_keys().mac_key)
    pool.confirm(pool.marks.next_unit)
    return store, pool


def say(what: str, delivery: Delivery) -> None:
    keys = delivery.keys.reveal()
    length = len(keys) // len(each(delivery.ids))
    for at, key_id in enumerate(each(delivery.ids)):
        digest = hashlib.sha256(keys[at * length : (at + 1) * length]).hexdigest()
        sys.stdout.write(f"{what} {UUID(bytes=key_id)} {digest}\n")
    sys.stdout.flush()


def work(alice: Pool, bob: Pool, ended: threading.Event) -> None:
    number = 0
    while not ended.is_set():
        number = number % 5 + 1
        try:
            taken = take(alice, 256, number)
            say("took", taken)
            say("left", leave(bob, taken.ids))
        except StoreError:
            time.sleep(0.05)  # the server is away


def main() -> None:
    url, ours, theirs, known = sys.argv[1:]
    stores = shared_pool(url, ours, Side.ALICE), shared_pool(url, theirs, Side.BOB)
    (_, alice), (_, bob) = stores
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    for line in Path(known).read_text().split():
        try:
            say("left", leave(bob, UUID(line).bytes))
        except KeyGone:
            continue
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    work(alice, bob, ended)
    for store, _ in stores:
        store.close()


if __name__ == "__main__":
    main()
