"""The lab: an estate, served over HTTPS and DNS on loopback ports."""

from __future__ import annotations

import contextlib
import copy
import gc
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pytest_ampls.lab import management
from pytest_ampls.lab.arm import Arm, request_headers
from pytest_ampls.lab.batch import answer_batch, is_batch
from pytest_ampls.lab.certificate import Certificates
from pytest_ampls.lab.estate import Blueprint
from pytest_ampls.lab.fault import Meddling, faults, inflict
from pytest_ampls.lab.fault.registry import Answer, Tamper, Wrapper
from pytest_ampls.lab.graph import Graph
from pytest_ampls.lab.listener import Listener
from pytest_ampls.lab.logs.service import AUDIENCE, LogQueries, refused_token
from pytest_ampls.lab.messages import Asked, Request, Response, error, json_response
from pytest_ampls.lab.nameserver import Lookup, Nameservers
from pytest_ampls.lab.offers import blueprint_of
from pytest_ampls.lab.resolution import Resolution
from pytest_ampls.lab.run_command import RunCommands
from pytest_ampls.lab.settle import settle
from pytest_ampls.lab.spec import LabError, Spec, number_of, parse_spec, without_faults
from pytest_ampls.lab.store import TENANT_ID, Document, Estate, Index
from pytest_ampls.lab.throttle import Buckets
from pytest_ampls.lab.tls import Endpoints
from pytest_ampls.lab.tokens import Authority, TokenRefusedError

__all__ = ["Lab", "View"]

PAGE_SIZE: Final = 50


