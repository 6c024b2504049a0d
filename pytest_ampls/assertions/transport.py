"""9xx: what answers on TCP 443 of the private endpoints' addresses: TLS versions, and whose certificate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from pytest_ampls.assertions.expectation import one_of
from pytest_ampls.catalogue import Evidence, Finding, Fix, NotApplicable, Severity, rule
from pytest_ampls.errors import EvidenceError, NotReadError
from pytest_ampls.model.gap import GapKind
from pytest_ampls.model.handshake import RUNNER, Certificate, Handshake
from pytest_ampls.model.network import PrivateEndpoint
from pytest_ampls.model.text import quoted

__all__ = ["NO_INSPECTION", "assert_chain_not_resigned", "assert_endpoint_reachable", "assert_tls_minimum"]

_LEARN: Final = "https://learn.microsoft.com/azure/"
_READ: Final = ("Microsoft.Network/privateEndpoints/read", "Microsoft.Network/networkInterfaces/read")
_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_NOT_LISTENING: Final = frozenset({GapKind.UNREACHABLE, GapKind.MALFORMED})
"""Gaps that are facts of the network: with others nothing was tried."""


def _shakes(endpoint: PrivateEndpoint) -> Iterator[Handshake]:
    """Yield what came of every name and address of an endpoint, from where the run is.

    Raises:
        NotApplicable: no probe was asked for.
        EvidenceError: the endpoint's names were not read, or it has none, or one of them was not probed.
    """
    observations = endpoint.estate.observations
    if not observations.handshakes and not endpoint.estate.snapshot.probed:
        raise NotApplicable("no connection was made to any private endpoint: add --ampls-probe")
    if not endpoint.members:
        raise NotReadError(f"private endpoint {endpoint.label!r} has no name to probe: AMPLS205 judges that")
    unprobed = []
    for name, addresses in endpoint.members.items():
        for address in addresses:
            tried = observations.handshakes_with(name, address)
            own = [shake for shake in tried if shake.vantage_point == RUNNER]
            yield from own
            if not own:
                unprobed.append(f"{name} at {address}")
    if unprobed:
        raise NotReadError(
            f"private endpoint {endpoint.label!r}: {len(unprobed)} of its addresses were not probed, "
            f"the first {unprobed[0]}"
        )


def _agreed(endpoint: PrivateEndpoint) -> Iterator[Handshake]:
    """Yield the handshakes that came about; the first one that did not is raised after them."""
    lost: EvidenceError | None = None
    for shake in _shakes(endpoint):
        if shake.gap is None:
            yield shake
        elif lost is None:
            lost = shake.gap.error()
    if lost is not None:
        raise lost


def _on_address(
    endpoint: PrivateEndpoint, shake: Handshake, *, expected: str, observed: str, option: str = ""
) -> Finding:
    host = f"[{shake.address}]" if ":" in shake.address else shake.address
    place = f"{host}:{shake.port}"
    command = f"openssl s_client -connect {quoted(place)} -servername {quoted(shake.name)}{option} </dev/null"
    finding = Finding.on(
        endpoint,
        f"{shake.name} at {place}, connected to from the {shake.vantage_point}",
        expected=expected,
        observed=observed,
        evidence=command,
        tokens={"address": shake.address, "host": shake.name},
    )
    seen = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(shake.read_at))
    return msgspec.structs.replace(finding, read=f"by a connection at {seen}")


@rule(
    "AMPLS901",
    "Every address of the private endpoint agrees on a current TLS version, and refuses old ones",
    severity=Severity.HIGH,
    why="""Azure Monitor demands TLS 1.2 for queries (since July 2025) and for ingestion (since March 2026). An address
    that accepts less is answered by something in between, which decrypts what agents send with ciphers that can
    be broken.""",
    fix=Fix(
        az="az network private-endpoint show --ids <id>  # then find what answers for <address>, and take this traffic "
        "out of its TLS inspection",
        terraform="azurerm_firewall_policy_rule_collection_group { … application_rule_collection { rule { "
        "terminate_tls = false } } } for <host>",
        bicep="Microsoft.Network/firewallPolicies/ruleCollectionGroups: terminateTLS: false in the rule that matches "
        "<host>",
    ),
    learn=_LEARN + "azure-monitor/fundamentals/best-practices-security",
    permissions=_READ,
    controls=("DP-3",),
    evidence=(Evidence.PROBE,),
)
def assert_tls_minimum(private_endpoint: PrivateEndpoint, *, minimum: str = "TLSv1.2") -> Iterator[Finding]:
    """Assert that each address agrees on the minimum TLS version or a newer one, and refuses each older one.

    Addresses that did not answer are unverified here: AMPLS903 judges that. A version that this machine's
    OpenSSL cannot offer is unverified as well.

    Args:
        private_endpoint: the private endpoint of a private link scope.
        minimum: the oldest version that may be accepted: TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3.

    Raises:
        ConfigurationError: there is no such version.
    """
    minimum = one_of(_VERSIONS, minimum, "minimum")
    older = _VERSIONS[: _VERSIONS.index(minimum)]
    untested: NotReadError | None = None
    for shake in _agreed(private_endpoint):
        outcomes = {version: shake.versions.get(version, "untested: not tried") for version in older}
        accepted = [version for version, outcome in outcomes.items() if outcome == "accepted"]
        unknown = [version for version, outcome in outcomes.items() if outcome not in {"accepted", "refused"}]
        if shake.version in older or shake.version not in _VERSIONS:
            yield _on_address(
                private_endpoint,
                shake,
                expected=f"{minimum} or newer is agreed on",
                observed=f"{shake.version or 'no version'} with {shake.cipher or 'no cipher'}",
            )
        elif accepted:
            yield _on_address(
                private_endpoint,
                shake,
                expected=f"only {minimum} and newer are accepted",
                observed=f"{', '.join(accepted)} accepted, where offered alone",
                option=f" -{accepted[0].lower().replace('v', '').replace('.', '_')} -cipher ALL:@SECLEVEL=0",
            )
        if unknown:
            why = outcomes[unknown[0]]
            untested = NotReadError(f"{shake.name} at {shake.address}: {unknown[0]} is {why}")
    if untested is not None:
        raise untested


NO_INSPECTION: Final = Fix(
    az="openssl s_client -connect <address>:443 -servername <host> -showcerts </dev/null  # names who signed; "
    "exclude <host> from TLS inspection there",
    terraform="azurerm_firewall_policy_rule_collection_group { … application_rule_collection { rule { "
    "terminate_tls = false } } } for <host>",
    bicep="Microsoft.Network/firewallPolicies/ruleCollectionGroups: terminateTLS: false in the rule that matches "
    "<host>",
)


@rule(
    "AMPLS902",
    "No proxy signs the certificates anew: each is for its name and leads to a trusted authority",
    severity=Severity.HIGH,
    why="""A firewall that inspects TLS presents certificates of its own. The agent does not trust them, and its uploads
    end with an error in the TLS handshake; where it does trust them, the firewall reads all of its data.""",
    fix=NO_INSPECTION,
    learn=_LEARN + "azure-monitor/agents/azure-monitor-agent-network-configuration",
    permissions=_READ,
    controls=("DP-3", "NS-2"),
    evidence=(Evidence.PROBE,),
)
def assert_chain_not_resigned(
    private_endpoint: PrivateEndpoint, *, expected_issuers: Sequence[str] = ()
) -> Iterator[Finding]:
    """Assert that each address presents a certificate for its name whose chain is trusted.

    What is trusted is decided by the authorities of this machine, or of ``--ampls-ca-bundle``. Where the inspecting
    proxy's own authority is among them, only ``expected_issuers`` tells.

    Args:
        private_endpoint: the private endpoint of a private link scope.
        expected_issuers: patterns (``*`` stands for any text, case does not matter) of which one must match an
            issuer in the chain, such as ``*O=Microsoft Corporation*``; none accepts every trusted issuer.
    """
    patterns = (expected_issuers,) if isinstance(expected_issuers, str) else tuple(expected_issuers)
    for shake in _agreed(private_endpoint):
        if not shake.trusted:
            yield _on_address(
                private_endpoint,
                shake,
                expected=f"a trusted certificate for {shake.name}",
                observed=f"the certificate is not accepted: {shake.distrust}; {_signed(shake.chain)}",
                option=" -showcerts",
            )
        elif patterns and not _issued_by(shake.chain, patterns):
            yield _on_address(
                private_endpoint,
                shake,
                expected=f"an issuer like {' or '.join(patterns)}",
                observed=f"trusted here, but {_signed(shake.chain)}",
                option=" -showcerts",
            )


def _issued_by(chain: Sequence[Certificate], patterns: Sequence[str]) -> bool:
    issuers = [certificate.issuer.lower() for certificate in chain]
    return any(fnmatchcase(issuer, pattern.lower()) for issuer in issuers for pattern in patterns)


def _signed(chain: Sequence[Certificate]) -> str:
    if not chain:
        return "it sent no chain"
    leaf = chain[0]
    names = ", ".join(leaf.names[:3]) + (" …" if len(leaf.names) > 3 else "")
    return f"it is for {names or leaf.subject or 'no name'}, issued by {chain[-1].issuer or 'nobody'}"


@rule(
    "AMPLS903",
    "TCP 443 of every address of the private endpoint answers, and agrees on TLS",
    severity=Severity.HIGH,
    why="""Right names and addresses are of no use where a network security group, a route or a firewall in between
    drops the connection: agents and queries time out.""",
    fix=Fix(
        az="az network watcher test-connectivity --source-resource <vm-id> --dest-address <address> --dest-port 443",
        terraform='azurerm_network_security_rule { direction = "Inbound", access = "Allow", protocol = "Tcp", '
        'destination_address_prefix = "<address>", destination_port_range = "443" }',
        bicep="Microsoft.Network/networkSecurityGroups/securityRules: properties: { direction: 'Inbound', access: "
        "'Allow', protocol: 'Tcp', destinationAddressPrefix: '<address>', destinationPortRange: '443' }",
    ),
    learn=_LEARN + "private-link/troubleshoot-private-endpoint-connectivity",
    permissions=_READ,
    controls=("NS-2",),
    evidence=(Evidence.PROBE,),
)
def assert_endpoint_reachable(private_endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Assert that a TLS handshake comes about with each address, from where the run is.

    It has to run where clients are: inside the network, or in one that is connected to it.

    Args:
        private_endpoint: the private endpoint of a private link scope.
    """
    untried: EvidenceError | None = None
    for shake in _shakes(private_endpoint):
        if shake.gap is None:
            continue
        if shake.gap.kind in _NOT_LISTENING:
            yield _on_address(
                private_endpoint,
                shake,
                expected="TCP 443 connects, and TLS is agreed on",
                observed=shake.gap.message,
            )
        elif untried is None:
            untried = shake.gap.error()
    if untried is not None:
        raise untried
