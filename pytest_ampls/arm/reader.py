"""Runs reads side by side, and remembers what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.references import Document, decoded, fold
from pytest_ampls.model.evidence import Reading

__all__ = ["Reader", "Task"]


class Task(msgspec.Struct, frozen=True):
    """One read: a listing of a type in a scope, or with ``single`` one resource by its id."""

    type: str
    scope: str
    single: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What makes two tasks the same read. An id is never both listed and read singly."""
        return self.type.lower(), fold(self.scope)


class Reader:
    """The readings so far, in the order they were asked for, and a pool of threads for more."""

    def __init__(self, client: ArmClient, on_progress: Callable[[str], None] | None = None) -> None:
        self.readings: list[Reading] = []
        self._client = client
        self._on_progress = on_progress
        self._pool = ThreadPoolExecutor(client.concurrency, thread_name_prefix="ampls-arm")
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
        if wanted and self._on_progress is not None:
            self._on_progress(f"reading {stage}: {len(wanted)} request{'s' if len(wanted) > 1 else ''}")
        return list(self._pool.map(self._one, wanted))

    def read(self, stage: str, tasks: Iterable[Task]) -> list[Reading]:
        """Carry out the tasks that were not carried out before, and keep what came of them."""
        readings = self.run(stage, [task for task in tasks if task.key not in self._by_key])
        for reading in readings:
            self.keep(reading)
        return readings

    def _one(self, task: Task) -> Reading:
        if task.single:
            return self._client.get(task.type, task.scope)
        return self._client.list(task.type, task.scope)

    def keep(self, reading: Reading) -> None:
        """Keep a reading, and index its documents.

        Those of an incomplete listing are not indexed: nothing may rest on them, so what they
        lead to need not be read, and they may have to be read one by one.
        """
        self.readings.append(reading)
        self._by_key[reading.type.lower(), fold(reading.scope)] = reading
        if reading.gap is not None:
            return
        for raw in reading.documents:
            document = decoded(reading.type, raw)
            folded = (reading.type.lower(), fold(document.id))
            if document.id and folded not in self._ids:
                self._ids.add(folded)
                self._documents.setdefault(folded[0], []).append(document)

    def reading(self, resource_type: str, scope: str) -> Reading | None:
        """Return the reading of a type in a scope, or of a single resource."""
        return self._by_key.get((resource_type.lower(), fold(scope)))

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
