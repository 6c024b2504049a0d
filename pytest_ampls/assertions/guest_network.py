"""313, 522, 523: what a machine's guest resolves, and what it reaches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_ampls.assertions.guest_answer import answered_as, guest_of, on_guest, resolved_names
from pytest_ampls.assertions.transport import NO_INSPECTION
from pytest_ampls.catalogue import Evidence, Finding, Fix, NotApplicable, Severity, rule
from pytest_ampls.effective.guest_names import GLOBAL_HANDLER
from pytest_ampls.effective.guest_servers import foreign_servers
from pytest_ampls.effective.power import POWER_READ
from pytest_ampls.errors import EvidenceError, NotReadError
from pytest_ampls.model.guest_state import GuestState, Lookup
from pytest_ampls.model.handshake import Handshake
from pytest_ampls.model.machine import Machine

__all__ = ["assert_guest_reaches_endpoints", "assert_guest_resolution", "assert_no_hosts_override"]

_LEARN: Final = "https://learn.microsoft.com/azure/"
_READ: Final = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.HybridCompute/machines/read",
    "Microsoft.Network/privateEndpoints/read",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Insights/dataCollectionRuleAssociations/read",
    POWER_READ,
)
_HOSTS: Final = ("/etc/hosts", r"C:\Windows\System32\drivers\etc\hosts")


@rule(
    "AMPLS313",
    "A machine resolves the names of Azure Monitor by DNS, not by its hosts file",
    severity=Severity.MEDIUM,
    why="""A line in the hosts file, left over from a test, hides what DNS says: right today, wrong as soon as the
    private endpoint gets other addresses, and not seen by anything that looks at DNS.""",
    fix=Fix(
        az="az vm run-command invoke --ids <id> --command-id <shell> --scripts '<remove>'",
        terraform='take the line for <host> out of the custom_data or image of the machine "<name>"',
        bicep="Microsoft.Compute/virtualMachines '<name>': take the line for <host> out of osProfile.customData "
        "or the image",
    ),
    learn=_LEARN + "azure-monitor/logs/private-link-configure",
    permissions=(
        "Microsoft.Compute/virtualMachines/read",
        "Microsoft.HybridCompute/machines/read",
        POWER_READ,
    ),
    evidence=(Evidence.GUEST,),
)
def assert_no_hosts_override(machine: Machine) -> Iterator[Finding]:
    """Assert that the guest's hosts file has none of the names that its agent uses.

    Args:
        machine: a virtual machine or an Arc machine whose guest was looked at.
    """
    state = guest_of(machine)
    windows = state.system.lower() == "windows"
    for lookup in state.told(state.lookups, "lookups"):
        if lookup.in_hosts_file:
            yield on_guest(
                machine,
                state,
                _HOSTS[windows],
                expected=f"no line for {lookup.name}",
                observed=f"{', '.join(lookup.in_hosts_file)} for {lookup.name}",
                shows=(f"grep {lookup.name} {_HOSTS[0]}", f"Select-String {lookup.name} {_HOSTS[1]}"),
                tokens={"host": lookup.name, "remove": _removal(lookup.name, windows=windows)},
            )


def _removal(name: str, *, windows: bool) -> str:
    if windows:
        return f'(Get-Content {_HOSTS[1]}) -notmatch [regex]::Escape("{name}") | Set-Content {_HOSTS[1]}'
    return f"sed -i /{name}/d {_HOSTS[0]}"


@rule(
    "AMPLS522",
    "A machine's own resolution leads its agent to the private endpoint",
    severity=Severity.HIGH,
    why="""What counts is what programs on the machine get: its resolver, cache and hosts file are between them and
    the DNS that looks right from elsewhere. A public address means a public path, which is refused or leaks.""",
    fix=Fix(
        az="az vm run-command invoke --ids <id> --command-id <shell> --scripts '<look>'  # then AMPLS301 to 313",
        terraform='azurerm_virtual_network { dns_servers = […] } of the machine "<name>", then restart it: a machine '
        "takes DNS servers over when it starts or renews its lease",
        bicep="Microsoft.Network/virtualNetworks: properties.dhcpOptions.dnsServers, then restart '<name>'",
    ),
    learn=_LEARN + "private-link/private-endpoint-dns-integration",
    permissions=_READ,
    controls=("NS-2",),
    evidence=(Evidence.GUEST,),
)
def assert_guest_resolution(machine: Machine) -> Iterator[Finding]:
    """Assert that the guest resolves its agent's names to the private endpoint's addresses.

    Judged are the names that a private endpoint in the machine's VNets or their peers serves: the global handler,
    the hosts of its data collection endpoints, the ingestion names of its workspaces. Where several scopes serve the
    global handler, it is right at those that have the machine's data collection endpoint, or else its workspaces.

    Args:
        machine: a virtual machine or an Arc machine whose guest was looked at.
    """
    state = guest_of(machine)
    for resolved in resolved_names(machine, state):
        lookup = resolved.lookup
        if not resolved.is_right:
            servers = ", ".join(state.dns_servers or ()) or "servers that the guest did not tell"
            servers += foreign_servers(machine, state.dns_servers or ())
            yield on_guest(
                machine,
                state,
                f"{lookup.name} resolved on the machine",
                expected=f"{', '.join(sorted(resolved.right))}, of the private endpoint",
                observed=f"{answered_as(resolved)}; it asks {servers}",
                shows=(f"getent ahostsv4 {lookup.name}", f"Resolve-DnsName -Type A {lookup.name}"),
                tokens={"look": f"getent ahostsv4 {lookup.name}", "host": lookup.name},
            )


@rule(
    "AMPLS523",
    "A machine reaches the private endpoint over TLS",
    severity=Severity.HIGH,
    why="""A right address is no open path: network security groups, routes, firewalls and proxies are in between,
    and one that breaks TLS open presents a certificate that the agent does not trust.""",
    fix=Fix(
        az="az network watcher test-connectivity --source-resource <id> --dest-address <address> --dest-port 443",
        terraform='azurerm_network_security_rule { direction = "Outbound", access = "Allow", '
        'destination_address_prefix = "<address>", destination_port_range = "443" }',
        bicep="Microsoft.Network/networkSecurityGroups/securityRules: allow outbound 443 to <address>, "
        "and no route that drops it",
    ),
    learn=_LEARN + "azure-monitor/agents/azure-monitor-agent-troubleshoot-linux-vm",
    permissions=_READ,
    controls=("NS-2", "DP-3"),
    evidence=(Evidence.GUEST,),
)
def assert_guest_reaches_endpoints(machine: Machine) -> Iterator[Finding]:
    """Assert a trusted TLS handshake with each right address, and a healthy global handler.

    Names that the guest resolves wrongly are AMPLS522's.

    Args:
        machine: a virtual machine or an Arc machine whose guest was looked at.
    """
    state = guest_of(machine)
    shakes = state.told(state.handshakes, "handshakes")
    unheard: EvidenceError | None = None
    right = [resolved for resolved in resolved_names(machine, state) if resolved.is_right]
    if not right:  # nothing of the private endpoint was tried, so nothing of it is proven
        raise NotApplicable("no name leads the machine to the private endpoint: AMPLS522 judges that")
    for resolved in right:
        tried = [shake for shake in shakes if shake.name == resolved.lookup.name]
        if not tried:
            unheard = NotReadError(
                f"the guest of {machine.label!r} did not connect to {resolved.lookup.name}"
            )
        for shake in tried:
            if shake.gap is not None or not shake.trusted:
                yield _not_reached(machine, state, shake)
        if resolved.lookup.name.startswith(GLOBAL_HANDLER) and all(shake.trusted for shake in tried):
            yield from _unhealthy(machine, state, resolved.lookup)
    if unheard is not None:
        raise unheard


def _not_reached(machine: Machine, state: GuestState, shake: Handshake) -> Finding:
    issuer = f", issued by {shake.chain[0].issuer}" if shake.chain else ""
    observed = (
        shake.gap.message if shake.gap is not None else f"certificate not trusted: {shake.distrust}{issuer}"
    )
    place = f"{shake.address}:{shake.port}"
    return on_guest(
        machine,
        state,
        f"{shake.name} at {place}, connected to from the machine",
        expected="TCP 443 connects, TLS is agreed on, and the certificate is trusted",
        observed=observed,
        shows=(
            f"openssl s_client -connect {place} -servername {shake.name} </dev/null",
            f"Test-NetConnection {shake.address} -Port {shake.port}",
        ),
        tokens={"address": shake.address, "host": shake.name},
        fix=None if shake.gap is not None else NO_INSPECTION,
    )


def _unhealthy(machine: Machine, state: GuestState, lookup: Lookup) -> Iterator[Finding]:
    """Report a handler that does not call itself healthy; the agent's own troubleshooter asks it the same."""
    said = state.told(state.health, "health").get(lookup.name)
    if said is None:
        raise NotReadError(f"the guest of {machine.label!r} did not ask https://{lookup.name}/ping")
    if not said.startswith("Healthy"):
        url = f"https://{lookup.name}/ping"
        yield on_guest(
            machine,
            state,
            url,
            expected="Healthy",
            observed=said or "nothing",
            shows=(f"curl {url}", f"Invoke-WebRequest -UseBasicParsing {url}"),
            tokens={"address": lookup.addresses[0]},
        )
