"""The options: one table, from which command line, ini file and environment derive.

Every option ``--ampls-x`` has the ini value ``ampls_x`` and the environment variable
``AMPLS_X``; the first of the three that is given wins, in this order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_ampls.errors import ConfigurationError

if TYPE_CHECKING:
    import pytest

__all__ = [
    "DISCOVERIES",
    "GROUPINGS",
    "OPTIONS",
    "UNCONFIGURED",
    "Option",
    "Settings",
    "add_options",
    "read_settings",
]

UNCONFIGURED: Final = (
    "no estate to judge: give --ampls-subscription=ID (or ampls_subscription in the ini file, or AMPLS_SUBSCRIPTION), "
    "--ampls-snapshot=FILE, or, without Azure, --ampls-lab=hub-and-spoke"
)

DISCOVERIES: Final = ("auto", "graph", "arm")
"""What ``--ampls-discovery`` takes."""

GROUPINGS: Final = ("resource", "resource-group", "subscription", "rule")
"""What ``--ampls-group-by`` takes."""

_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option. ``name`` is the part after ``--ampls-``; ``many`` may be given several times."""

    name: str
    help: str
    metavar: str
    many: bool = False
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
        help="judge this subscription; may be given several times",
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
        help="ask this DNS server, and call the vantage point NAME; without any, the runner's own resolver is asked",
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
"""Every option that takes a value."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values in force. ``origins`` says where each that is not a default came from."""

    subscriptions: tuple[str, ...] = ()
    lab: str = ""
    snapshot: str = ""
    snapshot_out: str = ""
    cloud: str = "AzureCloud"
    arm_endpoint: str = ""
    ca_bundle: str = ""
    tenant: str = ""
    resolvers: tuple[str, ...] = ()
    resource_groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    discovery: str = "auto"
    group_by: str = "resource"
    requirements: Path | None = None
    wait: float = 0.0
    concurrency: int = 16
    throttle_budget: float = 120.0
    dns_timeout: float = 5.0
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def configured(self) -> bool:
        """Tell whether an estate was named at all."""
        return bool(self.subscriptions or self.lab or self.snapshot)

    def shown(self, name: str) -> str:
        """Return the value of an option, ready to print."""
        plural = {
            "subscription": "subscriptions",
            "resolver": "resolvers",
            "resource-group": "resource_groups",
            "tag": "tags",
        }
        value: object = getattr(self, plural.get(name, name.replace("-", "_")))
        if isinstance(value, Mapping):
            return ", ".join(f"{key}={pattern}" for key, pattern in value.items())
        if isinstance(value, tuple):
            return ", ".join(value)
        return (
            value.name
            if isinstance(value, Path)
            else f"{value:g}"
            if isinstance(value, float)
            else str(value)
        )

    def origin(self, name: str) -> str:
        """Return where the value of an option came from, ready to print."""
        return self.origins.get(name, "default")


def add_options(parser: pytest.Parser) -> None:
    """Declare every option on the command line and in the ini file."""
    group = parser.getgroup("ampls", "Azure Monitor Private Link Scope conformance (pytest-ampls)")
    for option in OPTIONS:
        note = f" (default: {option.default})" if option.default else ""
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


def read_settings(config: pytest.Config) -> Settings:
    """Return the values in force, from the command line, the ini file and the environment.

    Raises:
        ConfigurationError: a value is not what its option takes.
    """
    values: dict[str, list[str]] = {}
    origins: dict[str, str] = {}
    for option in OPTIONS:
        values[option.name], origin = _value(config, option)
        if origin:
            origins[option.name] = origin
    one = {name: (found[0].strip() if found else "") for name, found in values.items()}
    _check_sources(one, values, origins)
    return Settings(
        subscriptions=tuple(_guid(value, origins["subscription"]) for value in values["subscription"]),
        lab=one["lab"],
        snapshot=one["snapshot"],
        snapshot_out=one["snapshot-out"],
        cloud=one["cloud"],
        arm_endpoint=one["arm-endpoint"].rstrip("/"),
        ca_bundle=_existing_file("ca-bundle", one["ca-bundle"], config, origins),
        tenant=one["tenant"],
        resolvers=tuple(values["resolver"]),
        resource_groups=tuple(values["resource-group"]),
        tags=dict(_tag(text, origins["tag"]) for text in values["tag"]),
        discovery=_choice("discovery", one["discovery"], DISCOVERIES, origins),
        group_by=_choice("group-by", one["group-by"], GROUPINGS, origins),
        requirements=_requirements(one["requirements"], config, origins),
        wait=_duration("wait", one["wait"], origins),
        concurrency=int(_number("concurrency", one["concurrency"], 1, 256, origins)),
        throttle_budget=_number("throttle-budget", one["throttle-budget"], 0, 86_400, origins),
        dns_timeout=_number("dns-timeout", one["dns-timeout"], 0.01, 300, origins),
        origins=origins,
    )


