"""A transport whose answers have a deadline as a whole.

The usual timeout is for the silence between two pieces of an answer: a server that sends a byte now and then
is never silent, and would hold a read for ever. So a watch ends a connection whose answer takes too long.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import AzureError, ServiceResponseTimeoutError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse, PoolManager
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from pytest_ampls.severable import Severable

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection

__all__ = ["BoundedAdapter", "BoundedTransport"]

_here: Final = threading.local()
"""The exchange of the thread that asks: urllib3 reads in the thread that calls it."""


class _Exchange(Severable):
    """One request and its answer; ``deadline`` is in monotonic seconds."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline


def _exchange() -> _Exchange | None:
    """Return the exchange of the calling thread."""
    found: _Exchange | None = getattr(_here, "exchange", None)
    return found


class _Watch:
    """Ends exchanges that are past their deadline, from one thread for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._exchanges: set[_Exchange] = set()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, seconds: float) -> Iterator[_Exchange]:
        """Watch over what the calling thread asks meanwhile."""
        exchange = _Exchange(time.monotonic() + seconds)
        with self._lock:
            self._exchanges.add(exchange)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ampls-deadlines", daemon=True)
                self._thread.start()
        _here.exchange = exchange
        try:
            yield exchange
        finally:
            _here.exchange = None
            with self._lock:
                self._exchanges.discard(exchange)

    def look(self) -> None:
        """Have the thread end now, where nothing is under way, and not when the last deadline has come."""
        with self._lock:
            self._lock.notify_all()

    def _run(self) -> None:
        with self._lock:
            while self._exchanges:
                # Whatever begins meanwhile ends later than this: all exchanges have as many seconds.
                first = min(exchange.deadline for exchange in self._exchanges)
                self._lock.wait(max(0.0, first - time.monotonic()))
                late = {each for each in self._exchanges if each.deadline <= time.monotonic()}
                self._exchanges -= late
                for exchange in late:
                    exchange.sever()
            self._thread = None


class _Connection(HTTPSConnection):
    """A connection that says whose answer it carries."""

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        if (exchange := _exchange()) is not None:
            exchange.hold(connected)  # a proxy answers before there is TLS
        return connected

    def _tunnel(self) -> None:
        if (exchange := _exchange()) is not None:
            exchange.hold(self.sock)  # a proxy that is spoken to over TLS: its socket is another one since
        super()._tunnel()

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
        if (exchange := _exchange()) is not None:
            exchange.hold(self.sock)
        return super().getresponse()


class _Pool(HTTPSConnectionPool):
    """A pool whose connections belong to no exchange while they are in it."""

    ConnectionCls = _Connection

    def _put_conn(self, conn: BaseHTTPConnection | None) -> None:
        exchange = _exchange()
        # The other order would let a deadline cut the answer to whoever takes the connection next.
        if exchange is not None and not exchange.let_go() and conn is not None:
            conn.close()
        super()._put_conn(conn)


class BoundedAdapter(HTTPAdapter):
    """The adapter whose connections a :class:`BoundedTransport` can end. For https alone."""

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        """Make the pools, of our connections."""
        super().init_poolmanager(*arguments, **more)
        _use_own_connections(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **more: Any) -> Any:
        """Make the pools that lead through a proxy, of our connections."""
        manager = super().proxy_manager_for(*arguments, **more)
        _use_own_connections(manager)
        return manager


def _use_own_connections(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _Pool}


class BoundedTransport(RequestsTransport):  # type: ignore[misc]  # azure-core loads it lazily, untyped
    """Sends requests, and waits ``seconds`` at most for each answer to be whole.

    The session has to use :class:`BoundedAdapter`.
    """

    def __init__(self, *, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._seconds = seconds
        self._watch = _Watch()

    def send(self, request: HttpRequest, **options: Any) -> Any:
        """Return the whole answer.

        Raises:
            ServiceResponseTimeoutError: it was not whole in time.
            AzureError: there was none, for another reason.
        """
        with self._watch.over(self._seconds) as exchange:
            try:
                answer = super().send(request, **options)
            except AzureError:
                if not exchange.is_severed:
                    raise
                raise self._too_long() from None
        if exchange.is_severed:  # an answer of unknown length looks whole wherever its connection ends
            raise self._too_long()
        return answer

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._watch.look()

    def _too_long(self) -> ServiceResponseTimeoutError:
        return ServiceResponseTimeoutError(f"it was not whole after {self._seconds:g} s")
