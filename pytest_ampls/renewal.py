"""Fresh evidence on request: one process reads, and every process that waits gets the same.

Workers ask by leaving a file in a folder that they share with the controller, which says what they
need; a thread of the controller answers by reading that again and writing the next generation of
the evidence there. Then it takes the files away. Another file of each worker says that it may yet ask, or
which generation all it has was judged on: where that is the newest for every worker, the evidence does not
change any more.
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
_WORKING: Final = "working-"
_JUDGED: Final = "judged-"
_ENDED: Final = "ended"


def _evidence(folder: Path, generation: int) -> Path:
    return folder / f"evidence-{generation}"


class RenewalService:
    """The controller's side: reads again when workers ask, until it is stopped.

    ``read`` returns fresh evidence of what is needed; ``folder`` is shared with the workers and holds
    generation 0. ``say`` gets the reason why a read failed: workers have no terminal to show it on.
    """

    def __init__(
        self,
        folder: Path,
        read: Callable[[Needs], Snapshot],
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._folder = folder
        self._read = read
        self._say = say
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

    def expect(self, worker: str) -> None:
        """Count on a worker, which may ask for fresh evidence from now on."""
        (self._folder / (_WORKING + worker)).touch()

    def forget(self, worker: str) -> None:
        """Expect nothing more of a worker that ended, well or not."""
        for file in (self._folder / (_WORKING + worker), *self._folder.glob(f"{_JUDGED}*-{worker}")):
            file.unlink(missing_ok=True)

    def _serve(self) -> None:
        try:
            while not self._stop.wait(_POLL):
                # What arrives during the read is answered by the next: it may need something else.
                wanted = sorted(self._folder.glob(f"{_WANTED}*"))
                if wanted:
                    self._answer(wanted)
        finally:
            (self._folder / _ENDED).touch()  # whatever ended it: nobody is to wait for an answer

    def _answer(self, wanted: list[Path]) -> None:
        needs = reduce(or_, (msgspec.json.decode(file.read_bytes(), type=Needs) for file in wanted))
        failure = "the read broke off"
        try:
            save(_evidence(self._folder, self._generation + 1), self._read(needs))
            self._generation += 1
            failure = ""
        except AmplsError as error:
            # Workers go on waiting with what they have.
            failure = str(error)
            self._say(f"ampls: {error}")
        finally:
            for file in wanted:
                if failure:
                    failed = self._folder / (_FAILED + file.name.removeprefix(_WANTED))
                    failed.write_text(failure, encoding="utf-8")
                file.unlink()


class RenewalClient:
    """A worker's side: asks for fresh evidence, and waits until it is there.

    ``worker`` is the name by which the controller expects this process.
    """

    def __init__(self, folder: Path, worker: str = "") -> None:
        self._folder = folder
        self._worker = worker
        self._generation = 0

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
            if (self._folder / _ENDED).exists():
                raise ConfigurationError("the controller does not read any more")
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
        return self._load(self._newest())

    def catch_up(self, deadline: float) -> Snapshot | None:
        """Wait until no worker waits for fresh evidence any more, and return the newest.

        Everything that this worker has must be judged on the evidence that it got last.

        Returns:
            Newer evidence, on which this worker is to judge before it asks again. None where all workers have
            judged on the newest: nobody has a reason left to read again, so no verdict can grow old.

        Args:
            deadline: as for :meth:`renew`, and with the same five minutes after it.

        Raises:
            ConfigurationError: other workers did not come to an end in time.
        """
        working = self._folder / (_WORKING + self._worker)
        judged = self._folder / f"{_JUDGED}{self._generation}-{self._worker}"
        judged.touch()
        working.unlink(missing_ok=True)
        while True:
            # In this order: a worker that begins anew says so before it takes back what it was judged on, and
            # one that ends meanwhile has written newer evidence first, or none.
            others = {int(name.split("-")[1]) for name in self._names(_JUDGED)}
            busy, newest = any(self._names(_WORKING)), self._newest()
            if not busy and newest > self._generation:
                working.touch()
                judged.unlink()
                return self._load(newest)
            if not busy and others <= {newest}:
                return None
            if time.monotonic() > deadline + _LONGEST_READ:
                raise ConfigurationError(
                    f"other processes were still judging {_LONGEST_READ:.0f} s after the wait: what did not apply "
                    "is told as it was seen at first"
                )
            time.sleep(_POLL)

    def _names(self, prefix: str) -> list[str]:
        return [entry.name for entry in os.scandir(self._folder) if entry.name.startswith(prefix)]

    def _load(self, generation: int) -> Snapshot:
        self._generation = generation
        return load(_evidence(self._folder, generation))

    def _ask(self, needs: Needs) -> Path:
        """Leave the request, whole from the first moment that it has its name."""
        handle, name = tempfile.mkstemp(dir=self._folder, prefix="asking-")
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(needs))
        wanted = self._folder / (_WANTED + name.rpartition("-")[2])
        os.replace(name, wanted)
        return wanted

    def _newest(self) -> int:
        numbers = [name.removeprefix("evidence-") for name in self._names("evidence-")]
        return max((int(number) for number in numbers if number.isdigit()), default=0)
