"""Where Azure Resource Manager is, and who gives tokens for it, in each cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests
from azure.core import AzureClouds
from azure.mgmt.core.tools import get_arm_endpoints

from pytest_ampls.arm.origin import Origin, printable
from pytest_ampls.arm.refusals import reason
from pytest_ampls.errors import ConfigurationError

__all__ = ["CLOUDS", "Cloud", "discover"]

_METADATA_VERSION: Final = "2022-09-01"
_TIMEOUT: Final = 30.0
_DEFAULT_SCOPE: Final = "/.default"

# The hosts of azure.identity.AzureAuthorityHosts, held equal by a test: importing them from there
# would load MSAL and cryptography, half a second that a replayed run has no use for.
_AUTHORITIES: Final = {
    AzureClouds.AZURE_PUBLIC_CLOUD: "https://login.microsoftonline.com",
    AzureClouds.AZURE_US_GOVERNMENT: "https://login.microsoftonline.us",
    AzureClouds.AZURE_CHINA_CLOUD: "https://login.chinacloudapi.cn",
}
_NAMES: Final = {
    AzureClouds.AZURE_PUBLIC_CLOUD: "AzureCloud",
    AzureClouds.AZURE_US_GOVERNMENT: "AzureUSGovernment",
    AzureClouds.AZURE_CHINA_CLOUD: "AzureChinaCloud",
}


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """One Azure cloud.

    ``arm_endpoint`` and ``authority`` are ``https://host[:port][/path]`` without a slash at the
    end; ``audience`` is what a token for ARM is asked for, without ``/.default``. ``logs_endpoint`` is where
    Log Analytics is queried, and the audience of a token for that; empty where the cloud does not say.
    """

    name: str
    arm_endpoint: str
    authority: str
    audience: str
    logs_endpoint: str = ""

    @property
    def token_scope(self) -> str:
        """The OAuth scope of a token for ARM."""
        return self.audience + _DEFAULT_SCOPE


# The Azure CLI's table of clouds (log_analytics_resource_id); azure-monitor-query has the public one as its
# default, and takes the audience from the endpoint as well.
_LOGS: Final = {
    AzureClouds.AZURE_PUBLIC_CLOUD: "https://api.loganalytics.io",
    AzureClouds.AZURE_US_GOVERNMENT: "https://api.loganalytics.us",
    AzureClouds.AZURE_CHINA_CLOUD: "https://api.loganalytics.azure.cn",
}


def _known(setting: AzureClouds) -> Cloud:
    endpoints = get_arm_endpoints(setting)
    return Cloud(
        name=_NAMES[setting],
        arm_endpoint=str(endpoints["resource_manager"]).rstrip("/"),
        authority=_AUTHORITIES[setting],
        audience=str(endpoints["credential_scopes"][0]).removesuffix(_DEFAULT_SCOPE),
        logs_endpoint=_LOGS[setting],
    )


CLOUDS: Final[dict[str, Cloud]] = {_NAMES[setting]: _known(setting) for setting in _NAMES}
"""The clouds that need no discovery, by the names that the Azure CLI gives them."""


class _Authentication(msgspec.Struct, rename="camel"):
    login_endpoint: str
    audiences: list[str]


class _Metadata(msgspec.Struct, rename="camel"):
    authentication: _Authentication
    name: str = ""
    resource_manager: str = ""
    log_analytics_resource_id: str | None = None


def discover(arm_endpoint: str, ca_bundle: str | Path | None = None) -> Cloud:
    """Return the cloud whose Resource Manager is at ``arm_endpoint``, by asking it.

    The endpoints of the known clouds are not asked. ``ca_bundle`` is a file of CA certificates
    in PEM form to trust instead of the usual ones.

    Raises:
        ConfigurationError: the endpoint is no ``https`` URL, cannot be reached, is not trusted,
            or does not describe its cloud.

    Source: the unauthenticated operation ``GET /metadata/endpoints``, as the Azure CLI uses it
    in ``az cloud register --endpoint-resource-manager``.
    """
    origin = _endpoint_origin(arm_endpoint)
    for cloud in CLOUDS.values():
        if Origin.of(cloud.arm_endpoint) == origin:
            return cloud
    url = f"{origin}/metadata/endpoints?api-version={_METADATA_VERSION}"
    entries = _parse(url, _fetch(url, ca_bundle))
    return _choose(url, origin, entries)


def _endpoint_origin(arm_endpoint: str) -> Origin:
    origin = Origin.of(arm_endpoint)
    if origin is None or origin.scheme != "https":
        raise ConfigurationError(
            f"The ARM endpoint {arm_endpoint!r} is not an https URL: a token is sent there, "
            "so it has to be https://HOST[:PORT]"
        )
    if urlsplit(arm_endpoint).path.strip("/"):
        raise ConfigurationError(
            f"The ARM endpoint {arm_endpoint!r} has a path; give https://HOST[:PORT] alone"
        )
    return origin


def _fetch(url: str, ca_bundle: str | Path | None) -> bytes:
    verify = True if ca_bundle is None else str(ca_bundle)
    try:
        with requests.Session() as session:
            # A proxy of the environment can serve the internet, but not this very machine.
            session.trust_env = not Origin.is_loopback(url)
            response = session.get(url, verify=verify, timeout=_TIMEOUT, allow_redirects=False)
    except requests.exceptions.SSLError as error:
        raise ConfigurationError(
            f"The certificate of {url} is not trusted: {reason(error)}. "
            "Name the file of its CA as the CA bundle"
        ) from error
    except (requests.RequestException, OSError) as error:
        raise ConfigurationError(
            f"The ARM endpoint does not answer at {url}: {reason(error)}. Check the endpoint, the network, "
            "the proxy and the CA bundle"
        ) from error
    if response.status_code != 200:
        raise ConfigurationError(
            f"{url} answered HTTP {response.status_code} where the description of a cloud was expected; "
            "is this the endpoint of an Azure Resource Manager?"
        )
    return response.content


def _parse(url: str, body: bytes) -> Sequence[_Metadata]:
    try:
        return msgspec.json.decode(body, type=list[_Metadata])
    except (msgspec.DecodeError, msgspec.ValidationError):
        pass  # Azure Stack and older versions answer with one object
    try:
        return [msgspec.json.decode(body, type=_Metadata)]
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{url} does not describe a cloud: {printable(str(error))}") from error


def _choose(url: str, origin: Origin, entries: Sequence[_Metadata]) -> Cloud:
    own = [entry for entry in entries if Origin.of(entry.resource_manager) == origin]
    entry = own[0] if own else entries[0] if len(entries) == 1 else None
    if entry is None:
        raise ConfigurationError(
            f"{url} describes {len(entries)} clouds, and none of them has this ARM endpoint"
        )
    login = Origin.of(entry.authentication.login_endpoint)
    if login is None or login.scheme != "https" or not entry.authentication.audiences:
        raise ConfigurationError(
            f"{url} names {entry.authentication.login_endpoint!r} as login endpoint, with "
            f"{len(entry.authentication.audiences)} audiences; a token needs an https URL and an audience"
        )
    return Cloud(
        name=entry.name or origin.host,
        arm_endpoint=str(origin),
        authority=entry.authentication.login_endpoint.rstrip("/"),
        audience=entry.authentication.audiences[0].rstrip("/"),
        logs_endpoint=(entry.log_analytics_resource_id or "").rstrip("/"),
    )
