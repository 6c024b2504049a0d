"""Where evidence comes from: subscriptions, the embedded lab, or a snapshot. Read once per run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from pytest_ampls import resolver
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Snapshot, Statistics, Subscription, VantagePoint
from pytest_ampls.model.needs import Needs
from pytest_ampls.observing import guest_access, observe
from pytest_ampls.progress import Progress

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from pytest_ampls.arm.client import ArmClient
    from pytest_ampls.arm.cloud import Cloud
    from pytest_ampls.guest import GuestAccess
    from pytest_ampls.settings import Settings

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
    address_map: Mapping[str, str] | None = None
    names: tuple[str, ...] = ()


class Source:
    """Where the evidence of a run comes from. Opened by the first read; can be read again.

    Args:
        settings: the options in force; one source must be configured.
        vantage_points: resolvers of the requirements file, beside those of the options.
        names: names that DNS is asked for beside those of the estate.
        credential: asked for a credential of the cloud; None, or the answer None, means the default one.
        say: gets a line of text now and then, while a read takes long.
        suspects: names the machines of an estate that a verdict is about to fail on, by id; what the index
            says of them is read again from the providers.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        vantage_points: tuple[VantagePoint, ...] = (),
        names: tuple[str, ...] = (),
        credential: CredentialSeam | None = None,
        suspects: Suspects | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._say = say
        self._suspects = suspects
        self._settings = settings
        self._vantage_points = vantage_points
        self._names = names
        self._credential = credential
        self._stack = ExitStack()
        self._connection: _Connection | None = None
        self._estate: Estate | None = None
        self.newest: Snapshot | None = None
        """What was read last, where it will be read again."""

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

            return _of_the_cloud(load(Path(self._settings.snapshot)), self._settings)
        if self._settings.snapshot_out:
            from pytest_ampls.arm.snapshot import check_target

            check_target(self._settings.snapshot_out)
        return self._kept(_read(self._connected(), self._suspects, Progress(self._say)))

    def renew(self, needs: Needs) -> Snapshot:
        """Read what is needed again, and return it together with everything else as it was.

        Raises:
            ConfigurationError: nothing could be read any more.
        """
        if self.newest is None:
            return self.read()
        return self._kept(_read_again(self._connected(), self.newest, needs, Progress(self._say)))

    def guest_access(self) -> GuestAccess:
        """Return how guests are reached by the options, until this source is closed.

        Raises:
            ConfigurationError: an option names something that does not exist.
        """
        settings, runner = self._settings, None
        if settings.run_command and not settings.snapshot:
            from pytest_ampls.arm.run_command import RunCommand

            client = _client(self._connected(), Progress(self._say))
            runner = RunCommand(self._stack.enter_context(client))
        return guest_access(settings, runner)

    def _connected(self) -> _Connection:
        if self._connection is None:
            self._connection = self._connect()._replace(names=self._names)
        return self._connection

    def estate(self, snapshot: Snapshot) -> Estate:
        """Return the estate of a snapshot: the one that was made while it was read, or another."""
        made, self._estate = self._estate, None
        return made if made is not None and made.snapshot is snapshot else Estate(snapshot)

    def _kept(self, estate: Estate) -> Snapshot:
        """Return what was read, and record it where that is asked for."""
        self._estate, snapshot = estate, estate.snapshot
        _refuse_unreadable(snapshot)
        self.newest = snapshot if self._settings.wait else None
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
        if settings.guests:
            guest_access(settings, None)  # what is missing for it is said before anything is read
        return _connect_live(settings, wanted, self._credential)


def _of_the_cloud(snapshot: Snapshot, settings: Settings) -> Snapshot:
    """Return a snapshot of the cloud that was asked for; where none was, any."""
    if "cloud" in settings.origins and snapshot.cloud != settings.cloud:
        raise ConfigurationError(
            f"the snapshot {settings.snapshot} (from {settings.origin('snapshot')}) is of the cloud "
            f"{snapshot.cloud!r}, and {settings.cloud} (from {settings.origin('cloud')}) is asked for: "
            "leave the cloud out, or record a snapshot there"
        )
    return snapshot


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
    if settings.guests:
        raise ConfigurationError(
            f"guests are looked at over ssh or WinRM ({settings.origin('guests')}), and a run on the lab sends nothing "
            "off loopback: the lab's guests are looked at by --ampls-run-command"
        )
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
    address_map = lab.serve_endpoints() if settings.probe else {}
    return _Connection(filled, cloud, credential, (*views, *wanted), address_map)


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


