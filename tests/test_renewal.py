"""Fresh evidence on request, between a controller and its workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_ampls.arm.snapshot import save
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model import Snapshot
from pytest_ampls.model.needs import Needs
from pytest_ampls.renewal import RenewalClient, RenewalService


@contextmanager
def _service(folder: Path, read: Callable[[Needs], Snapshot]) -> Iterator[None]:
    save(folder / "evidence-0", Snapshot())
    service = RenewalService(folder, read)
    service.start()
    try:
        yield
    finally:
        service.stop()


VMS = Needs.of(["Microsoft.Compute/virtualMachines"], ["/subscriptions/1/a"])
ZONES = Needs.of(["Microsoft.Network/privateDnsZones"], ())


class Reads:
    """Reads that end like this, one after the other; remembers what each was asked for."""

    def __init__(self, *outcomes: float | ConfigurationError) -> None:
        self.left = list(outcomes)
        self.needs: list[Needs] = []

    def __call__(self, needs: Needs) -> Snapshot:
        """Return the next outcome."""
        self.needs.append(needs)
        outcome = self.left.pop(0)
        if isinstance(outcome, ConfigurationError):
            raise outcome
        return Snapshot(read_at=outcome)


def test_a_worker_gets_what_was_read_after_it_asked(tmp_path: Path) -> None:
    """Each request is answered by a read that began after it, with what it needs."""
    first, second = RenewalClient(tmp_path), RenewalClient(tmp_path)
    deadline = time.monotonic() + 30
    reads = Reads(1.0, 2.0)
    with _service(tmp_path, reads):
        assert first.renew(VMS, deadline).read_at == 1.0
        assert second.renew(ZONES, deadline).read_at == 2.0
    assert reads.needs == [VMS, ZONES]


def test_workers_that_ask_together_share_one_read(tmp_path: Path) -> None:
    """What both need is read once, and both get it."""
    reads = Reads(1.0)
    save(tmp_path / "evidence-0", Snapshot())
    service = RenewalService(tmp_path, reads)
    deadline = time.monotonic() + 30
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(RenewalClient(tmp_path).renew, needs, deadline) for needs in (VMS, ZONES)]
        while len(list(tmp_path.glob("wanted-*"))) < 2:
            time.sleep(0.01)
        service.start()
        assert [future.result().read_at for future in asked] == [1.0, 1.0]
    service.stop()
    assert reads.needs == [VMS | ZONES]


def test_a_read_that_failed_once_may_succeed_later(tmp_path: Path) -> None:
    """The reason of a failed read is told, and does not stand in the way of the next."""
    client = RenewalClient(tmp_path)
    deadline = time.monotonic() + 30
    with _service(tmp_path, Reads(ConfigurationError("the estate cannot be read"), 2.0)):
        with pytest.raises(ConfigurationError, match="the estate cannot be read"):
            client.renew(VMS, deadline)
        assert client.renew(VMS, deadline).read_at == 2.0


def test_the_last_read_is_waited_for(tmp_path: Path) -> None:
    """What is asked for at the very end of the wait is still delivered."""
    with _service(tmp_path, Reads(1.0)):
        assert RenewalClient(tmp_path).renew(VMS, time.monotonic() - 1).read_at == 1.0


def test_the_reason_of_a_failed_read_is_said(tmp_path: Path) -> None:
    """Where the terminal is, since workers have none."""
    said: list[str] = []
    save(tmp_path / "evidence-0", Snapshot())
    service = RenewalService(tmp_path, Reads(ConfigurationError("the disk is full")), said.append)
    service.start()
    with pytest.raises(ConfigurationError, match="the disk is full"):
        RenewalClient(tmp_path).renew(VMS, time.monotonic() + 30)
    service.stop()
    assert said == ["ampls: the disk is full"]


@pytest.mark.parametrize("dies", [False, True])
def test_who_has_nothing_to_wait_for_gets_what_others_waited_for(tmp_path: Path, dies: bool) -> None:
    """Not before the others are done, be it that they died; and only what is newer."""
    save(tmp_path / "evidence-0", Snapshot())
    service = RenewalService(tmp_path, Reads(1.0))
    for worker in ("gw0", "gw1"):
        service.expect(worker)
    service.start()
    deadline = time.monotonic() + 30
    first, second = RenewalClient(tmp_path, "gw0"), RenewalClient(tmp_path, "gw1")
    with ThreadPoolExecutor(2) as pool:
        caught_up = pool.submit(first.catch_up, deadline)
        while not (tmp_path / "judged-0-gw0").exists() or (tmp_path / "working-gw0").exists():
            time.sleep(0.01)
        second.renew(VMS, deadline)
        assert not caught_up.done()
        if dies:
            service.forget("gw1")
            found = caught_up.result()
            assert first.catch_up(deadline) is None
        else:
            ended = pool.submit(second.catch_up, deadline)
            found = caught_up.result()
            assert first.catch_up(deadline) is None
            assert ended.result() is None
    service.stop()
    assert found is not None
    assert found.read_at == 1.0


def test_nobody_ends_before_all_judged_on_the_last_evidence(tmp_path: Path) -> None:
    """A worker that reads again, because what it caught up with does not hold, is waited for by those that had it."""
    save(tmp_path / "evidence-0", Snapshot())
    service = RenewalService(tmp_path, Reads(1.0, 2.0))
    for worker in ("gw0", "gw1"):
        service.expect(worker)
    service.start()
    deadline = time.monotonic() + 30
    first, second = RenewalClient(tmp_path, "gw0"), RenewalClient(tmp_path, "gw1")
    with ThreadPoolExecutor(2) as pool:
        second.renew(VMS, deadline)
        ended = pool.submit(second.catch_up, deadline)
        caught_up = first.catch_up(deadline)
        assert caught_up is not None
        assert first.renew(VMS, deadline).read_at == 2.0
        assert not ended.done()
        last = pool.submit(first.catch_up, deadline)
        newest = ended.result()
        assert newest is not None
        assert newest.read_at == 2.0
        assert second.catch_up(deadline) is None
        assert last.result() is None
    service.stop()


def test_nobody_waits_for_a_controller_that_ended(tmp_path: Path) -> None:
    """Be it that it stopped, or that its read broke off by a mistake of ours."""
    with _service(tmp_path, Reads(1.0)):
        pass
    with pytest.raises(ConfigurationError, match="the controller does not read any more"):
        RenewalClient(tmp_path).renew(VMS, time.monotonic() + 3600)


def test_nobody_is_waited_for_without_end(tmp_path: Path) -> None:
    """The bound is in the message."""
    service = RenewalService(tmp_path, Reads())
    service.expect("gw1")
    with pytest.raises(ConfigurationError, match="300 s after the wait"):
        RenewalClient(tmp_path, "gw0").catch_up(time.monotonic() - 301)
