"""The views: what a machine in each VNet is answered, over UDP and TCP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from pytest_ampls.lab import Lab, View

_ODS = "36b87820-3c7e-41fe-851a-86d2a26e7cc2.ods.opinsights.azure.com"
_VIEWS = ("hub", "spoke1", "spoke2", "spoke3", "spoke4")


@contextmanager
def _served(spec: str) -> Iterator[Lab]:
    with Lab.from_spec(spec) as lab:
        yield lab


def _view(lab: Lab, name: str) -> View:
    return next(view for view in lab.views if view.name == name)


def _ask(view: View, name: str, kind: str = "A", *, tcp: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, view.address, port=view.port, timeout=5)


def _addresses(reply: dns.message.Message) -> list[str]:
    return [item.to_text() for rrset in reply.answer if rrset.rdtype == dns.rdatatype.A for item in rrset]


def _chain(reply: dns.message.Message) -> list[str]:
    return [rrset[0].to_text() for rrset in reply.answer if rrset.rdtype == dns.rdatatype.CNAME]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("view", _VIEWS)
def test_private_everywhere(healthy: Lab, view: str, tcp: bool) -> None:
    """The hub has the zones, and the spokes ask the hub: the name is private in every VNet."""
    reply = _ask(_view(healthy, view), _ODS, tcp=tcp)
    assert _addresses(reply) == ["192.168.0.69"]
    assert _chain(reply) == [_ODS.replace(".ods.", ".privatelink.ods.") + "."]
    assert {rrset.ttl for rrset in reply.answer} == {10}


def test_query_name_leads_through_the_shared_one(healthy: Lab) -> None:
    """The Log Analytics query name is an alias of the shared endpoint's."""
    reply = _ask(_view(healthy, "hub"), "api.loganalytics.io")
    assert _chain(reply) == ["api.monitor.azure.com.", "api.privatelink.monitor.azure.com."]
    assert _addresses(reply) == ["192.168.0.71"]


def test_every_endpoint_name_is_private(healthy: Lab) -> None:
    """Every name of the private endpoint is answered with the endpoint's address for it."""
    endpoint = healthy.estate.of_type("Microsoft.Network/privateEndpoints")[0]["properties"]
    for entry in endpoint["customDnsConfigs"]:
        assert _addresses(_ask(_view(healthy, "spoke3"), entry["fqdn"])) == entry["ipAddresses"]


def test_negative_answers(healthy: Lab) -> None:
    """Unknown names and missing types are told apart, and proven by an SOA."""
    unknown = _ask(_view(healthy, "hub"), "nothing.monitor.azure.com")
    missing = _ask(_view(healthy, "hub"), "none.privatelink.monitor.azure.com")
    no_data = _ask(_view(healthy, "hub"), _ODS, "AAAA")
    assert [reply.rcode() for reply in (unknown, missing, no_data)] == [
        dns.rcode.NXDOMAIN,
        dns.rcode.NXDOMAIN,
        dns.rcode.NOERROR,
    ]
    assert missing.authority[0].name.to_text() == "privatelink.monitor.azure.com."
    assert no_data.authority[0].rdtype == dns.rdatatype.SOA
    assert _chain(no_data)


def test_refusals(healthy: Lab) -> None:
    """Classes other than IN and queries that want no recursion are refused."""
    view = _view(healthy, "hub")
    chaos = dns.message.make_query("version.bind", "TXT", "CH")
    iterative = dns.message.make_query(_ODS, "A")
    iterative.flags &= ~dns.flags.RD
    for query in (chaos, iterative):
        reply = dns.query.udp(query, view.address, port=view.port, timeout=5)
        assert reply.rcode() == dns.rcode.REFUSED


def test_an_answer_too_large_for_udp_is_truncated(healthy: Lab) -> None:
    """Past the client's payload size UDP answers are truncated; TCP has them whole."""
    lab = Lab.from_spec("hub-and-spoke")
    record = next(
        found
        for found in lab.estate.of_type("Microsoft.Network/privateDnsZones/A")
        if found["name"] == "live"
    )
    record["properties"]["aRecords"] = [{"ipv4Address": f"192.168.9.{n}"} for n in range(1, 61)]
    with lab:
        view = _view(lab, "hub")
        small = dns.message.make_query("live.monitor.azure.com", "A")
        reply = dns.query.udp(small, view.address, port=view.port, timeout=5)
        assert reply.flags & dns.flags.TC
        assert not reply.answer
        assert len(_addresses(_ask(view, "live.monitor.azure.com"))) == 60
        whole = dns.query.tcp(small, view.address, port=view.port, timeout=5)
        assert len(_addresses(whole)) == 60


def test_a_zone_without_link_gives_public_answers() -> None:
    """An unlinked zone leads through privatelink, all the same, to a public address."""
    with _served("hub-and-spoke+zone-unlinked") as lab:
        reply = _ask(_view(lab, "spoke1"), _ODS)
        assert len(_chain(reply)) == 2
        assert _chain(reply)[1].endswith(".trafficmanager.net.")
        (address,) = _addresses(reply)
        assert address.startswith("203.0.113.")


def test_an_out_of_scope_workspace_has_no_privatelink_name() -> None:
    """A workspace in no scope is public at once: no privatelink name in the chain."""
    with _served("hub-and-spoke+workspace-not-in-scope") as lab:
        reply = _ask(_view(lab, "hub"), _ODS)
        assert not any("privatelink" in name for name in _chain(reply))
        assert _addresses(reply)[0].startswith("203.0.113.")


