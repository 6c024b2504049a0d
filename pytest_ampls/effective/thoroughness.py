"""One thing that could not be read hides nothing of what was seen elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pytest_ampls.errors import EvidenceError

__all__ = ["each"]

_S = TypeVar("_S")
_F = TypeVar("_F")


def each(subjects: Iterable[_S], judge: Callable[[_S], Iterable[_F]]) -> Iterator[_F]:
    """Yield what a judge yields for each subject, those behind an unreadable one too.

    A break that was seen is a break, whatever else could not be verified.

    Raises:
        EvidenceError: the first that the judge or the subjects themselves raised; raised last.
    """
    failure: EvidenceError | None = None
    try:
        for subject in subjects:
            try:
                yield from judge(subject)
            except EvidenceError as error:
                failure = failure or error
    except EvidenceError as error:
        failure = failure or error
    if failure is not None:
        raise failure
