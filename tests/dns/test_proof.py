"""The computed answer is what real servers answer that are set up the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings

from pytest_ampls.effective.name_resolution import AnswerStatus, ComputedAnswer, answers
from pytest_ampls.errors import NotReadError
from tests.dns.servers import Servers, clients, missing
from tests.dns.topology import ASKED, Network, Rule, Topology, Zone, estate_of, topologies

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

_STATUS = {
    AnswerStatus.RECORD: "private",
    AnswerStatus.NODATA: "no address",
    AnswerStatus.NXDOMAIN: "NXDOMAIN",
    AnswerStatus.PUBLIC: "public",
    AnswerStatus.FALLBACK: "public",
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Yield a pool of servers."""
    pool = Servers(tmp_path_factory.mktemp("dns"))
    yield pool
    pool.stop()


def computed(answer: ComputedAnswer) -> tuple[str, frozenset[str]]:
    """Return what a client would notice of a computed answer."""
    return _STATUS.get(answer.status, answer.status.value), frozenset(answer.addresses)


def noticed(status: str, addresses: frozenset[str]) -> tuple[str, frozenset[str]]:
    """Return the same of what a server answered; which public address it is says nothing here."""
    if status != "NOERROR":
        return status, addresses
    if any(address.startswith("203.0.113.") for address in addresses):
        return "public", frozenset()
    return ("private" if addresses else "no address"), addresses


def compare(topology: Topology, servers: Servers, seen: Counter[str]) -> None:
    """Hold the computed answer to every name, in every network, against what the servers answer."""
    estate = estate_of(topology)
    nodes = {network.name: clients(topology, network) for network in topology.networks}
    servers.run(node for several in nodes.values() for node in several)
    for network in estate.virtual_networks:
        for name in ASKED:
            said = {noticed(*servers.ask(node, name)) for node in dict.fromkeys(nodes[network.label])}
            try:
                answer = answers(network, name)
            except NotReadError:
                seen["not documented"] += 1
                continue
            seen[answer.status.name] += 1
            where = f"{network.label} asks for {name}: {answer.status}, {answer.reason}"
            if len(said) > 1:
                assert answer.status is AnswerStatus.MIXED, (where, said)
            else:
                assert {computed(answer)} == said, (where, said)


_ORIGIN = "privatelink.monitor.azure.com"
_RECORDS = (("api", ("A", "10.200.0.4")), ("live", ("A",)))
_BY_DOMAIN = Topology(
    (
        Network(0),
        Network(1),
        Network(2, (), (Rule("azure.com.", ("10.1.0.10",)), Rule("monitor.azure.com.", ("10.0.0.10",)))),
    ),
    (Zone(_ORIGIN, _RECORDS, ((0, "strict"),)),),
)
_INBOUND = Topology(
    (Network(0), Network(1, ("10.0.0.4",)), Network(2, ("10.1.0.10",))),
    (Zone(_ORIGIN, _RECORDS, ((1, "strict"),)),),
)
_NAMES_ITSELF = Topology(
    (Network(0), Network(1, ("10.1.0.4", "10.0.0.4")), Network(2, ("10.1.0.4",))),
    (Zone(_ORIGIN, _RECORDS, ((1, "fallback"),)),),
)


def test_computed_answers_are_those_of_real_servers(servers: Servers) -> None:
    """Generated networks, links, records, DNS servers, rulesets and policies: never another answer."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=130,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @example(_BY_DOMAIN)
    @example(_INBOUND)
    @example(_NAMES_ITSELF)
    @given(topologies())
    def prove(topology: Topology) -> None:
        compare(topology, servers, seen)

    prove()
    assert seen.total() - seen["not documented"] > 1000
    assert {status.name for status in (*_STATUS, AnswerStatus.MIXED)} <= set(seen), seen
