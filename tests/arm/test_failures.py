"""Throttling, silence and broken connections: bounded waits, then a gap."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.rest import HttpRequest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.transport import BoundedAdapter, BoundedTransport
from pytest_ampls.model.evidence import GapKind
from tests.arm.conftest import FakeClock, cloud_of
from tests.arm.dribbling import Dribbling
from tests.arm.gaps import error, gap_of, throttled
from tests.arm.names import RULES, RULES_PATH, SCOPES, SCOPES_PATH, SUBSCRIPTION
from tests.arm.server import Asked, Authority, Reply, Server


def bounded(authority: Authority, *, seconds: float) -> BoundedTransport:
    """Return a transport with one connection that is kept."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", BoundedAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))
    return BoundedTransport(
        seconds=seconds, session=session, connection_verify=str(authority.bundle), read_timeout=30
    )


def test_throttled_for_ever_ends_within_the_budget(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """The gap says how often, how long, and what was asked for last."""
    server.on(RULES_PATH, throttled({"Retry-After": "40"}))
    gap = gap_of(make_client(retry_budget=100))
    assert (gap.kind, gap.status) == (GapKind.THROTTLED, 429)
    assert sum(clock.waits) == 80
    assert "after 3 attempts and 80 s of waiting (Retry-After was 40 s the last time)" in gap.message
    assert "the retry budget of 100 s. Nothing of this was read" in gap.message


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}])
def test_throttled_without_a_usable_hint_ends_too(
    client: ArmClient, server: Server, clock: FakeClock, headers: dict[str, str]
) -> None:
    """Neither a missing hint nor one of zero seconds makes an endless loop."""
    server.on(RULES_PATH, throttled(headers))
    gap = gap_of(client)
    assert gap.kind is GapKind.THROTTLED
    assert ("which are enough" in gap.message) == ("Retry-After" in headers)
    assert sum(clock.waits) <= 120
    assert len(server.asked) <= 41


def test_a_server_that_asks_for_too_much_time_is_throttling(
    client: ArmClient, server: Server, clock: FakeClock
) -> None:
    """A 503 with a Retry-After beyond the budget is not waited for at all."""
    server.on(RULES_PATH, throttled({"Retry-After": "600"}, status=503))
    gap = gap_of(client)
    assert (gap.kind, gap.status, clock.waits) == (GapKind.THROTTLED, 503, [])
    assert "after one attempt" in gap.message


def test_pages_share_one_budget(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """A listing that is throttled on every page waits no longer than one that is on the first."""
    later = throttled({"Retry-After": "30"})
    server.on(RULES_PATH, later, Reply({"value": [{"id": "1"}], "nextLink": f"{server.url}/2"}))
    server.on("/2", later, Reply({"value": [{"id": "2"}], "nextLink": f"{server.url}/3"}))
    server.on("/3", later, Reply({"value": []}))
    reading = make_client(retry_budget=70).list(RULES, SUBSCRIPTION)
    assert reading.gap is not None
    assert reading.gap.kind is GapKind.THROTTLED
    assert sum(clock.waits) == 60


def test_the_whole_run_has_a_bound(
    make_client: Callable[..., ArmClient], server: Server, clock: FakeClock
) -> None:
    """Many listings that are throttled for ever cost three budgets together, not one each."""
    client = make_client(retry_budget=50)
    server.on(RULES_PATH, throttled({"Retry-After": "50"}))
    gaps = [gap_of(client) for _ in range(6)]
    assert {gap.kind for gap in gaps} == {GapKind.THROTTLED}
    assert sum(clock.waits) == 150
    assert "what the whole run may wait" in gaps[-1].message
    assert client.statistics().throttled_seconds == 150


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(b"<html>bad gateway</html>", status=502), GapKind.UNREACHABLE, "HTTP 502 with a page of HTML"),
        (Reply(error("503", "busy"), status=503), GapKind.UNREACHABLE, "HTTP 503 503: busy"),
        (
            Reply({"value": []}, cut=True),
            GapKind.MALFORMED,
            "broke off or could not be unpacked (Connection broken: IncompleteRead(",
        ),
        (Reply(b"\x1f\x8bno", headers={"Content-Encoding": "gzip"}), GapKind.MALFORMED, "unpacked"),
        (Reply(reset=True), GapKind.UNREACHABLE, "no answer: Connection aborted: Remote end closed"),
    ],
)
def test_failures_that_do_not_pass(
    client: ArmClient, server: Server, clock: FakeClock, reply: Reply, kind: GapKind, said: str
) -> None:
    """Four attempts with short waits, then a gap that says so."""
    server.on(RULES_PATH, reply)
    gap = gap_of(client)
    assert gap.kind is kind
    assert said in gap.message
    assert "tried 4 times" in gap.message
    assert clock.waits == [0.5, 1.0, 2.0]


