"""Who reads: credentials of azure-identity, and the one token that all calls share."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import RequestsTransport

from pytest_ampls.arm.clock import Clock
from pytest_ampls.arm.cloud import CLOUDS, Cloud
from pytest_ampls.arm.origin import Origin, printable
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.evidence import Gap, GapKind

if TYPE_CHECKING:
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

__all__ = ["NoTokenError", "TokenSource", "default_credential", "lab_credential"]

_GUID: Final = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EARLY: Final = 300.0
_REMEMBER_FAILURE: Final = 60.0
_TRIED: Final = re.compile(r"^\s*(\w+Credential):", re.MULTILINE)
_AADSTS: Final = re.compile(r"AADSTS\d+:[^\r\n]*")
_PUBLIC_AUTHORITIES: Final = frozenset(cloud.authority for cloud in CLOUDS.values())


def default_credential(
    cloud: Cloud, *, tenant_id: str | None = None, ca_bundle: str | Path | None = None
) -> TokenCredential:
    """Return azure-identity's default chain for a cloud: environment, workload and managed identity, CLIs.

    Nobody is asked anything in a browser. ``tenant_id`` is the tenant that tokens are asked
    for, where it is not the credential's own; ``ca_bundle`` is trusted for a private authority.

    Raises:
        ConfigurationError: the environment describes a credential that cannot be.

    Source: https://learn.microsoft.com/python/api/azure-identity/azure.identity.defaultazurecredential
    """
    from azure.identity import DefaultAzureCredential  # lazily: loads MSAL, half a second

    options = _authority_options(cloud.authority, ca_bundle)
    try:
        chain: DefaultAzureCredential = DefaultAzureCredential(
            exclude_interactive_browser_credential=True, additionally_allowed_tenants=["*"], **options
        )
    except ValueError as error:
        raise ConfigurationError(f"The credential cannot be set up: {printable(str(error))}") from error
    return _InTenant(chain, tenant_id) if tenant_id else chain


def lab_credential(
    authority: str, tenant_id: str, client_id: str, client_secret: str, ca_bundle: str | Path
) -> TokenCredential:
    """Return a client-secret credential for the lab's own token endpoint.

    It never starts the default chain, which would ask the instance metadata service of the
    machine that the tests run on.

    Raises:
        ConfigurationError: one of the values is malformed.
    """
    from azure.identity import ClientSecretCredential  # lazily: loads MSAL, half a second

    options = _authority_options(authority, ca_bundle)
    try:
        credential: ClientSecretCredential = ClientSecretCredential(
            tenant_id, client_id, client_secret, **options
        )
    except ValueError as error:
        raise ConfigurationError(f"The lab's credential cannot be set up: {printable(str(error))}") from error
    return credential


def _authority_options(authority: str, ca_bundle: str | Path | None) -> dict[str, Any]:
    options: dict[str, Any] = {"authority": authority}
    if authority.rstrip("/") not in _PUBLIC_AUTHORITIES:
        # MSAL would otherwise ask login.microsoftonline.com whether it knows this authority.
        options["disable_instance_discovery"] = True
    if ca_bundle is not None:
        options["connection_verify"] = str(ca_bundle)
    if Origin.is_loopback(authority):
        # A proxy of the environment can serve the internet, but not this very machine.
        verify = True if ca_bundle is None else str(ca_bundle)
        options["transport"] = RequestsTransport(use_env_settings=False, connection_verify=verify)
    return options


class _InTenant:
    """A credential that asks for the tokens of one tenant."""

    def __init__(self, inner: TokenCredential, tenant_id: str) -> None:
        self._inner = inner
        self._tenant_id = tenant_id

    def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, **kwargs: Any
    ) -> AccessToken:
        """Get a token; the signature is azure-core's ``TokenCredential``."""
        return self._inner.get_token(*scopes, claims=claims, tenant_id=tenant_id or self._tenant_id, **kwargs)


class _Claims(msgspec.Struct):
    oid: str = ""


class NoTokenError(Exception):
    """No token could be had; ``gap`` says why, without anything secret."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(gap.message)
        self.gap = gap


class TokenSource:
    """One token for all threads: the first one gets it, the others wait for that.

    A failure is remembered for a minute. Otherwise each of a thousand calls would start the
    whole chain of credentials anew, which runs programs and waits for services that are not there.
    """

    def __init__(
        self, credential: TokenCredential, scope: str, clock: Clock, service: str = "Azure Resource Manager"
    ) -> None:
        self._credential = credential
        self._scope = scope
        self._service = service
        self._clock = clock
        self._lock = Lock()
        self._token: AccessToken | None = None
        self._failure: NoTokenError | None = None
        self._failed_at = 0.0

    def __repr__(self) -> str:
        return f"<TokenSource of {type(self._credential).__name__} for {self._scope}>"

    def get(self) -> str:
        """Return a bearer token that lives for some minutes more.

        Raises:
            NoTokenError: the credential has none, or its authority does not answer.
        """
        with self._lock:
            if self._failure is not None and self._clock.monotonic() < self._failed_at + _REMEMBER_FAILURE:
                raise NoTokenError(self._failure.gap)
            if self._token is None or self._token.expires_on - _EARLY < self._clock.time():
                self._token = self._fetch()
            return self._token.token

    def principal(self) -> str | None:
        """Return the object id of the identity, in lower case, as the token names it.

        None where there is no token, or it is not a JWT of the kind that Microsoft Entra issues today: a
        token is opaque to clients, so that nothing but the number of calls may depend on this. The
        signature is not checked: whoever could send another token here would send it to ARM as well.
        Source: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
        """
        try:
            part = self.get().split(".")[1]
            claims = msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=_Claims)
        except (NoTokenError, IndexError, ValueError):  # msgspec's and binascii's errors are ValueErrors
            return None
        return claims.oid.lower() if _GUID.fullmatch(claims.oid) else None

    def _fetch(self) -> AccessToken:
        try:
            return self._credential.get_token(self._scope)
        except (AzureError, ValueError, OSError) as error:  # MSAL reports a bad authority as ValueError
            self._failure = NoTokenError(_explain(error, self._service))
            self._failed_at = self._clock.monotonic()
            raise self._failure from None  # the original's text may quote a request


def _explain(error: Exception, service: str) -> Gap:
    text = str(error)
    if isinstance(error, ServiceRequestError | ServiceResponseError | OSError):
        return Gap(
            kind=GapKind.UNREACHABLE,
            message=f"No token for {service}: its authority does not answer: {printable(text)}. "
            "Check the network, the proxy, the CA bundle and the cloud",
        )
    tried = list(dict.fromkeys(_TRIED.findall(text)))
    aadsts = _AADSTS.search(text)
    if aadsts is not None:
        said = printable(aadsts.group())
    elif tried:
        said = f"tried {', '.join(tried)}; none of them has an identity"
    else:
        said = printable(text) or type(error).__name__
    return Gap(
        kind=GapKind.UNAUTHENTICATED,
        message=f"No token for {service}: {said.rstrip('.')}. Sign in (az login), or set AZURE_TENANT_ID, "
        "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or give the runner a workload or managed identity",
        status=error.status_code
        if isinstance(error, HttpResponseError | ClientAuthenticationError)
        else None,
    )
