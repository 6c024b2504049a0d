"""Fresh evidence on request: one process reads, and every process that waits gets the same.

Workers ask by leaving a file in a folder that they share with the controller, which says what they
need; a thread of the controller answers by reading that again and writing the next generation of
the evidence there. Then it takes the files away.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Final

import msgspec

from pytest_ampls.arm.snapshot import load, save
from pytest_ampls.errors import AmplsError, ConfigurationError
from pytest_ampls.model.evidence import Snapshot
from pytest_ampls.model.needs import Needs

__all__ = ["RenewalClient", "RenewalService"]

_POLL: Final = 0.1
_LONGEST_READ: Final = 300.0
_WANTED: Final = "wanted-"
_FAILED: Final = "failed-"


def _evidence(folder: Path, generation: int) -> Path:
    return folder / f"evidence-{generation}"


class RenewalService:
    """The controller's side: reads again when workers ask, until it is stopped.

    ``read`` returns fresh evidence of what is needed; ``folder`` is shared with the workers and holds
    generation 0.
    """

    def __init__(self, folder: Path, read: Callable[[Needs], Snapshot]) -> None:
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
        while not self._stop.wait(_POLL):
            # What arrives during the read is answered by the next: it may need something else.
            wanted = sorted(self._folder.glob(f"{_WANTED}*"))
            if wanted:
                self._answer(wanted)

    def _answer(self, wanted: list[Path]) -> None:
        needs = reduce(or_, (msgspec.json.decode(file.read_bytes(), type=Needs) for file in wanted))
        try:
            save(_evidence(self._folder, self._generation + 1), self._read(needs))
            self._generation += 1
        except AmplsError as error:
            # Workers go on waiting with what they have; the reason is theirs to show.
            for file in wanted:
                failed = self._folder / (_FAILED + file.name.removeprefix(_WANTED))
                failed.write_text(str(error), encoding="utf-8")
        for file in wanted:
            file.unlink()


class RenewalClient:
    """A worker's side: asks for fresh evidence, and waits until it is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def renew(self, needs: Needs, deadline: float) -> Snapshot:
        """Return evidence of which what is needed was read after this call.

        Args:
            needs: what to read again.
            deadline: when the wait is over, on the clock of :func:`time.monotonic`; a read that was asked for
                before is still given five minutes to end.

        Raises:
            ConfigurationError: nothing could be read this time, or no read ended in time.
        """
        wanted = self._ask(needs)
        while wanted.exists():
            if time.monotonic() > deadline + _LONGEST_READ:
                raise ConfigurationError(
                    f"no fresh evidence came from the controller within {_LONGEST_READ:.0f} s after the wait"
                )
            time.sleep(_POLL)
        failed = self._folder / (_FAILED + wanted.name.removeprefix(_WANTED))
        if failed.exists():
            reason = failed.read_text(encoding="utf-8")
            failed.unlink()
            raise ConfigurationError(reason)
        return load(_evidence(self._folder, self._newest()))

    def _ask(self, needs: Needs) -> Path:
        """Leave the request, whole from the first moment that it has its name."""
        handle, name = tempfile.mkstemp(dir=self._folder, prefix="asking-")
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(needs))
        wanted = self._folder / (_WANTED + name.rpartition("-")[2])
        os.replace(name, wanted)
        return wanted

    def _newest(self) -> int:
        names = (entry.name for entry in os.scandir(self._folder))
        numbers = [name.removeprefix("evidence-") for name in names if name.startswith("evidence-")]
        return max(int(number) for number in numbers if number.isdigit())
