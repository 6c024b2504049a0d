"""What the faults of the known failures look like: the DNS answers and the guests' words that the catalogue names."""

from __future__ import annotations

from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from pytest_ampls.assertions.endpoint_network import assert_endpoint_network_policies
from pytest_ampls.assertions.name_resolution import assert_private_resolution
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.lab import Lab
from pytest_ampls.model import Estate
from pytest_ampls.model.vantage import Resolver
from pytest_ampls.requirements import load_requirements
from tests.guards.suite import lab_snapshot

ODS = "36b87820-3c7e-41fe-851a-86d2a26e7cc2.ods.opinsights.azure.com"
OMS = ODS.replace(".ods.", ".oms.")
HANDLER = "global.handler.control.monitor.azure.com"
API = "api.monitor.azure.com"
PACKS = "scadvisorcontentpl.blob.core.windows.net"
ACCOUNT = "labdiagnostics.blob.core.windows.net"
PUBLIC = ("203.0.113.", "198.51.100.")
PRIVATE, OTHER, STALE = ("192.168.0.",), ("10.9.0.",), ("192.168.0.78",)

# Fault to what a network is answered for a name: the beginnings of its address, or the status without one.
ANSWERS = [
    ("zone-unlinked", "spoke1", ODS, PUBLIC),
    ("zone-unlinked", "spoke1", HANDLER, PRIVATE),
    ("zones-linked-elsewhere", "spoke1", ODS, PUBLIC),
    ("zones-linked-elsewhere", "spoke2", ODS, PRIVATE),
    ("spoke-bypasses-hub-dns", "spoke1", ODS, PUBLIC),
    ("spoke-bypasses-hub-dns", "spoke2", ODS, PRIVATE),
    ("workspace-not-in-scope", "spoke1", ODS, PUBLIC),
    ("forwarding-only-monitor", "spoke1", HANDLER, PRIVATE),
    ("forwarding-only-monitor", "spoke1", ODS, PUBLIC),
    ("forwarding-only-monitor", "spoke2", ODS, PRIVATE),
    ("forwarding-rules-private", "spoke1", HANDLER, PUBLIC),
    ("empty-zone-linked", "spoke1", API, "NXDOMAIN"),
    ("empty-zone-linked", "spoke2", API, PRIVATE),
    ("second-scope-overwrites", "spoke1", API, OTHER),
    ("second-scope-overwrites", "spoke1", HANDLER, OTHER),
    ("second-scope-overwrites", "spoke1", "westeurope-5.in.ai.monitor.azure.com", OTHER),
    ("second-scope-overwrites", "spoke1", ODS, PRIVATE),
    ("second-scope-deletes-records", "spoke1", HANDLER, "NXDOMAIN"),
    ("second-scope-deletes-records", "spoke1", ODS, PRIVATE),
    ("endpoint-made-anew", "spoke1", HANDLER, STALE),
    ("record-missing-falls-back", "spoke1", ODS, PUBLIC),
    ("record-missing", "spoke1", API, "NXDOMAIN"),
    ("record-empty", "spoke1", HANDLER, "NOERROR"),
    ("legacy-agent-refused", "spoke1", OMS, PUBLIC),
    ("zone-group-lacks-blob", "spoke1", PACKS, PUBLIC),
    ("blob-zone-shadows-account", "spoke1", ACCOUNT, "NXDOMAIN"),
    ("connection-pending", "spoke1", HANDLER, PRIVATE),
    ("spoke-not-peered", "spoke1", HANDLER, PRIVATE),
    ("nsg-denies-outbound", "spoke1", HANDLER, PRIVATE),
]


@pytest.mark.parametrize(
    ("fault", "network", "name", "expected"),
    ANSWERS,
    ids=[f"{fault}-{network}-{name.partition('.')[0]}" for fault, network, name, _ in ANSWERS],
)
def test_what_dns_answers(fault: str, network: str, name: str, expected: str | tuple[str, ...]) -> None:
    """The answer is the one that the failure is known by, in the network that it is known from."""
    with Lab.from_spec(f"hub-and-spoke+{fault}") as lab:
        view = next(view for view in lab.views if view.name == network)
        reply = dns.query.udp(dns.message.make_query(name, "A"), view.address, port=view.port, timeout=5)
    found = [item.to_text() for part in reply.answer if part.rdtype == dns.rdatatype.A for item in part]
    if isinstance(expected, str):
        assert (dns.rcode.to_text(reply.rcode()), found) == (expected, [])
    else:
        assert found
        assert all(address.startswith(expected) for address in found)


def test_the_storage_account_is_public_elsewhere() -> None:
    """What the blob zone takes away from one network, a network without it is answered publicly."""
    with Lab.from_spec("hub-and-spoke+blob-zone-shadows-account+spoke-bypasses-hub-dns") as lab:
        view = next(view for view in lab.views if view.name == "spoke1")
        reply = dns.query.udp(dns.message.make_query(ACCOUNT, "A"), view.address, port=view.port, timeout=5)
    chain = [part[0].to_text() for part in reply.answer if part.rdtype == dns.rdatatype.CNAME]
    assert chain[0] == "labdiagnostics.privatelink.blob.core.windows.net."
    assert any(part.rdtype == dns.rdatatype.A for part in reply.answer)


def test_a_public_gateway_answers_and_proves_nothing() -> None:
    """The machine shakes hands and is told Healthy by public addresses; its network's DNS answers privately."""
    estate = Estate(lab_snapshot("hub-and-spoke+public-gateway-answers"))
    (state,) = (each for each in estate.snapshot.guests if each.machine.endswith("/spoke1"))
    assert all(shake.trusted and shake.address.startswith(PUBLIC) for shake in state.handshakes or ())
    assert set((state.health or {}).values()) == {"Healthy (HTTP 200)"}
    (point,) = (each for each in estate.vantage_points if each.name == "spoke1")
    assert_private_resolution(estate.private_endpoints[0], Resolver(estate, point))


def test_requirements_show_the_way_around_the_firewall(tmp_path: Path) -> None:
    """Who wants the firewall to see the traffic says so in the requirements, and the rule's default does not."""
    file = tmp_path / "ampls.toml"
    file.write_text('[[expect]]\nrule = "AMPLS209"\nexpected = "Enabled"\n', encoding="utf-8")
    requirements = load_requirements(file)
    (endpoint,) = Estate(lab_snapshot("hub-and-spoke+firewall-bypassed")).private_endpoints
    assert_endpoint_network_policies(endpoint)
    wishes = requirements.keywords(assert_endpoint_network_policies, endpoint)
    with pytest.raises(ConformanceError, match="privateEndpointNetworkPolicies"):
        assert_endpoint_network_policies(endpoint, **wishes)
