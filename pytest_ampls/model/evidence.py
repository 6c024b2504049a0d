"""What was read, what was not, and why: the raw evidence that verdicts rest on.

Everything here can be written to a snapshot file and read back. Nothing here is ever a
token or a secret: only requests, documents and observations.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.guest_state import GuestState
from pytest_ampls.model.handshake import Handshake
from pytest_ampls.model.log_rows import LogReading
from pytest_ampls.model.power import PowerReading

__all__ = [
    "SNAPSHOT_VERSION",
    "Answer",
    "Gap",
    "GapKind",
    "Reading",
    "Snapshot",
    "Statistics",
    "Subscription",
    "VantagePoint",
]

SNAPSHOT_VERSION: Final = 2


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One listing, or one GET of a single resource, with what came back.

    ``type`` is the resource type in ARM's spelling (a key of ``API_VERSIONS``). ``scope`` is
    what was asked: ``/subscriptions/<id>`` for a listing of a subscription, the parent's
    resource id for a listing of children, the resource's own id for a single GET.
    ``single`` tells the last from the first two: a single GET that found nothing has no
    documents and no gap, which means that the resource does not exist.
    ``request`` is the first page's URL, without any secret. ``read_at`` is seconds since the
    epoch. ``source`` is ``arm`` for the resource provider's own answer, ``graph`` for the index.
    """

    type: str
    scope: str
    request: str
    read_at: float
    documents: tuple[msgspec.Raw, ...] = ()
    gap: Gap | None = None
    single: bool = False
    source: str = "arm"


class Subscription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A subscription: ``id`` is the bare GUID, ``state`` as ARM spells it, empty where that was not read."""

    id: str
    name: str = ""
    state: str = ""


class VantagePoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place that DNS is asked from.

    ``servers`` are the ``address:port`` pairs that are asked. ``virtual_network`` is the id of
    the VNet whose clients it speaks for, where that is known. ``origin`` says where it was
    configured, for the header line. ``computed`` is the name or id of the VNet whose configuration answers
    here, as it was written: nobody is asked then, and there are no servers. ``guest`` is the name or id of
    the virtual machine whose own resolution answers here, likewise.
    """

    name: str
    servers: tuple[str, ...]
    virtual_network: str | None = None
    origin: str = ""
    computed: str = ""
    guest: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one vantage point answered for one name (type A, the CNAME chain followed).

    ``status`` is a DNS response code's name (``NOERROR``, ``NXDOMAIN``). ``chain`` holds the
    names from the asked one through every CNAME; ``addresses`` the final IPv4 addresses, in
    the order of the answer. With ``gap`` set there was no usable answer (timeout, SERVFAIL,
    REFUSED, malformed, a CNAME loop) and the other fields say nothing.

    ``computed`` and ``reason`` are for answers that configuration gives: what kind of answer it is (``private
    record``, ``NXDOMAIN``, ``public``, ``mixed`` …), and why, as a phrase. Which addresses a public one has is not
    known, so it has none; neither is it empty.
    """

    vantage_point: str
    name: str
    status: str = "NOERROR"
    chain: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ttl: int | None = None
    server: str = ""
    computed: str = ""
    reason: str = ""
    gap: Gap | None = None

    @property
    def public(self) -> bool:
        """Tell whether this is a computed answer that leads to the public DNS."""
        return self.computed.startswith("public")

    @property
    def mixed(self) -> bool:
        """Tell whether this is a computed answer of DNS servers that disagree."""
        return self.computed == "mixed"


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """How the evidence was read: calls by kind, and time lost to throttling in seconds.

    ``reused`` counts the reads that were asked for again, and answered by what had been read before, ``batched`` the
    reads that were asked for in calls for several at once.
    ``notes`` are sentences on what was read otherwise than planned, such as without the index.
    """

    calls: int = 0
    calls_by_type: dict[str, int] = {}
    throttled: int = 0
    throttled_seconds: float = 0.0
    retries: int = 0
    pages: int = 0
    reused: int = 0
    batched: int = 0
    seconds: float = 0.0
    lookups: int = 0
    notes: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All evidence of one run, as it is handed to workers and written to files.

    ``subscriptions`` are those that are judged, ``left_out`` those that nobody named, and that are not in use.
    ``probed`` and ``logged`` tell that connections were tried and workspaces asked, be it without any result.
    ``power`` has the machines that showed no life where it was looked for, and no others.
    """

    version: int = SNAPSHOT_VERSION
    cloud: str = "AzureCloud"
    arm_endpoint: str = ""
    read_at: float = 0.0
    subscriptions: tuple[Subscription, ...] = ()
    left_out: tuple[Subscription, ...] = ()
    readings: tuple[Reading, ...] = ()
    vantage_points: tuple[VantagePoint, ...] = ()
    answers: tuple[Answer, ...] = ()
    probed: bool = False
    handshakes: tuple[Handshake, ...] = ()
    guests: tuple[GuestState, ...] = ()
    logged: bool = False
    logs: tuple[LogReading, ...] = ()
    power: tuple[PowerReading, ...] = ()
    statistics: Statistics = Statistics()