def test_an_empty_zone_takes_the_shared_names_away() -> None:
    """A spoke with an empty monitor zone gets NXDOMAIN for shared names; its neighbours do not."""
    with _served("hub-and-spoke+empty-zone-linked") as lab:
        assert _ask(_view(lab, "spoke1"), "api.monitor.azure.com").rcode() == dns.rcode.NXDOMAIN
        assert _addresses(_ask(_view(lab, "spoke2"), "api.monitor.azure.com")) == ["192.168.0.71"]
        assert _addresses(_ask(_view(lab, "spoke1"), _ODS)) == ["192.168.0.69"]


def test_redirecting_link_hides_a_missing_record() -> None:
    """With NxDomainRedirect a missing record is answered publicly, without it not at all."""
    lab = Lab.from_spec("hub-and-spoke+record-missing")
    for link in lab.estate.of_type("Microsoft.Network/privateDnsZones/virtualNetworkLinks"):
        link["properties"]["resolutionPolicy"] = "NxDomainRedirect"
    with lab, _served("hub-and-spoke+record-missing") as strict:
        assert _addresses(_ask(_view(lab, "hub"), "api.monitor.azure.com"))[0].startswith("203.0.113.")
        assert _ask(_view(strict, "hub"), "api.monitor.azure.com").rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("cause", ["no peering", "no machine"])
def test_an_unreachable_resolver_is_no_answer(cause: str) -> None:
    """Without a peering to the DNS server's VNet, or without the server, there is no answer."""
    lab = Lab.from_spec("hub-and-spoke")
    networks = {found["name"]: found for found in lab.estate.of_type("Microsoft.Network/virtualNetworks")}
    if cause == "no peering":
        networks["hub"]["properties"]["virtualNetworkPeerings"] = []
    else:
        networks["spoke1"]["properties"]["dhcpOptions"]["dnsServers"] = ["192.168.0.5"]
    with lab:
        assert _ask(_view(lab, "spoke1"), _ODS).rcode() == dns.rcode.SERVFAIL


def test_two_scopes_answer_with_the_last_writer() -> None:
    """In a shared boundary both VNets get the addresses of the endpoint that wrote last."""
    with _served("two-scopes") as lab:
        answers = {view.name: _addresses(_ask(view, "api.monitor.azure.com")) for view in lab.views}
        assert answers["blue"] == answers["green"] == ["10.2.0.71"]


def test_resolver_answers_public() -> None:
    """The forwarder in the hub goes past the zones, for the hub and for whoever asks it."""
    with _served("hub-and-spoke+resolver-answers-public") as lab:
        for view in lab.views:
            assert _addresses(_ask(view, _ODS))[0].startswith("203.0.113.")


def test_stale_answer() -> None:
    """One name has an old address, the others are as they should be."""
    with _served("hub-and-spoke+stale-dns-answer") as lab:
        assert _addresses(_ask(_view(lab, "spoke1"), _ODS)) == ["192.168.0.99"]
        assert _addresses(_ask(_view(lab, "spoke1"), "api.monitor.azure.com")) == ["192.168.0.71"]


def test_servfail_of_one_view() -> None:
    """A DNS fault can be confined to one VNet."""
    with _served("hub-and-spoke+dns-servfail=spoke2") as lab:
        assert _ask(_view(lab, "spoke2"), _ODS).rcode() == dns.rcode.SERVFAIL
        assert _ask(_view(lab, "spoke1"), _ODS).rcode() == dns.rcode.NOERROR


def test_truncated() -> None:
    """Truncated UDP sends clients to TCP; with the stubborn fault TCP does not help either."""
    with _served("hub-and-spoke+dns-truncated") as lab:
        view = _view(lab, "hub")
        assert _ask(view, _ODS).flags & dns.flags.TC
        assert _addresses(_ask(view, _ODS, tcp=True)) == ["192.168.0.69"]
    with _served("hub-and-spoke+dns-truncated-forever") as lab:
        view = _view(lab, "hub")
        assert _ask(view, _ODS).flags & dns.flags.TC
        with pytest.raises(EOFError):
            _ask(view, _ODS, tcp=True)


def test_cname_loop() -> None:
    """A name leads back to itself."""
    with _served("hub-and-spoke+dns-cname-loop") as lab:
        reply = _ask(_view(lab, "hub"), _ODS)
        assert _chain(reply)[-1] == _ODS + "."
        assert _addresses(reply) == []


def test_garbage() -> None:
    """What comes back is no DNS message."""
    with _served("hub-and-spoke+dns-garbage") as lab, pytest.raises(dns.exception.DNSException):
        _ask(_view(lab, "hub"), _ODS)


def test_timeout_and_down() -> None:
    """One fault swallows queries, the other closes the ports."""
    query = dns.message.make_query(_ODS, "A")
    with _served("hub-and-spoke+dns-timeout") as lab:
        view = _view(lab, "hub")
        with pytest.raises(dns.exception.Timeout):
            dns.query.udp(query, view.address, port=view.port, timeout=0.2)
    with _served("hub-and-spoke+dns-down") as lab:
        view = _view(lab, "hub")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((view.address, view.port), timeout=2)


def test_nonsense_does_not_stop_the_servers(healthy: Lab) -> None:
    """Bytes that are no query are ignored, and so are clients that hang up."""
    view = _view(healthy, "hub")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"\x00\x01nonsense", (view.address, view.port))
    with socket.create_connection((view.address, view.port), timeout=2) as tcp:
        tcp.sendall(b"\x00\x40half")
    assert _addresses(_ask(view, _ODS)) == ["192.168.0.69"]
