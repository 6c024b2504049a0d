"""Fresh evidence on request: one process reads, and every process that waits gets the same.

Workers ask by leaving a file in a folder that they share with the controller; a thread of the
controller answers by reading again and writing the next generation of the evidence there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pytest_ampls.arm.snapshot import load, save
from pytest_ampls.errors import AmplsError, ConfigurationError
from pytest_ampls.model.evidence import Snapshot

__all__ = ["RenewalClient", "RenewalService"]

_POLL: Final = 0.1
_LONGEST_READ: Final = 300.0
_WANTED: Final = "wanted"
_FAILED: Final = "failed"


def _evidence(folder: Path, generation: int) -> Path:
    return folder / f"evidence-{generation}"


class RenewalService:
    """The controller's side: reads again when a worker asks, until it is stopped.

    ``read`` returns fresh evidence; ``folder`` is shared with the workers and holds generation 0.
    """

    def __init__(self, folder: Path, read: Callable[[], Snapshot]) -> None:
        self._folder = folder
        self._read = read
        self._generation = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="ampls-renewal", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End; a read that is under way is waited for."""
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        wanted = self._folder / _WANTED
        while not self._stop.wait(_POLL):
            if wanted.exists():
                wanted.unlink()  # before the read: who asks during it wants what comes after
                self._answer()

    def _answer(self) -> None:
        try:
            save(_evidence(self._folder, self._generation + 1), self._read())
            self._generation += 1
        except AmplsError as error:
            # Workers go on waiting with what they have; the reason is theirs to show.
            (self._folder / _FAILED).write_text(str(error), encoding="utf-8")


class RenewalClient:
    """A worker's side: asks for evidence newer than what it has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.generation = 0

    def renew(self, deadline: float) -> Snapshot:
        """Return evidence that was read after this call, or by a read that somebody else asked for meanwhile.

        Args:
            deadline: when the wait is over, on the clock of :func:`time.monotonic`; a read that was asked for
                before is still given five minutes to end.

        Raises:
            ConfigurationError: nothing could be read this time, or no read ended in time.
        """
        failed = self._folder / _FAILED
        if self._newest() == self.generation:
            failed.unlink(missing_ok=True)  # of an earlier read: this one may succeed
            (self._folder / _WANTED).touch()
        while (newest := self._newest()) == self.generation:
            if failed.exists():
                raise ConfigurationError(failed.read_text(encoding="utf-8"))
            if time.monotonic() > deadline + _LONGEST_READ:
                raise ConfigurationError(
                    f"no fresh evidence came from the controller within {_LONGEST_READ:.0f} s after the wait"
                )
            time.sleep(_POLL)
        self.generation = newest
        return load(_evidence(self._folder, newest))

    def _newest(self) -> int:
        names = (entry.name for entry in os.scandir(self._folder))
        numbers = [name.removeprefix("evidence-") for name in names if name.startswith("evidence-")]
        return max((int(number) for number in numbers if number.isdigit()), default=0)