def _client(connection: _Connection, progress: Progress) -> ArmClient:
    from pytest_ampls.arm.client import ArmClient

    return ArmClient(
        connection.cloud,
        connection.credential,
        ca_bundle=connection.settings.ca_bundle or None,
        concurrency=connection.settings.concurrency,
        retry_budget=connection.settings.throttle_budget,
        on_progress=progress,
        run_command=connection.settings.run_command,
    )


def _read(connection: _Connection, suspects: Suspects | None, progress: Progress) -> Estate:
    from pytest_ampls.arm.confirm import confirm
    from pytest_ampls.arm.inventory import read_estate

    settings, cloud = connection.settings, connection.cloud
    started = time.time()
    left_out: list[Subscription] = []
    with _client(connection, progress) as client:
        subscriptions, readings = read_estate(
            client,
            settings.subscriptions,
            management_groups=settings.management_groups,
            discovery=settings.discovery,
            on_progress=progress,
            on_left_out=left_out.append,
        )
        estate = Estate(
            Snapshot(
                cloud=cloud.name,
                arm_endpoint=cloud.arm_endpoint,
                read_at=started,
                subscriptions=subscriptions,
                left_out=tuple(left_out),
                readings=readings,
                vantage_points=connection.vantage_points,
            )
        )
        if suspects is not None and any(reading.source == "graph" for reading in readings):
            # The index lags: what a verdict is about to fail on is read again from its provider.
            confirmed = confirm(client, readings, suspects(estate), on_progress=progress)
            estate.renew(msgspec.structs.replace(estate.snapshot, readings=confirmed))
        points, address_map = connection.vantage_points, connection.address_map
        observe(estate, settings, points, client, progress, address_map=address_map, names=connection.names)
        return _with_statistics(estate, client.statistics(), started)


def _read_again(connection: _Connection, before: Snapshot, needs: Needs, progress: Progress) -> Estate:
    from pytest_ampls.arm.refresh import refresh

    started = time.time()
    with _client(connection, progress) as client:
        readings = refresh(
            client,
            before.subscriptions,
            before.readings,
            needs,
            discovery=connection.settings.discovery,
            on_progress=progress,
        )
        estate = Estate(msgspec.structs.replace(before, readings=readings))
        observe(
            estate,
            connection.settings,
            connection.vantage_points,
            client,
            progress,
            address_map=connection.address_map,
            names=connection.names,
            needs=needs,
        )
        return _with_statistics(estate, _together(before.statistics, client.statistics()), started)


def _with_statistics(estate: Estate, statistics: Statistics, started: float) -> Estate:
    lookups, seconds = len(estate.snapshot.answers), time.time() - started
    counted = msgspec.structs.replace(statistics, seconds=seconds, lookups=lookups)
    estate.renew(msgspec.structs.replace(estate.snapshot, statistics=counted))
    return estate


def _together(before: Statistics, more: Statistics) -> Statistics:
    """Return what two reads cost: calls and waits add up, the seconds are those of the last."""
    kinds = before.calls_by_type.keys() | more.calls_by_type.keys()
    counts = {
        kind: before.calls_by_type.get(kind, 0) + more.calls_by_type.get(kind, 0) for kind in sorted(kinds)
    }
    return Statistics(
        calls=before.calls + more.calls,
        calls_by_type=counts,
        throttled=before.throttled + more.throttled,
        throttled_seconds=before.throttled_seconds + more.throttled_seconds,
        retries=before.retries + more.retries,
        pages=before.pages + more.pages,
        reused=before.reused + more.reused,
        batched=before.batched + more.batched,
        notes=tuple(dict.fromkeys((*before.notes, *more.notes))),
    )


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
