"""`bellwire network check`: whether settings and topology fit together, before anything runs."""

from typing import Any

from bellwire.cli import output
from bellwire.cli.network.options import NodeOption, SiteOption, TopologyOption, network_settings
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    site: SiteOption = None,
    topology: TopologyOption = None,
    node: NodeOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Check settings, topology and this site's identity; the relays between each pair of sites."""
    from bellwire.cli.network.options import node_folders
    from bellwire.node.network.assemble import check_identity, plan
    from bellwire.node.network.survey import survey

    settings = network_settings(state, config, site, topology, nodes=node_folders(node))
    planned = plan(settings)
    check_identity(settings, planned)
    document: dict[str, Any] = {"site": planned.site, **survey(planned.map, planned.site)}
    if json:
        output.emit(document)
        return
    out = output.stdout()
    out.print(
        f"Site {planned.site} of {document['sites']} sites and {document['links']} links.",
    )
    for each in document["others"]:
        out.print(f"  {_line(each)}", soft_wrap=True)


def _line(each: dict[str, Any]) -> str:
    where = f"{each['site']}, {each['saes']} SAEs: "
    if each["hops"] is None:
        return where + "no links lead there"
    if each["hops"] == 1:
        return where + "a link of our own"
    relays = ", ".join(each["relays_that_all_pass"])
    known = f"a key can be known to {relays}" if relays else "no single relay need know a key"
    return where + f"{each['hops']} hops, {each['disjoint_routes']} disjoint routes; {known}"