def test_a_server_that_is_away_is_unreachable_and_then_left_alone(
    make_client: Callable[..., ArmClient], authority: Authority
) -> None:
    """After enough silence no further call is made: a dead endpoint costs a bounded time."""
    with Server(authority) as gone:
        url = gone.url
    client = make_client(cloud=cloud_of(url), concurrency=2)
    gaps = [gap_of(client, SCOPES) for _ in range(6)]
    assert {gap.kind for gap in gaps} == {GapKind.UNREACHABLE}
    assert "Connection refused" in gaps[0].message
    assert "not asked any more" in gaps[-1].message
    assert client.statistics().calls == 16


def test_a_server_that_says_nothing_times_out(make_client: Callable[..., ArmClient], server: Server) -> None:
    """An answer that never comes ends in a gap, after one more try."""
    release = threading.Event()

    def hang(asked: Asked) -> Reply:
        release.wait(20)
        return Reply({"value": []})

    server.on(SCOPES_PATH, hang)
    try:
        gap = gap_of(make_client(timeout=0.2), SCOPES)
    finally:
        release.set()
    assert gap.kind is GapKind.UNREACHABLE
    assert "no answer in time" in gap.message
    assert len(server.asked) == 2


@pytest.mark.parametrize("part", ["head", "body", "body of no known length"])
def test_a_server_that_never_falls_silent_times_out_too(
    make_client: Callable[..., ArmClient], authority: Authority, part: str
) -> None:
    """A byte now and then is no answer: a read ends at a bound of its own, and what had arrived is not believed."""
    with Dribbling(authority, part) as server:
        gap = gap_of(make_client(cloud=cloud_of(server.url), timeout=0.2), SCOPES)
    assert gap.kind is GapKind.UNREACHABLE
    assert "no answer in time: it was not whole after 2 s" in gap.message


def test_a_deadline_ends_its_own_answer_and_no_other(server: Server, authority: Authority) -> None:
    """An answer that is whole has given its connection back: the next one on it is not cut by the deadline before."""
    late, answers = threading.Event(), []
    server.on("/first", Reply(b"first"))
    server.on("/second", lambda _: Reply(b"late" if late.wait(30) else b"never"))
    with bounded(authority, seconds=2.0) as transport:

        def keep(response: requests.Response, **_: object) -> None:
            if response.url.endswith("/first"):
                assert response.content == b"first"  # and the connection is free
                time.sleep(1.0)
                other = threading.Thread(target=ask, args=("/second",))
                other.start()
                time.sleep(1.5)  # over the deadline of the first
                late.set()
                other.join()

        def ask(path: str) -> None:
            answers.append(transport.send(HttpRequest("GET", server.url + path)).content)

        transport.session.hooks["response"].append(keep)
        with pytest.raises(ServiceResponseTimeoutError):  # it was not handed over in time
            ask("/first")
    assert answers == [b"late"]


def test_a_proxy_that_never_falls_silent_times_out_too(authority: Authority) -> None:
    """The deadline holds while a proxy is asked for the way, too."""
    patience: list[str] = []

    def dribble() -> None:
        connection, _ = listener.accept()
        with suppress(OSError), connection:  # it was cut
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Padding: ")
            for _ in range(120):
                connection.sendall(b"x")
                time.sleep(0.05)
            patience.append("at an end")

    with socket.create_server(("127.0.0.1", 0)) as listener, bounded(authority, seconds=1.0) as transport:
        threading.Thread(target=dribble, daemon=True).start()
        transport.session.proxies = {"https": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        with pytest.raises(ServiceResponseTimeoutError, match="not whole after 1 s"):
            transport.send(HttpRequest("GET", "https://127.0.0.1:9/"))
        assert not patience


def test_a_closed_transport_leaves_no_thread(server: Server, authority: Authority) -> None:
    """The thread that watches ends with the transport, and not with the last deadline."""
    before = set(threading.enumerate())
    server.on("/first", Reply(b"first"))
    with bounded(authority, seconds=600.0) as transport:
        transport.send(HttpRequest("GET", f"{server.url}/first"))
        (watch,) = (each for each in set(threading.enumerate()) - before if each.name == "ampls-deadlines")
    watch.join(30)
    assert not watch.is_alive()


def test_an_untrusted_certificate_is_told_apart(
    make_client: Callable[..., ArmClient], server: Server, tmp_path: Path, clock: FakeClock
) -> None:
    """A certificate that is not trusted does not get better by trying; the CA bundle is the advice."""
    stranger = Authority(tmp_path)
    gap = gap_of(make_client(ca_bundle=stranger.bundle), SCOPES)
    assert gap.kind is GapKind.UNREACHABLE
    assert "CA bundle" in gap.message
    assert (server.asked, clock.waits) == ([], [])


def test_a_stopped_client_reads_nothing_more(client: ArmClient, server: Server) -> None:
    """After an interruption every read ends at once, and says that it was not read."""
    client.stop()
    assert gap_of(client).kind is GapKind.NOT_READ
    assert server.asked == []
