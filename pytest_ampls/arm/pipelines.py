"""The pipelines to the services of one cloud: the same guards, patience and counts for each of them."""

from __future__ import annotations

import http.cookiejar
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event
from typing import Any, Final

import requests
from azure.core.credentials import TokenCredential
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import HeadersPolicy, RequestIdPolicy
from azure.core.rest import HttpRequest, HttpResponse

from pytest_ampls.arm.clock import Clock
from pytest_ampls.arm.concurrency import Gates
from pytest_ampls.arm.credential import TokenSource
from pytest_ampls.arm.origin import Origin
from pytest_ampls.arm.policies import OriginPolicy, PagePolicy, ReadOnlyPolicy, RetryPolicy, TokenPolicy
from pytest_ampls.arm.throttle import Ledger, Rate, Throttle
from pytest_ampls.arm.transport import BoundedAdapter, BoundedTransport
from pytest_ampls.errors import ConfigurationError

__all__ = ["Pipelines"]

_WHOLE: Final = 10
"""So many times as long as the silence between two of its pieces a whole answer may take."""


class Pipelines:
    """Makes pipelines that share a credential, a clock, a budget of waiting, and the stop of all of them.

    ``ca_bundle`` is a file of CA certificates (PEM) to trust instead of the usual ones. ``on_progress`` gets a line
    of text where a request waits for a throttled service.
    """

    def __init__(
        self,
        credential: TokenCredential,
        ledger: Ledger,
        clock: Clock,
        stop: Event,
        *,
        ca_bundle: str | Path | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self.credential = credential
        self.clock = clock
        self._ledger = ledger
        self._stop = stop
        self._verify = _checked_bundle(ca_bundle)
        self._on_progress = on_progress
        self._made = ExitStack()

    def make(
        self,
        origin: Origin,
        token: TokenSource,
        guard: ReadOnlyPolicy,
        *,
        rate: Rate,
        concurrency: int,
        timeout: float,
        connect_timeout: float | None = None,
        whole: float | None = None,
        inner: tuple[Any, ...] = (),
        throttle: Throttle | None = None,
    ) -> Pipeline[HttpRequest, HttpResponse]:
        """Return a pipeline to one origin, ready to use; :meth:`close` closes it.

        Args:
            origin: where requests may go, and nowhere else.
            token: whose token is attached.
            guard: which requests are let through.
            rate: how fast the service may be asked.
            concurrency: requests that are under way at once, and connections that are kept.
            timeout: seconds between two pieces of an answer, and to connect where nothing else is given; a whole
                answer may take ten times as long.
            connect_timeout: seconds to connect.
            whole: seconds for a whole answer, where it is not ten times the timeout.
            inner: policies that see every single attempt, just outside of the token's.
            throttle: what paces the requests, where it was made before, of the same rate and concurrency.
        """
        throttle = throttle or self.throttle(rate, concurrency)
        policies: list[Any] = [  # azure-core types its own policies for the older request class
            guard,
            OriginPolicy(origin),
            HeadersPolicy({"User-Agent": _user_agent()}),
            RequestIdPolicy(),
            PagePolicy(),
            RetryPolicy(throttle, self._ledger, self.clock, self._stop, self._on_progress),
            *inner,
            TokenPolicy(token),
        ]
        transport = BoundedTransport(
            seconds=_WHOLE * timeout if whole is None else whole,
            session=_session(concurrency, proxies=not Origin.is_loopback(str(origin))),
            connection_timeout=timeout if connect_timeout is None else connect_timeout,
            read_timeout=timeout,
            connection_verify=self._verify,
        )
        pipeline: Pipeline[HttpRequest, HttpResponse] = Pipeline(transport, policies)
        return self._made.enter_context(pipeline)

    def throttle(self, rate: Rate, concurrency: int) -> Throttle:
        """Return what paces requests to a service."""
        return Throttle(rate, self.clock, Gates(concurrency, self._stop))

    def close(self) -> None:
        """Close the connections of all pipelines."""
        self._made.close()


def _checked_bundle(ca_bundle: str | Path | None) -> str | bool:
    if ca_bundle is None:
        return True
    if not Path(ca_bundle).exists():
        raise ConfigurationError(f"The CA bundle {str(ca_bundle)!r} does not exist")
    return str(ca_bundle)


def _session(connections: int, *, proxies: bool) -> requests.Session:
    session = requests.Session()
    # A proxy of the environment can serve the internet, but not this very machine.
    session.trust_env = proxies
    session.mount("https://", BoundedAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0))
    # Cookies of one answer would travel with the next request, from any thread; no service here needs any.
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return session


def _user_agent() -> str:
    try:
        return f"pytest-ampls/{version('pytest-ampls')}"
    except PackageNotFoundError:
        return "pytest-ampls"
