"""The options: one table, from which command line, ini file and environment derive.

Every option ``--ampls-x`` has the ini value ``ampls_x`` and the environment variable
``AMPLS_X``; the first of the three that is given wins, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pytest

__all__ = [
    "DISCOVERIES",
    "EVERYTHING",
    "FORMS",
    "GROUPINGS",
    "OPTIONS",
    "UNCONFIGURED",
    "Option",
    "add_options",
]

UNCONFIGURED: Final = (
    "no estate to judge: give --ampls-subscription=ID (or ampls_subscription in the ini file, or AMPLS_SUBSCRIPTION; "
    "all stands for every one that your credential sees), --ampls-management-group=NAME, --ampls-snapshot=FILE, or, "
    "without Azure, --ampls-lab=hub-and-spoke"
)

DISCOVERIES: Final = ("auto", "graph", "arm")
"""What ``--ampls-discovery`` takes."""

FORMS: Final = ("text", "json")
"""What ``--ampls-diagnose-format`` takes."""

GROUPINGS: Final = ("resource", "resource-group", "subscription", "rule")
"""What ``--ampls-group-by`` takes."""

EVERYTHING: Final = "all"
"""The value of ``--ampls-subscription`` that stands for all subscriptions that the credential sees."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option. ``name`` is the part after ``--ampls-``; ``many`` may be given several times.

    A ``switch`` takes no value on the command line, and true or false elsewhere.
    """

    name: str
    help: str
    metavar: str = ""
    many: bool = False
    switch: bool = False
    default: str = ""

    @property
    def flag(self) -> str:
        """The command-line option."""
        return f"--ampls-{self.name}"

    @property
    def ini(self) -> str:
        """The name of the ini value, which is the name of the parsed option too."""
        return "ampls_" + self.name.replace("-", "_")

    @property
    def env(self) -> str:
        """The environment variable; several values are separated by spaces."""
        return self.ini.upper()


OPTIONS: Final = (
    Option(
        name="subscription",
        metavar="ID",
        many=True,
        help="judge this subscription; may be given several times; all stands for every one that the credential sees",
    ),
    Option(
        name="management-group",
        metavar="NAME",
        many=True,
        help="judge every subscription below this management group",
    ),
    Option(
        name="lab",
        metavar="ESTATE[+FAULT…]",
        help="judge the embedded estate of this name, with these faults; needs no Azure",
    ),
    Option(
        name="snapshot",
        metavar="FILE",
        help="judge the evidence recorded in this file; needs no Azure and no network",
    ),
    Option(name="snapshot-out", metavar="FILE", help="record the evidence of this run in this file"),
    Option(
        name="cloud",
        metavar="NAME",
        default="AzureCloud",
        help="AzureCloud, AzureUSGovernment or AzureChinaCloud",
    ),
    Option(
        name="arm-endpoint",
        metavar="URL",
        help="Azure Resource Manager of another cloud, for example an Azure Stack Hub or the lab",
    ),
    Option(
        name="ca-bundle",
        metavar="FILE",
        help="certificates (PEM) to trust for Azure Resource Manager and sign-in",
    ),
    Option(name="tenant", metavar="ID", help="sign in to this tenant"),
    Option(
        name="resolver",
        metavar="NAME=ADDRESS[:PORT]",
        many=True,
        help="ask this DNS server, and call the vantage point NAME; computed:VNET and guest:VM in place of an address "
        "ask a network's configuration and a machine; without any, the runner's own resolver is asked",
    ),
    Option(
        name="guests",
        metavar="PATTERN",
        many=True,
        help="look at the guests of Linux machines over ssh, such as ssh://azureuser@{private_ip}, and of Windows "
        "machines over WinRM, such as winrm://admin@{private_ip}; may be given once for each; takes {name}, "
        "{computer_name}, {private_ip} and {resource_group}",
    ),
    Option(name="ssh-config", metavar="FILE", help="ssh's configuration for the guests, jump hosts included"),
    Option(name="ssh-identity-file", metavar="FILE", help="the private key to sign in to guests with"),
    Option(
        name="run-command",
        switch=True,
        help="look at the machines' guests by Azure Run Command: needs no way to them, and the right to run it",
    ),
    Option(
        name="guest-timeout",
        metavar="SECONDS",
        default="60",
        help="how long one look at a guest may take",
    ),
    Option(
        name="probe",
        switch=True,
        help="connect to every private endpoint's address from here, and look at TCP and TLS",
    ),
    Option(
        name="logs",
        switch=True,
        help="ask every workspace that a machine sends to for the newest heartbeats, one query each",
    ),
    Option(
        name="resource-group",
        metavar="PATTERN",
        many=True,
        help="judge only resources of these resource groups; what they refer to is read all the same",
    ),
    Option(
        name="tag",
        metavar="NAME=PATTERN",
        many=True,
        help="judge only resources with this tag; several must all match",
    ),
    Option(
        name="discovery",
        metavar="HOW",
        default="auto",
        help="find machines by Resource Graph (graph), by their providers (arm), or by the first where it may be used",
    ),
    Option(
        name="group-by",
        metavar="KIND",
        default="resource",
        help="how much one test judges: a resource, or those of a resource-group, a subscription or a whole rule",
    ),
    Option(
        name="diagnose",
        metavar="VM",
        many=True,
        help="say where the data of this machine stops and why, instead of running tests; a name or a resource id",
    ),
    Option(
        name="diagnose-format",
        metavar="FORM",
        default="text",
        help="how a diagnosis is printed: text or json",
    ),
    Option(
        name="requirements",
        metavar="FILE",
        help="what must hold, for the shipped suite; default: ampls.toml beside pytest's configuration, if it is there",
    ),
    Option(
        name="wait",
        metavar="DURATION",
        default="0",
        help="after a deployment: judge what does not hold again on fresh evidence, up to this long (90s, 15m, 1h)",
    ),
    Option(name="concurrency", metavar="N", default="16", help="requests under way at once"),
    Option(
        name="throttle-budget",
        metavar="SECONDS",
        default="120",
        help="how long the run may wait for a throttled or failing service before what it asked for is unverified",
    ),
    Option(
        name="dns-timeout",
        metavar="SECONDS",
        default="5",
        help="how long a DNS server may take for an answer",
    ),
)
"""Every option of an estate and a run."""


def add_options(parser: pytest.Parser) -> None:
    """Declare every option on the command line and in the ini file."""
    group = parser.getgroup("ampls", "Azure Monitor Private Link Scope conformance (pytest-ampls)")
    for option in OPTIONS:
        note = f" (default: {option.default})" if option.default else ""
        if option.switch:
            group.addoption(
                option.flag,
                dest=option.ini,
                action="store_const",
                const="true",
                default=None,
                help=option.help,
            )
            parser.addini(option.ini, f"as {option.flag}: {option.help}", type="bool", default=False)
            continue
        group.addoption(
            option.flag,
            dest=option.ini,
            action="append" if option.many else "store",
            default=None,
            metavar=option.metavar,
            help=option.help + note,
        )
        kind: Literal["linelist", "string"] = "linelist" if option.many else "string"
        parser.addini(option.ini, f"as {option.flag}: {option.help}", type=kind, default=None)
    group.addoption(
        "--ampls-rules",
        action="store_true",
        default=False,
        help="print the catalogue of rules and exit",
    )