def _value(config: pytest.Config, option: Option) -> tuple[list[str], str]:
    given: Any = config.getoption(option.ini)
    if given:
        return (list(given) if option.many else [given]), option.flag
    written: Any = config.getini(option.ini)
    if written:
        name = config.inipath.name if config.inipath else "ini"
        return (list(written) if option.many else [str(written)]), f"{option.ini} in {name}"
    exported = os.environ.get(option.env, "")
    if exported.strip():
        return (exported.split() if option.many else [exported]), option.env
    return ([option.default] if option.default else []), ""


def _check_sources(
    one: Mapping[str, str], values: Mapping[str, list[str]], origins: Mapping[str, str]
) -> None:
    given = [name for name in ("subscription", "lab", "snapshot") if values[name]]
    if len(given) > 1:
        names = " and ".join(f"{name} (from {origins[name]})" for name in given)
        raise ConfigurationError(
            f"an estate is judged from one source, and {names} are given: leave all but one out"
        )
    if one["snapshot"] and one["wait"] not in ("", "0"):
        raise ConfigurationError(
            f"a snapshot (from {origins['snapshot']}) does not change, so there is nothing to wait for: "
            f"leave out wait (from {origins['wait']})"
        )
    if one["lab"] and one["arm-endpoint"]:
        raise ConfigurationError(
            "--ampls-lab starts its own Azure Resource Manager, and --ampls-arm-endpoint names another: leave one out"
        )


def _guid(value: str, origin: str) -> str:
    if not _GUID.fullmatch(value.strip()):
        raise ConfigurationError(
            f"{origin}: {value!r} is not a subscription id; it is a GUID such as "
            "11111111-2222-3333-4444-555555555555 (az account list --output table shows yours)"
        )
    return value.strip().lower()


def _duration(name: str, text: str, origins: Mapping[str, str]) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
    if match is None:
        raise ConfigurationError(f"{origins[name]}: {text!r} is not a duration, such as 90s, 15m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _tag(text: str, origin: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not name.strip() or not equals:
        raise ConfigurationError(f"{origin}: {text!r} is not NAME=PATTERN, such as env=prod or team=net-*")
    return name.strip(), pattern.strip()


def _choice(name: str, text: str, known: tuple[str, ...], origins: Mapping[str, str]) -> str:
    if text not in known:
        raise ConfigurationError(f"{origins[name]}: {text!r} is none of {', '.join(known)}")
    return text


def _number(name: str, text: str, least: float, most: float, origins: Mapping[str, str]) -> float:
    origin = origins.get(name, f"--ampls-{name}")
    try:
        number = float(text)
    except ValueError:
        raise ConfigurationError(f"{origin}: {text!r} is not a number") from None
    if not least <= number <= most:
        raise ConfigurationError(f"{origin}: {text} is not between {least:g} and {most:g}")
    return number


def _existing_file(name: str, text: str, config: pytest.Config, origins: Mapping[str, str]) -> str:
    if not text:
        return ""
    path = Path(config.invocation_params.dir, text)
    if not path.is_file():
        raise ConfigurationError(f"{origins[name]}: there is no file {path}")
    return str(path)


def _requirements(text: str, config: pytest.Config, origins: dict[str, str]) -> Path | None:
    if text:
        return Path(_existing_file("requirements", text, config, origins))
    found = config.rootpath / "ampls.toml"
    if found.is_file():
        origins["requirements"] = "beside pytest's configuration"
        return found
    return None
