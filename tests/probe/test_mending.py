"""What is wrong with endpoints and with DNS servers of a lab goes away when the lab mends."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.lab import Lab, faults
from pytest_ampls.model import Estate, Snapshot
from pytest_ampls.model.handshake import Handshake
from pytest_ampls.probe import probe_all, targets_of
from tests.guest.lab import client_of

PROBED = [fault.name for fault in faults().values() if fault.kind == "probe"]
SPOILED = ["dns-servfail", "dns-truncated-forever", "dns-garbage", "dns-down"]
PATIENCE = 60.0
OLD = ("TLSv1", "TLSv1.1")


def _is_sound(shake: Handshake) -> bool:
    return (
        shake.gap is None
        and shake.trusted
        and shake.version not in OLD
        and all(shake.versions.get(version) != "accepted" for version in OLD)
    )


@contextmanager
def _probing(spec: str) -> Iterator[tuple[Lab, Snapshot, dict[str, str]]]:
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        address_map = lab.serve_endpoints()
        subscriptions, readings = read_estate(client, tuple(lab.subscriptions))
        yield lab, Snapshot(cloud="AmplsLab", subscriptions=subscriptions, readings=readings), address_map


def _flawed(lab: Lab, snapshot: Snapshot, address_map: dict[str, str]) -> set[str]:
    targets = targets_of(Estate(snapshot))
    shakes = probe_all(targets, ca_bundle=str(lab.ca_bundle), address_map=address_map)
    return {shake.address for shake in shakes if not _is_sound(shake)}


@pytest.mark.parametrize("fault", PROBED)
def test_every_flaw_of_an_endpoint_mends(fault: str) -> None:
    """Each fault is at one address before its time is over; after it the same port answers soundly."""
    with _probing(f"hub-and-spoke:mends_after=3600+{fault}") as early:
        assert _flawed(*early) == {"192.168.0.69"}
    with _probing(f"hub-and-spoke:mends_after=0.5+{fault}") as lab:
        deadline = time.monotonic() + PATIENCE
        while (flawed := _flawed(*lab)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not flawed


def test_a_lab_that_does_not_mend_stays_flawed_and_stops() -> None:
    """Without the parameter nothing changes, and a port that never listened is given back."""
    with _probing("hub-and-spoke+port-443-dropped") as lab:
        assert _flawed(*lab) == {"192.168.0.69"}


def test_a_lab_that_is_stopped_before_it_mends_opens_nothing() -> None:
    """Stopping ends the wait for the moment of mending."""
    lab = Lab.from_spec("hub-and-spoke:mends_after=3600+port-443-dropped").start()
    lab.serve_endpoints()
    lab.stop()
    assert lab.address_map == {}


def test_addresses_that_come_with_the_mending_are_served() -> None:
    """An endpoint that has other addresses while the fault is there is probed at those of both times."""
    with _probing("hub-and-spoke:mends_after=3600+endpoint-made-anew") as (lab, _, address_map):
        assert {"192.168.0.69", "192.168.0.101"} <= set(address_map)
        assert lab.address_map == address_map


def _status(lab: Lab) -> str:
    view = lab.views[0]
    query = dns.message.make_query("api.monitor.azure.com", "A")
    try:
        reply, _ = dns.query.udp_with_fallback(query, view.address, timeout=2.0, port=view.port)
    except (dns.exception.DNSException, OSError, EOFError) as error:
        return type(error).__name__
    return dns.rcode.to_text(reply.rcode())


@pytest.mark.parametrize("fault", SPOILED)
def test_a_server_that_answered_wrongly_or_not_at_all_mends(fault: str) -> None:
    """Tampered replies end with the other faults, and so do closed ports."""
    with Lab.from_spec(f"hub-and-spoke:mends_after=3600+{fault}") as early:
        assert _status(early) != "NOERROR"
    with Lab.from_spec(f"hub-and-spoke:mends_after=0.5+{fault}") as lab:
        deadline = time.monotonic() + PATIENCE
        while (status := _status(lab)) != "NOERROR" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status == "NOERROR"


def test_both_protocols_open_where_the_servers_were_down() -> None:
    """Before it mends UDP and TCP of every view are refused; after it both answer, at the same port."""
    with Lab.from_spec("hub-and-spoke:mends_after=3600+dns-down") as early:
        assert {_refusal(view.port, socket.SOCK_DGRAM) for view in early.views} == {"ConnectionRefusedError"}
        assert {_refusal(view.port, socket.SOCK_STREAM) for view in early.views} == {"ConnectionRefusedError"}
    with Lab.from_spec("hub-and-spoke:mends_after=0.5+dns-down") as lab:
        deadline = time.monotonic() + PATIENCE
        while _status(lab) != "NOERROR" and time.monotonic() < deadline:
            time.sleep(0.1)
        query = dns.message.make_query("api.monitor.azure.com", "A")
        for view in lab.views:
            for ask in (dns.query.udp, dns.query.tcp):
                reply = ask(query, view.address, timeout=10.0, port=view.port)
                assert dns.rcode.to_text(reply.rcode()) == "NOERROR"


def _refusal(port: int, kind: socket.SocketKind) -> str:
    """Return how a port answers somebody who speaks first."""
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(10.0)
        try:
            client.connect(("127.0.0.1", port))
            client.send(b"x")
            client.recv(1)
        except OSError as error:
            return type(error).__name__
    return "answered"


def test_a_lab_whose_servers_are_down_gives_its_ports_back() -> None:
    """Stopped before it mends, it opens nothing; and whoever asks for the port gets it."""
    lab = Lab.from_spec("hub-and-spoke:mends_after=3600+dns-down").start()
    port = lab.views[0].port
    lab.stop()
    with socket.create_server(("127.0.0.1", port)):
        pass
