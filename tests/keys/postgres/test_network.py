"""Keys of a network that wait on a server: through the doors, and over a restart of each end."""

from pathlib import Path

import pytest
from tests.keys.conftest import folder
from tests.keys.postgres.server import Server
from tests.node.network import sites as networks

from bellwire.etsi014.errors import KmeRejected
from bellwire.node.network.place import network_folder
from bellwire.node.store_place import STORE_FILE

__all__ = ["folder"]


def test_sites_keep_what_waits_in_schemas_of_a_server(folder: Path, server: Server) -> None:
    async def story() -> None:
        async with networks.sites(folder, networks.LINE, server.url) as net:
            waits = await net.get("a-1", ["c-1", "a-2"], 2)
            for site in "ac":
                await net.restart(site)
            await net.settled()
            for slave in ("c-1", "a-2"):
                assert await net.fetch(slave, "a-1", waits) == waits
                with pytest.raises(KmeRejected, match="not found on KME"):
                    await net.fetch(slave, "a-1", waits)

    networks.run(story)
    told = server.sql("SELECT schema_name FROM information_schema.schemata", database="keys")
    for site in "acr":
        assert f"bellwire_network_{site}" in told
        assert not (network_folder(folder / site, site) / STORE_FILE).exists()