@dataclass(frozen=True)
class View:
    """A DNS server that answers what a machine in one VNet would be answered."""

    name: str
    virtual_network_id: str
    address: str
    port: int


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Build without the cyclic garbage collector: it would walk a large fleet over and over."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Lab:
    """An embedded estate. Use it as a context manager, or call :meth:`start` and :meth:`stop`.

    ``arm_endpoint`` and ``authority`` are the origin of the HTTPS server, ``ca_bundle`` the PEM
    file that clients trust, ``tenant_id``, ``client_id`` and ``client_secret`` a service
    principal with the Reader role; the secret is random, worth nothing elsewhere, and gone with
    the lab. ``views`` are the DNS servers, one for each VNet. ``rate_limit`` is the burst and
    the refill per second of reads per subscription, or None when reads are not limited.
    """

    def __init__(self, spec: Spec, *, latency: float = 0.0, arm_port: int = 0) -> None:
        blueprint = blueprint_of(spec)
        self.spec = spec.text
        self.estate_name = spec.estate
        self.fault_names = tuple(name for name, _ in spec.faults)
        self.latency = latency + number_of(spec, "latency_ms", 0, least=0) / 1000
        page_size = int(number_of(spec, "page_size", PAGE_SIZE, least=1))
        throttle = spec.parameters.get("throttle", "off")
        if throttle not in ("on", "off"):
            raise LabError(f"lab {spec.text!r}: throttle={throttle} is neither on nor off")
        self._meddling = Meddling()
        with _no_collection():
            self._estate = blueprint.build(spec.parameters)
            for name, argument in spec.faults:
                inflict(name, argument, self._estate, self._meddling)
            self._index = settle(self._estate)
        self._authority = Authority()
        self._arm = Arm(
            self._index,
            page_size=page_size,
            object_id=self._authority.object_id,
            graph=Graph(self._index, self._meddling.hidden_types, self._meddling.lags),
            run_commands=RunCommands(self._index, self._meddling),
        )
        self._log_queries = LogQueries(
            self._index,
            self._meddling,
            lambda: self._healthy_index(blueprint, spec),
            limited=throttle == "on",
        )
        mends_after = number_of(spec, "mends_after", 0, least=0)
        self._mends_at = mends_after or float("inf")
        self._mended = Lab(without_faults(spec)) if mends_after and spec.faults else None
        self._buckets = Buckets(limited=throttle == "on")
        self._arm_port = arm_port
        self._certificates: Certificates | None = None
        self._listener: Listener | None = None
        self._log_listener: Listener | None = None
        self._nameservers: Nameservers | None = None
        self._endpoints: Endpoints | None = None
        self._log: list[Asked] = []
        self._queries: list[Asked] = []
        self._lock = threading.Lock()
        self.views: tuple[View, ...] = ()

    @classmethod
    def from_spec(cls, spec: str, *, latency: float = 0.0, arm_port: int = 0) -> Self:
        """Make a lab from ``ESTATE[:key=value[,key=value]][+FAULT[=ARGUMENT]]…``; not started yet.

        Args:
            spec: for example ``hub-and-spoke:latency_ms=60+missing-config-endpoint``.
            latency: seconds added to every answer of ARM.
            arm_port: the HTTPS port; 0 takes a free one.

        Raises:
            LabError: something in ``spec`` is not on offer; the message says what is.
        """
        return cls(parse_spec(spec), latency=latency, arm_port=arm_port)

    def __repr__(self) -> str:
        state = self.arm_endpoint if self._listener is not None else "not started"
        return f"<Lab {self.spec!r}, {state}>"

    # -- life --------------------------------------------------------------------------------

    def start(self) -> Self:
        """Open the ports and answer; returns the lab itself.

        Raises:
            OSError: a port cannot be opened.
        """
        self._certificates = Certificates()
        try:
            self._listener = Listener(self._certificates.context, self._answer, port=self._arm_port)
            self._log_listener = Listener(self._certificates.context, self._answer_query)
        except OSError:
            self.stop()
            raise
        self._arm.pages.origin = self._arm.run_commands.origin = self.arm_endpoint
        if self._mended is not None:
            self._mended._arm.pages.origin = self._mended._arm.run_commands.origin = self.arm_endpoint
            self._mends_at += time.monotonic()
        self._nameservers = self._open_nameservers()
        self._log_queries.stopping.clear()
        self._listener.start()
        self._log_listener.start()
        self._nameservers.start()
        return self

    def serve_endpoints(self) -> dict[str, str]:
        """Answer TLS for the addresses of private endpoints from now on; returns :attr:`address_map`.

        Costs certificates and ports, so it is done only when it is asked for.

        Raises:
            LabError: the lab is not started.
            OSError: a port cannot be opened.
        """
        if self._certificates is None:
            raise LabError(f"the lab {self.spec!r} is not started")
        if self._endpoints is None:
            indexes = [lab._index for lab in (self, self._mended) if lab is not None]
            flaws, authority = self._meddling.endpoint_flaws, self._certificates.authority
            self._endpoints = Endpoints(indexes, flaws, authority, mends_at=self._mends_at)
        return self.address_map

    @property
    def address_map(self) -> dict[str, str]:
        """Addresses of private endpoints to where they are served, ``127.0.0.1:PORT``; empty until they are."""
        return dict(self._endpoints.address_map) if self._endpoints is not None else {}

    def stop(self) -> None:
        """Close the ports, end the threads, remove the files. May be called twice."""
        if self._endpoints is not None:
            self._endpoints.stop()
        if self._nameservers is not None:
            self._nameservers.stop()
        self._log_queries.stopping.set()
        for listener in (self._listener, self._log_listener):
            if listener is not None:
                listener.stop()
        if self._certificates is not None:
            self._certificates.close()
        self._nameservers = self._listener = self._log_listener = self._certificates = self._endpoints = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _open_nameservers(self) -> Nameservers:
        resolution = Resolution(self._index, self._meddling)
        mended = Resolution(self._mended._index, self._mended._meddling) if self._mended else resolution
        lookups: dict[str, Lookup] = {}
        for network in resolution.networks:
            lookups[network["name"]] = self._view_of(resolution, mended, network["id"])
        tampers = [self._until_mended(tamper) for tamper in self._meddling.tampers]
        opens_at = self._mends_at if self._meddling.nameservers_down else float("-inf")
        servers = Nameservers(lookups, tampers, opens_at=opens_at)
        self.views = tuple(
            View(network["name"], network["id"], "127.0.0.1", servers.ports[network["name"]])
            for network in resolution.networks
        )
        return servers

    def _view_of(self, resolution: Resolution, mended: Resolution, network_id: str) -> Lookup:
        return lambda name: (resolution if self._now is self else mended).look_up(network_id, name)

    def _until_mended(self, tamper: Tamper) -> Tamper:
        return lambda datagram, reply: tamper(datagram, reply) if self._now is self else reply

    def _healthy_index(self, blueprint: Blueprint, spec: Spec) -> Index:
        """Return the estate as it was before faults changed documents of it: what was collected until now."""
        if all(faults()[name].kind != "estate" for name in self.fault_names):
            return self._index
        with _no_collection():
            return settle(blueprint.build(spec.parameters))

    @property
    def _now(self) -> Lab:
        """The lab that answers at this moment: this one, or its mended twin once the time has come."""
        return self._mended if self._mended is not None and time.monotonic() >= self._mends_at else self

    # -- what clients need to know -----------------------------------------------------------

    @property
    def arm_endpoint(self) -> str:
        """The origin of the HTTPS server, ``https://127.0.0.1:PORT``."""
        if self._listener is None:
            raise LabError(f"the lab {self.spec!r} is not started")
        return f"https://127.0.0.1:{self._listener.port}"

    @property
    def log_analytics_endpoint(self) -> str:
        """Where log queries are answered, ``https://127.0.0.1:PORT`` without ``/v1``; also a token's audience."""
        if self._log_listener is None:
            raise LabError(f"the lab {self.spec!r} is not started")
        return f"https://127.0.0.1:{self._log_listener.port}"

    @property
    def authority(self) -> str:
        """The authority that issues tokens: the same origin."""
        return self.arm_endpoint

    @property
    def ca_bundle(self) -> Path:
        """The PEM file with the certificate authority that clients must trust."""
        if self._certificates is None:
            raise LabError(f"the lab {self.spec!r} is not started")
        return self._certificates.bundle

    @property
    def tenant_id(self) -> str:
        """The tenant's GUID."""
        return TENANT_ID

    @property
    def client_id(self) -> str:
        """The service principal's application id."""
        return self._authority.client_id

    @property
    def client_secret(self) -> str:
        """The service principal's secret: random for every lab, worth nothing anywhere else."""
        return self._authority.client_secret

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The GUIDs of the subscriptions."""
        return tuple(self._estate.subscriptions)

    @property
    def rate_limit(self) -> tuple[int, float] | None:
        """Burst and refill per second of reads per subscription; None when there is no limit."""
        return self._buckets.rate

    def documents(self) -> list[Document]:
        """Return copies of all ARM documents that are served, in their newest form."""
        return copy.deepcopy(list(self._estate))

    @property
    def estate(self) -> Estate:
        """The estate itself, with its faults: read it, do not change it while it is served."""
        return self._estate

    @property
    def log(self) -> tuple[Asked, ...]:
        """What was asked so far of ARM, the sign-in included, in order."""
        with self._lock:
            return tuple(self._log)

    @property
    def requests(self) -> tuple[Asked, ...]:
        """The part of :attr:`log` that went to ARM: without sign-in and cloud metadata."""
        return tuple(
            asked
            for asked in self.log
            if not self._authority.handles(asked.path) and not asked.path.startswith("/metadata/")
        )

    @property
    def queries(self) -> tuple[Asked, ...]:
        """What was asked of Log Analytics so far, in order."""
        with self._lock:
            return tuple(self._queries)

    # -- answering ---------------------------------------------------------------------------

    def _answer(self, request: Request) -> Response:
        response = self._meddled(request, self._dispatch)
        version = request.query().get("api-version", "")
        with self._lock:
            self._log.append(Asked(request.method, request.path, version, response.status))
        return response

    def _meddled(self, request: Request, answer: Answer) -> Response:
        for wrapper in self._now._meddling.wrappers:
            answer = _wrapped(wrapper, answer)
        return answer(request)

    def _answer_query(self, request: Request) -> Response:
        audiences = (AUDIENCE, self.log_analytics_endpoint)
        problem = self._authority.problem(request, audiences)
        response = (
            self._now._log_queries.answer(request, self.latency)
            if problem is None
            else refused_token(*problem, f"{self.arm_endpoint}/{self.tenant_id}")
        )
        with self._lock:
            self._queries.append(Asked(request.method, request.path, "v1", response.status))
        return response

    def _dispatch(self, request: Request) -> Response:
        path = request.path
        if self._authority.handles(path):
            return self._authority.answer(request, self.arm_endpoint)
        if path.lower().rstrip("/") == "/metadata/endpoints":
            version = request.query().get("api-version", "2015-01-01")
            return json_response(
                200, management.metadata(self.arm_endpoint, version, self.log_analytics_endpoint)
            )
        if self.latency:
            time.sleep(self.latency)
        return self._authorized(request)

    def _authorized(self, request: Request) -> Response:
        try:
            self._authority.check(request, self.arm_endpoint)
        except TokenRefusedError as refused:
            return refused.response
        response = self._limited(request)
        response.headers.update(request_headers())
        return response

    def _limited(self, request: Request) -> Response:
        """Answer a request to ARM, unless its subscription's bucket is empty."""
        segments = request.path.lower().strip("/").split("/")
        subscription = segments[1] if len(segments) > 1 and segments[0] == "subscriptions" else "tenant"
        remaining, wait = self._buckets.take(subscription)
        if wait:
            text = (
                f"Number of read requests for subscription '{subscription}' actor '{self.client_id}' exceeded."
                f" Please try again after '{wait}' seconds after additional tokens are available."
            )
            response = error(429, "SubscriptionRequestsThrottled", text)
            response.headers["Retry-After"] = str(wait)
            return response
        if is_batch(request):  # what it asks for runs side by side: it waited once for all
            return answer_batch(request, lambda one: self._meddled(one, self._authorized))
        response = self._now._arm.answer(request)
        response.headers["x-ms-ratelimit-remaining-subscription-reads"] = str(remaining)
        return response


def _wrapped(wrapper: Wrapper, answer: Answer) -> Answer:
    return lambda request: wrapper(request, answer)
