"""Runs reads side by side, and remembers what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.references import Document, decoded, fold
from pytest_ampls.model.evidence import Reading

__all__ = ["Job", "Reader", "Task"]

T = TypeVar("T")

Job: TypeAlias = Callable[[], "Sequence[Job] | None"]
"""Something to carry out; it may return what is to be carried out next."""


class Task(msgspec.Struct, frozen=True):
    """One read: a listing of a type in a scope, or with ``single`` one resource by its id.

    With ``first_page`` only the first page of the listing is asked for.
    """

    type: str
    scope: str
    single: bool = False
    first_page: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What makes two tasks the same read. An id is never both listed and read singly."""
        return self.type.lower(), fold(self.scope)


class Reader:
    """The readings so far, in the order they were asked for, and a pool of threads for more.

    ``named`` is what rows of the index name, (type, folded id) to (type, id). ``interfaces`` are
    the network interfaces that machines and private endpoints name, folded id to id.
    """

    def __init__(self, client: ArmClient, on_progress: Callable[[str], None] | None = None) -> None:
        self.readings: list[Reading] = []
        self.named: dict[tuple[str, str], tuple[str, str]] = {}
        self.interfaces: dict[str, str] = {}
        self._client = client
        self._on_progress = on_progress
        self._pool = ThreadPoolExecutor(client.threads, thread_name_prefix="ampls-arm")
        self._by_key: dict[tuple[str, str], Reading] = {}
        self._documents: dict[str, list[Document]] = {}
        self._ids: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._client.stop()  # so that no thread sleeps out a Retry-After after Ctrl-C
        self._pool.shutdown(wait=error is None, cancel_futures=True)

    def run(self, stage: str, tasks: Iterable[Task]) -> list[Reading]:
        """Carry out tasks side by side, each once, without keeping what came of them."""
        wanted = list({task.key: task for task in tasks}.values())
        return self.together(stage, [partial(self._one, task) for task in wanted])

    def together(self, stage: str, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Carry out jobs side by side, and return what came of each, in their order."""
        self._tell(stage, len(jobs))
        return list(self._pool.map(lambda job: job(), jobs))

    def follow(self, stage: str, jobs: Sequence[Job]) -> None:
        """Carry out jobs side by side, and those that they return, until there are no more."""
        self._tell(stage, len(jobs))
        waiting: set[Future[Sequence[Job] | None]] = {self._pool.submit(job) for job in jobs}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                waiting |= {self._pool.submit(job) for job in future.result() or ()}

    def _tell(self, stage: str, jobs: int) -> None:
        if jobs and self._on_progress is not None:
            self._on_progress(f"reading {stage}: {jobs} request{'s' if jobs > 1 else ''}")

    def read(self, stage: str, tasks: Iterable[Task]) -> list[Reading]:
        """Carry out the tasks that were not carried out before, and keep what came of them."""
        asked = list(tasks)
        new = [task for task in asked if task.key not in self._by_key]
        self._client.reused(len(asked) - len({task.key for task in new}))
        readings = self.run(stage, new)
        for reading in readings:
            self.keep(reading)
        return readings

    def _one(self, task: Task) -> Reading:
        if task.single:
            return self._client.get(task.type, task.scope)
        return self._client.list(task.type, task.scope, first_page=task.first_page)

    def note(self, reading: Reading) -> None:
        """Let a reading of before count as read, without keeping it again."""
        self._by_key.setdefault((reading.type.lower(), fold(reading.scope)), reading)

    def keep(self, reading: Reading) -> None:
        """Keep a reading, and index its documents.

        Those of an incomplete listing are not indexed: nothing may rest on them, so what they
        lead to need not be read, and they may have to be read one by one. Of the index's rows,
        which are many, only ids and what they name are remembered.
        """
        self.readings.append(reading)
        self._by_key[reading.type.lower(), fold(reading.scope)] = reading
        if reading.gap is not None:
            return
        for raw in reading.documents:
            document = decoded(reading.type, raw)
            folded = (reading.type.lower(), fold(document.id))
            if not document.id or folded in self._ids:
                continue
            self._ids.add(folded)
            self.interfaces.update((fold(own), own) for own in document.interfaces())
            if reading.source == "graph":
                for kind, own in document.named():
                    self.named.setdefault((kind, fold(own)), (kind, own))
                document = Document(document.type, document.id, {})
            self._documents.setdefault(folded[0], []).append(document)

    def reading(self, resource_type: str, scope: str) -> Reading | None:
        """Return the reading of a type in a scope, or of a single resource."""
        return self._by_key.get((resource_type.lower(), fold(scope)))

    def knows(self, resource_type: str, resource_id: str) -> bool:
        """Tell whether a document of this id was kept."""
        return (resource_type.lower(), fold(resource_id)) in self._ids

    def readings_of(self, resource_type: str) -> Iterator[Reading]:
        """Return all readings of a type."""
        return (reading for reading in self.readings if reading.type.lower() == resource_type.lower())

    def documents(self, resource_type: str) -> list[Document]:
        """Return the documents of a type that have an id, each id once."""
        return self._documents.get(resource_type.lower(), [])

    def all_documents(self) -> Iterator[Document]:
        """Return all documents that have an id."""
        for documents in self._documents.values():
            yield from documents
