"""Fresh evidence on request, between a controller and its workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_ampls.arm.snapshot import save
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model import Snapshot
from pytest_ampls.renewal import RenewalClient, RenewalService


@contextmanager
def _service(folder: Path, read: Callable[[], Snapshot]) -> Iterator[None]:
    save(folder / "evidence-0", Snapshot())
    service = RenewalService(folder, read)
    service.start()
    try:
        yield
    finally:
        service.stop()


def _reads(*outcomes: float | ConfigurationError) -> Callable[[], Snapshot]:
    left = list(outcomes)

    def read() -> Snapshot:
        outcome = left.pop(0)
        if isinstance(outcome, ConfigurationError):
            raise outcome
        return Snapshot(read_at=outcome)

    return read


def test_every_worker_gets_the_same_read(tmp_path: Path) -> None:
    """The second worker takes what was read for the first; a third read is made only when asked for again."""
    first, second = RenewalClient(tmp_path), RenewalClient(tmp_path)
    deadline = time.monotonic() + 30
    with _service(tmp_path, _reads(1.0, 2.0)):
        assert first.renew(deadline).read_at == 1.0
        assert second.renew(deadline).read_at == 1.0
        assert second.renew(deadline).read_at == 2.0


def test_a_read_that_failed_once_may_succeed_later(tmp_path: Path) -> None:
    """The reason of a failed read is told, and does not stand in the way of the next."""
    client = RenewalClient(tmp_path)
    deadline = time.monotonic() + 30
    with _service(tmp_path, _reads(ConfigurationError("the estate cannot be read"), 2.0)):
        with pytest.raises(ConfigurationError, match="the estate cannot be read"):
            client.renew(deadline)
        assert client.renew(deadline).read_at == 2.0


def test_the_last_read_is_waited_for(tmp_path: Path) -> None:
    """What is asked for at the very end of the wait is still delivered."""
    with _service(tmp_path, _reads(1.0)):
        assert RenewalClient(tmp_path).renew(time.monotonic() - 1).read_at == 1.0
