"""Where evidence comes from: subscriptions, the embedded lab, or a snapshot. Read once per run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from pytest_ampls import resolver
from pytest_ampls.errors import ConfigurationError, EvidenceError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Snapshot, VantagePoint

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from pytest_ampls.arm.cloud import Cloud
    from pytest_ampls.options import Settings

__all__ = ["Source", "read_snapshot"]

Suspects = Callable[[Estate], Iterable[str]]
CredentialSeam = Callable[["Cloud"], "TokenCredential | None"]


def read_snapshot(
    settings: Settings,
    *,
    vantage_points: tuple[VantagePoint, ...] = (),
    credential: CredentialSeam | None = None,
) -> Snapshot:
    """Read all evidence once. Arguments and errors are those of :class:`Source`."""
    with Source(settings, vantage_points=vantage_points, credential=credential) as source:
        return source.read()


class _Connection(NamedTuple):
    """What it takes to read: settings with the addresses filled in, a cloud, a credential, resolvers."""

    settings: Settings
    cloud: Cloud
    credential: TokenCredential
    vantage_points: tuple[VantagePoint, ...]


class Source:
    """Where the evidence of a run comes from. Opened by the first read; can be read again.

    Args:
        settings: the options in force; one source must be configured.
        vantage_points: resolvers of the requirements file, beside those of the options.
        credential: asked for a credential of the cloud; None, or the answer None, means the default one.
        suspects: names the machines of an estate that a verdict is about to fail on, by id; what the index
            says of them is read again from the providers.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        vantage_points: tuple[VantagePoint, ...] = (),
        credential: CredentialSeam | None = None,
        suspects: Suspects | None = None,
    ) -> None:
        self._suspects = suspects
        self._settings = settings
        self._vantage_points = vantage_points
        self._credential = credential
        self._stack = ExitStack()
        self._connection: _Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the lab where this source started one."""
        self._stack.close()
        self._connection = None

    def read(self) -> Snapshot:
        """Read everything now.

        Raises:
            ConfigurationError: an option names something that does not exist, or nothing could be read.
        """
        if self._settings.snapshot:
            from pytest_ampls.arm.snapshot import load

            return load(Path(self._settings.snapshot))
        if self._connection is None:
            self._connection = self._connect()
        snapshot = _read(self._connection, self._suspects)
        _refuse_unreadable(snapshot)
        if self._settings.snapshot_out:
            from pytest_ampls.arm.snapshot import save

            save(Path(self._settings.snapshot_out), snapshot)
        return snapshot

    def _connect(self) -> _Connection:
        settings = self._settings
        texts, origin = settings.resolvers, settings.origin("resolver")
        wanted = (*(resolver.parse_option(text, origin=origin) for text in texts), *self._vantage_points)
        _refuse_twins(wanted)
        if settings.lab:
            return _connect_lab(settings, wanted, self._stack)
        return _connect_live(settings, wanted, self._credential)


def _refuse_twins(vantage_points: tuple[VantagePoint, ...]) -> None:
    names = [point.name for point in vantage_points]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"two resolvers are called {name!r}: give each vantage point a name of its own"
            )


def _connect_lab(settings: Settings, wanted: tuple[VantagePoint, ...], stack: ExitStack) -> _Connection:
    from pytest_ampls.arm.cloud import discover
    from pytest_ampls.arm.credential import lab_credential
    from pytest_ampls.lab import Lab, LabError

    _refuse_off_loopback(wanted)
    try:
        lab = stack.enter_context(Lab.from_spec(settings.lab))
    except LabError as error:
        raise ConfigurationError(f"{settings.origin('lab')}: {error}") from None
    views = tuple(
        VantagePoint(
            name=view.name,
            servers=(f"{view.address}:{view.port}",),
            virtual_network=view.virtual_network_id,
            origin="lab",
        )
        for view in lab.views
    )
    _refuse_twins((*views, *wanted))
    ca_bundle = str(lab.ca_bundle)
    credential = lab_credential(lab.authority, lab.tenant_id, lab.client_id, lab.client_secret, ca_bundle)
    cloud = discover(lab.arm_endpoint, ca_bundle)
    filled = replace(settings, ca_bundle=ca_bundle, subscriptions=tuple(lab.subscriptions))
    return _Connection(filled, cloud, credential, (*views, *wanted))


def _refuse_off_loopback(wanted: tuple[VantagePoint, ...]) -> None:
    for point in wanted:
        for server in point.servers:
            if not server.startswith(("127.", "[::1]")):
                raise ConfigurationError(
                    f"resolver {point.name!r} asks {server}, and a run on the lab sends nothing off loopback: "
                    "leave it out, or judge a subscription"
                )


def _connect_live(
    settings: Settings, wanted: tuple[VantagePoint, ...], seam: CredentialSeam | None
) -> _Connection:
    from pytest_ampls.arm.cloud import CLOUDS, discover
    from pytest_ampls.arm.credential import default_credential

    if settings.arm_endpoint:
        cloud = discover(settings.arm_endpoint, settings.ca_bundle or None)
    elif settings.cloud in CLOUDS:
        cloud = CLOUDS[settings.cloud]
    else:
        raise ConfigurationError(
            f"{settings.origin('cloud')}: there is no cloud {settings.cloud!r}; there are {', '.join(CLOUDS)}"
        )
    credential = seam(cloud) if seam is not None else None
    if credential is None:
        ca_bundle = settings.ca_bundle or None
        credential = default_credential(cloud, tenant_id=settings.tenant or None, ca_bundle=ca_bundle)
    return _Connection(settings, cloud, credential, wanted or (resolver.system(),))


def _read(connection: _Connection, suspects: Suspects | None) -> Snapshot:
    from pytest_ampls.arm.client import ArmClient
    from pytest_ampls.arm.confirm import confirm
    from pytest_ampls.arm.inventory import read_estate

    settings, cloud, credential, vantage_points = connection
    started = time.time()
    with ExitStack() as stack:
        client = stack.enter_context(
            ArmClient(
                cloud,
                credential,
                ca_bundle=settings.ca_bundle or None,
                concurrency=settings.concurrency,
                retry_budget=settings.throttle_budget,
            )
        )
        subscriptions, readings = read_estate(client, settings.subscriptions, discovery=settings.discovery)
        snapshot = Snapshot(
            cloud=cloud.name,
            arm_endpoint=cloud.arm_endpoint,
            read_at=started,
            subscriptions=subscriptions,
            readings=readings,
            vantage_points=vantage_points,
        )
        if suspects is not None and any(reading.source == "graph" for reading in readings):
            # The index lags: what a verdict is about to fail on is read again from its provider.
            confirmed = confirm(client, readings, suspects(Estate(snapshot)))
            snapshot = msgspec.structs.replace(snapshot, readings=confirmed)
        statistics = client.statistics()
    names = _names_to_ask(Estate(snapshot))
    answers = resolver.resolve_all(
        vantage_points, names, concurrency=settings.concurrency * 2, timeout=settings.dns_timeout
    )
    statistics = msgspec.structs.replace(statistics, seconds=time.time() - started, lookups=len(answers))
    return msgspec.structs.replace(snapshot, answers=answers, statistics=statistics)


def _names_to_ask(estate: Estate) -> tuple[str, ...]:
    """Return every public name that a private endpoint of the estate serves."""
    found: set[str] = set()
    try:
        endpoints = estate.private_endpoints
    except EvidenceError:
        return ()  # the rules that need answers need the endpoints first, and say why they are missing
    for endpoint in endpoints:
        try:
            found.update(endpoint.members)
        except EvidenceError:
            continue  # likewise
    return tuple(sorted(found))


def _refuse_unreadable(snapshot: Snapshot) -> None:
    """Raise where not one listing succeeded: there is nothing to judge, and one reason to tell."""
    listings = [reading for reading in snapshot.readings if not reading.single]
    reasons = list(
        dict.fromkeys(reading.gap.message for reading in snapshot.readings if reading.gap is not None)
    )
    if any(reading.gap is None for reading in listings):
        return
    shown = (
        "\n".join(f"  {reason}" for reason in reasons[:3])
        or "  no subscription can be seen with this identity"
    )
    more = f"\n  … and {len(reasons) - 3} more like these" if len(reasons) > 3 else ""
    raise ConfigurationError(f"the estate cannot be read, so nothing can be judged:\n{shown}{more}")
