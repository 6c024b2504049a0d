"""Refusals of the instance metadata service: what each means, and what mends it; no rule of its own."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote

from pytest_ampls.assertions.agent import NAME_IDENTITY
from pytest_ampls.catalogue import Fix
from pytest_ampls.model.guest_state import TokenAttempt

__all__ = ["ATTACH", "identity_tokens", "is_passing", "refusal", "token_fix", "token_requests"]

_IMDS: Final = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
_RESOURCE: Final = "https://monitor.azure.com/"

ATTACH: Final = Fix(
    az="az vm identity assign --ids <id> --identities <identity>  # then: systemctl restart azuremonitoragent",
    terraform='identity { type = "UserAssigned", identity_ids = ["<identity>"] } of the machine "<name>", and '
    "settings.authentication.managedIdentity of its agent",
    bicep="Microsoft.Compute/virtualMachines '<name>': identity.userAssignedIdentities: {'<identity>': {}}",
)
"""The identity that the agent asks for is attached to the machine."""

# Security groups do not filter the service unless a rule names its tag (Learn: network security groups, platform
# considerations; virtual network service tags).
_LET_THROUGH: Final = Fix(
    az="az vm run-command invoke --ids <id> --command-id <shell> --scripts '<filters>'  # no filter in the machine may "
    "drop 169.254.169.254, no security group deny the tag AzurePlatformIMDS; behind a proxy: NO_PROXY=169.254.169.254",
    terraform='azurerm_network_security_rule: none with access = "Deny" and destination_address_prefix = '
    '"AzurePlatformIMDS"; NO_PROXY=169.254.169.254 in the custom_data of the machine "<name>"',
    bicep="Microsoft.Network/networkSecurityGroups/securityRules: none that denies destinationAddressPrefix "
    "'AzurePlatformIMDS'; NO_PROXY=169.254.169.254 in osProfile.customData of '<name>'",
)
_FILTERS: Final = (
    "ip route get 169.254.169.254; iptables -S OUTPUT; nft list ruleset",
    "Find-NetRoute -RemoteIPAddress 169.254.169.254; netsh winhttp show proxy",
)


class _Refusal(NamedTuple):
    """A text of the service in lower case, what it means, and what mends it."""

    text: str
    meaning: str
    fix: Fix


# Clients should branch on the status (Learn: how to use managed identities to get a token); these texts only choose
# the advice, never the verdict.
_REFUSALS: Final = (
    _Refusal("identity not found", "the machine does not have the identity", ATTACH),
    _Refusal(
        "multiple user assigned identities",
        "several identities are attached, and the agent names none",
        NAME_IDENTITY,
    ),
    _Refusal(
        "metadata header", "the request lost its header on the way: a proxy is in between", _LET_THROUGH
    ),
)


def is_passing(attempt: TokenAttempt) -> bool:
    """Tell whether the service asks to come back later (its documented statuses for that)."""
    return attempt.status is not None and (attempt.status in (404, 410, 429) or attempt.status >= 500)


def refusal(attempt: TokenAttempt) -> str:
    """Return what became of an attempt that brought no token, with what that means where it is known."""
    said = _said(attempt)
    if attempt.status is None:
        return f"no answer of the instance metadata service ({said or 'not even a refusal'}): blocked, or proxied"
    known = _known(attempt)
    return f"HTTP {attempt.status}: {said or 'without a reason'}" + (f" ({known.meaning})" if known else "")


def token_fix(attempt: TokenAttempt) -> Fix:
    """Return what mends the refusal: attach the identity, name it, or let the service be reached."""
    if attempt.status is None:
        return _LET_THROUGH
    known = _known(attempt)
    return known.fix if known else ATTACH


def identity_tokens(identity: str, *, windows: bool) -> dict[str, str]:
    """Return what the fixes need. Azure attaches identities by resource id: other names of one stay open.

    ``identity`` is ``<identifier-name>#<identifier-value>``, or empty.
    """
    name, _, value = identity.partition("#")
    found = {
        "type": "AzureMonitorWindowsAgent" if windows else "AzureMonitorLinuxAgent",
        "filters": _FILTERS[windows],
    }
    return found | ({"identity": value, "identity-id": value} if name == "mi_res_id" else {})


def token_requests(identity: str) -> tuple[str, str]:
    """Return the commands that show a refusal, on Linux and on Windows. Neither shows a token, should one come."""
    name, _, value = identity.partition("#")
    # Percent-encoded it has no character that ends a shell's quotes: who wrote the settings writes no command.
    url = f"{_IMDS}{_RESOURCE}" + (f"&{quote(name)}={quote(value)}" if identity else "")
    return (
        f"curl -sS -H Metadata:true --noproxy '*' '{url}' | grep -o '\"error[^}}]*'",
        f"try {{ (Invoke-WebRequest -UseBasicParsing -Headers @{{Metadata='true'}} -Uri '{url}').StatusCode }} "
        "catch { $_ }",
    )


def _said(attempt: TokenAttempt) -> str:
    return attempt.description or attempt.error


def _known(attempt: TokenAttempt) -> _Refusal | None:
    said = _said(attempt).lower()
    return next((each for each in _REFUSALS if each.text in said), None)
