"""The values in force: from the command line, the ini file and the environment, each checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_ampls.errors import ConfigurationError
from pytest_ampls.options import DISCOVERIES, EVERYTHING, FORMS, GROUPINGS, OPTIONS, Option

if TYPE_CHECKING:
    import pytest

__all__ = ["Settings", "read_settings"]

_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SOURCES: Final = ("subscription", "management-group", "lab", "snapshot")
_GROUP_NAME: Final = re.compile(r"[\w().-]{1,90}")
_SUITE: Final = "pytest_ampls.conformance"
_TRUTHS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("", "false", "0", "no", "off"), False),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values in force. ``origins`` says where each that is not a default came from."""

    subscriptions: tuple[str, ...] = ()
    everything: bool = False
    management_groups: tuple[str, ...] = ()
    lab: str = ""
    snapshot: str = ""
    snapshot_out: str = ""
    cloud: str = "AzureCloud"
    arm_endpoint: str = ""
    ca_bundle: str = ""
    tenant: str = ""
    resolvers: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()
    ssh_config: str = ""
    ssh_identity_file: str = ""
    run_command: bool = False
    guest_timeout: float = 60.0
    probe: bool = False
    logs: bool = False
    resource_groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    discovery: str = "auto"
    group_by: str = "resource"
    diagnose: tuple[str, ...] = ()
    diagnose_format: str = "text"
    requirements: Path | None = None
    wait: float = 0.0
    concurrency: int = 16
    throttle_budget: float = 120.0
    dns_timeout: float = 5.0
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def configured(self) -> bool:
        """Tell whether an estate was named at all."""
        named = self.subscriptions or self.everything or self.management_groups
        return bool(named or self.lab or self.snapshot)

    @property
    def sources(self) -> tuple[str, ...]:
        """The options that name the estate, of those that were given."""
        return tuple(name for name in _SOURCES if name in self.origins)

    def shown(self, name: str) -> str:
        """Return the value of an option, ready to print."""
        plural = {
            "subscription": "subscriptions",
            "management-group": "management_groups",
            "resolver": "resolvers",
            "resource-group": "resource_groups",
            "tag": "tags",
        }
        if name == "subscription" and self.everything:
            return "all that the credential sees"
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
    _default_to_everything(config, values, origins)
    one = {name: (found[0].strip() if found else "") for name, found in values.items()}
    _check_sources(one, values, origins)
    return Settings(
        subscriptions=_subscriptions(values["subscription"], origins),
        everything=values["subscription"] == [EVERYTHING],
        management_groups=tuple(_group(name, origins) for name in values["management-group"]),
        lab=one["lab"],
        snapshot=one["snapshot"],
        snapshot_out=one["snapshot-out"],
        cloud=one["cloud"],
        arm_endpoint=one["arm-endpoint"].rstrip("/"),
        ca_bundle=_existing_file("ca-bundle", one["ca-bundle"], config, origins),
        tenant=one["tenant"],
        resolvers=tuple(values["resolver"]),
        guests=_guests(values["guests"], origins),
        ssh_config=_existing_file("ssh-config", one["ssh-config"], config, origins),
        ssh_identity_file=_existing_file("ssh-identity-file", one["ssh-identity-file"], config, origins),
        run_command=_switch("run-command", one["run-command"], origins),
        guest_timeout=_number("guest-timeout", one["guest-timeout"], 1, 86_400, origins),
        probe=_switch("probe", one["probe"], origins),
        logs=_switch("logs", one["logs"], origins),
        resource_groups=tuple(values["resource-group"]),
        tags=dict(_tag(text, origins["tag"]) for text in values["tag"]),
        discovery=_choice("discovery", one["discovery"], DISCOVERIES, origins),
        group_by=_choice("group-by", one["group-by"], GROUPINGS, origins),
        diagnose=tuple(values["diagnose"]),
        diagnose_format=_choice("diagnose-format", one["diagnose-format"], FORMS, origins),
        requirements=_requirements(one["requirements"], config, origins),
        wait=_duration("wait", one["wait"], origins),
        concurrency=int(_number("concurrency", one["concurrency"], 1, 256, origins)),
        throttle_budget=_number("throttle-budget", one["throttle-budget"], 0, 86_400, origins),
        dns_timeout=_number("dns-timeout", one["dns-timeout"], 0.01, 300, origins),
        origins=origins,
    )


def _default_to_everything(
    config: pytest.Config, values: dict[str, list[str]], origins: dict[str, str]
) -> None:
    """Judge all subscriptions where the shipped suite is asked for, and nothing says of what.

    A test of a project's own is never run on whatever the credential happens to see: it must be said.
    """
    asked = any(argument.partition("::")[0].startswith(_SUITE) for argument in config.args)
    if asked and not any(values[name] for name in _SOURCES):
        values["subscription"] = [EVERYTHING]
        origins["subscription"] = "the shipped suite: nothing else was named"


def _subscriptions(given: list[str], origins: Mapping[str, str]) -> tuple[str, ...]:
    if EVERYTHING in given and len(given) > 1:
        raise ConfigurationError(
            f"{origins['subscription']}: {EVERYTHING} stands for every subscription that the credential sees: "
            "leave the others out, or leave it out"
        )
    if given == [EVERYTHING]:
        return ()
    return tuple(_guid(value, origins["subscription"]) for value in given)


def _guests(given: list[str], origins: Mapping[str, str]) -> tuple[str, ...]:
    given = [each.strip() for each in given]
    if given:
        from pytest_ampls.guest import patterns  # a run without guests has no use for it

        try:
            patterns(given)  # before any of them is shown: one may have a password in it
        except ConfigurationError as error:
            raise ConfigurationError(f"{origins['guests']}: {error}") from None
    return tuple(given)


def _group(name: str, origins: Mapping[str, str]) -> str:
    bare = name.strip().rstrip("/").rpartition("/")[2]
    if not _GROUP_NAME.fullmatch(bare):
        raise ConfigurationError(
            f"{origins['management-group']}: {name!r} is not the name of a management group, which has up to 90 "
            "letters, digits, - _ ( ) and dots (az account management-group list shows them)"
        )
    return bare


def _value(config: pytest.Config, option: Option) -> tuple[list[str], str]:
    given: Any = config.getoption(option.ini)
    if given:
        return (list(given) if option.many else [given]), option.flag
    written: Any = config.getini(option.ini)
    if option.switch and isinstance(written, bool):
        written = "true" if written else ""
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
    given = [name for name in _SOURCES if values[name]]
    if values["subscription"] == [EVERYTHING] and values["management-group"]:
        raise ConfigurationError(
            f"every subscription (from {origins['subscription']}) includes those of the management groups (from "
            f"{origins['management-group']}): leave one out"
        )
    if len(given) > 1 and set(given) != {"subscription", "management-group"}:
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


def _switch(name: str, text: str, origins: Mapping[str, str]) -> bool:
    if text.lower() not in _TRUTHS:
        raise ConfigurationError(f"{origins[name]}: {text!r} is neither true nor false")
    return _TRUTHS[text.lower()]


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
