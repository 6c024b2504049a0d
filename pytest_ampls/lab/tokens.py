"""The lab's own sign-in: OpenID discovery and the client-credentials grant.

It speaks the subset of the Microsoft identity platform that MSAL needs, so that unmodified
credentials (azure-identity, ``az login --service-principal``) work against the lab.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from pytest_ampls.lab.messages import Request, Response, error, json_response
from pytest_ampls.lab.store import TENANT_ID, guid

__all__ = ["Authority", "TokenRefusedError"]

LIFETIME: Final = 3599
"""Seconds a token is valid."""


class TokenRefusedError(Exception):
    """A request's token does not do; carries the 401 that says so."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authority:
    """Issues tokens and checks them. Secret and key are made anew for every lab."""

    def __init__(self, *, lifetime: int = LIFETIME) -> None:
        self.tenant_id = TENANT_ID
        self.client_id = guid("client")
        self.object_id = guid("object")
        self.client_secret = secrets.token_urlsafe(24)
        self.lifetime = lifetime
        self._key = secrets.token_bytes(32)

    def __repr__(self) -> str:
        return f"<Authority of tenant {self.tenant_id}>"

    def handles(self, path: str) -> bool:
        """Say whether a path belongs to the sign-in rather than to ARM."""
        lower = path.lower()
        return "/.well-known/" in lower or "/oauth2/" in lower or lower.startswith("/common/discovery/")

    def answer(self, request: Request, origin: str) -> Response:
        """Answer a request to the sign-in."""
        segments = request.path.strip("/").split("/")
        lower = request.path.lower()
        if lower.startswith("/common/discovery/"):
            return self._discovery(request, origin)
        if segments[0].lower() not in (self.tenant_id, "organizations", "common"):
            message = f"AADSTS90002: Tenant '{segments[0]}' not found."
            return _refusal(400, "invalid_tenant", message, 90002)
        if "/.well-known/" in lower:
            return json_response(200, self._configuration(origin, segments[0]))
        if lower.endswith("/token") and request.method == "POST":
            return self._token(request, origin)
        return _refusal(404, "invalid_request", "AADSTS900144: There is no such endpoint here.", 900144)

    def _discovery(self, request: Request, origin: str) -> Response:
        endpoint = f"{origin}/{self.tenant_id}/v2.0/.well-known/openid-configuration"
        host = origin.removeprefix("https://")
        metadata = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        return json_response(
            200, {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [metadata]}
        )

    def _configuration(self, origin: str, tenant: str) -> dict[str, Any]:
        base = f"{origin}/{tenant}"
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{origin}/{self.tenant_id}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "tenant_region_scope": "EU",
            "cloud_instance_name": origin.removeprefix("https://"),
        }

    def _token(self, request: Request, origin: str) -> Response:
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        basic = request.headers.get("authorization", "")
        if basic.lower().startswith("basic "):
            client, _, secret = base64.b64decode(basic[6:]).decode("utf-8", "replace").partition(":")
        if form.get("grant_type") != "client_credentials":
            message = "AADSTS70003: The app requested an unsupported grant type."
            return _refusal(400, "unsupported_grant_type", message, 70003)
        if client.lower() != self.client_id:
            message = f"AADSTS700016: Application with identifier '{client}' was not found in the directory."
            return _refusal(400, "unauthorized_client", message, 700016)
        if not hmac.compare_digest(secret.encode(), self.client_secret.encode()):
            message = "AADSTS7000215: Invalid client secret provided."
            return _refusal(401, "invalid_client", message, 7000215)
        scope = form.get("scope", "").split(" ")[0]
        if not scope.endswith("/.default"):
            message = f"AADSTS1002012: The provided value for scope {scope} is not valid."
            return _refusal(400, "invalid_scope", message, 1002012)
        token = self.issue(scope.removesuffix("/.default"), origin)
        document = {
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "ext_expires_in": self.lifetime,
            "access_token": token,
        }
        return json_response(200, document, {"cache-control": "no-store, no-cache"})

    def issue(self, audience: str, origin: str) -> str:
        """Return a signed token for an audience."""
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"{origin}/{self.tenant_id}/",
            "iat": now,
            "nbf": now - 5,
            "exp": now + self.lifetime,
            "appid": self.client_id,
            "oid": self.object_id,
            "tid": self.tenant_id,
            "ver": "1.0",
        }
        head = _encode(msgspec.json.encode({"typ": "JWT", "alg": "HS256"}))
        payload = f"{head}.{_encode(msgspec.json.encode(claims))}"
        return f"{payload}.{_encode(self._sign(payload))}"

    def _sign(self, payload: str) -> bytes:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).digest()

    def check(self, request: Request, origin: str) -> None:
        """Check the token of a request to ARM.

        Raises:
            TokenRefusedError: there is none, or it is not the lab's, expired, or for somebody else.
        """
        accepted = (origin, "https://management.azure.com", "https://management.core.windows.net")
        problem = self.problem(request, accepted)
        if problem is not None:
            raise TokenRefusedError(self._unauthorized(origin, *problem))

    def problem(self, request: Request, audiences: tuple[str, ...]) -> tuple[str, str] | None:
        """Return what is wrong with a request's token, as (code, text): None for a good one for an audience."""
        header = request.headers.get("authorization", "")
        if not header:
            return "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        scheme, _, token = header.partition(" ")
        payload, _, signature = token.strip().rpartition(".")
        if scheme.lower() != "bearer" or not self._is_ours(payload, signature):
            return "InvalidAuthenticationToken", "The access token is invalid."
        claims = msgspec.json.decode(_decode(payload.partition(".")[2]))
        if claims["exp"] <= time.time():
            text = "The access token expiry UTC time is earlier than current UTC time."
            return "ExpiredAuthenticationToken", text
        if claims["aud"].rstrip("/") not in audiences:
            text = f"The access token has been obtained for wrong audience or resource '{claims['aud']}'."
            return "InvalidAuthenticationTokenAudience", text
        return None

    def _is_ours(self, payload: str, signature: str) -> bool:
        try:
            return hmac.compare_digest(self._sign(payload), _decode(signature))
        except ValueError:
            return False

    def _unauthorized(self, origin: str, code: str, message: str) -> Response:
        response = error(401, code, message)
        response.headers["www-authenticate"] = (
            f'Bearer authorization_uri="{origin}/{self.tenant_id}", error="invalid_token",'
            f' error_description="{message}"'
        )
        return response


def _refusal(status: int, code: str, message: str, number: int) -> Response:
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    document = {
        "error": code,
        "error_description": f"{message} Trace ID: {trace} Correlation ID: {correlation}",
        "error_codes": [number],
        "timestamp": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()),
        "trace_id": trace,
        "correlation_id": correlation,
    }
    return json_response(status, document)
