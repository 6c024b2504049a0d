"""One test on many resources: which they are, everything is judged, and what went wrong is told together."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from pytest_ampls.catalogue import ConformanceError, Finding, besides
from pytest_ampls.errors import EvidenceError, IncompleteError, printable
from pytest_ampls.model.resource import Resource
from pytest_ampls.subjects import Subject

__all__ = ["Excuses", "GroupError", "grouped", "incomplete", "judge_each"]

_SHOWN = 10

Attempt = Callable[[Callable[[], object]], BaseException | None]
"""Makes a call, and returns what it raised; passes on what is to end the whole run."""


class Excuses(NamedTuple):
    """The exceptions by which a test says that it does not judge: it skips, or is expected to fail."""

    skip: type[BaseException]
    xfail: type[BaseException]


class GroupError(AssertionError):
    """Several resources of a group failed, by more than one rule or by plain assertions."""

    def __init__(
        self,
        errors: tuple[tuple[str, BaseException], ...],
        judged: int,
        unverified: EvidenceError | None = None,
    ) -> None:
        """Keep what was raised, each with the name of its resource.

        ``judged`` is how many were looked at, ``unverified`` why some of the others could not be judged.
        """
        super().__init__(errors, judged)
        self.errors = errors
        self.judged = judged
        self.unverified = unverified

    @property
    def headline(self) -> str:
        """One line: how many failed, and the first of them."""
        first = _text(*self.errors[0], _SHOWN).partition("\n")[0]
        return f"{len(self.errors)} of {self.judged} failed: {first}"

    def text(self, most: int | None = None) -> str:
        """Return the message with so many of the failures, the others counted; with all of them for None."""
        shown = "\n\n".join(_text(*error, most) for error in self.errors[:most])
        left = len(self.errors) - most if most is not None else 0
        more = f"\n\n… and {left} more" if left > 0 else ""
        missing = f"\n\n{besides(self.unverified, most)}" if self.unverified else ""
        return f"{len(self.errors)} of {self.judged} failed\n\n{shown}{more}{missing}"

    def __str__(self) -> str:
        return self.text(_SHOWN)


def grouped(found: Iterable[Subject], by: str, *, whole: bool = True) -> tuple[Subject, ...]:
    """Put subjects together by resource group, by subscription, or all of them (``rule``).

    What could not be read is a part of its group, or a group of its own where it is only known to be of a
    subscription. What is neither of the two stays alone: it is an error or a skip of its own.

    Args:
        found: what a test runs on, one by one.
        by: how much goes together.
        whole: False leaves the resources alone, and puts together only what could not be read.
    """
    groups: dict[str, list[Subject]] = {}
    alone = []
    for subject in found:
        name = _group_of(subject, by, whole=whole)
        if name:
            groups.setdefault(name, []).append(subject)
        else:
            alone.append(subject)
    short = Counter(name.rpartition("/")[2] for name in groups)
    together = [
        Subject(
            label=last if short[last] == 1 else name,
            members=tuple(each.resource for each in within if each.gap is None),
            unread=tuple(each for each in within if each.gap is not None),
        )
        for name, within in groups.items()
        for last in (name.rpartition("/")[2],)
    ]
    return (*together, *alone)


def _group_of(subject: Subject, by: str, *, whole: bool) -> str:
    """Return the name of a subject's group, which other kinds of subjects have as well; empty for none."""
    unread = subject.gap is not None
    if not unread and not (whole and subject.resource is not None):
        return ""
    if by == "rule":
        return "all" if whole else "unread"
    if not unread and not isinstance(subject.resource, Resource):
        return ""  # a vantage point belongs to no subscription
    place = subject.where if unread else subject.resource.id
    parts = place.lower().split("/")  # "", subscriptions, its id, resourcegroups, its name, …
    subscription, group = "".join(parts[2:3]), "".join(parts[4:5])
    if whole and by == "subscription":
        return subscription
    return f"{subscription}/{group}" if whole and group else f"unread-{subscription}"


def incomplete(unread: Sequence[Subject]) -> EvidenceError:
    """Return what says that these could not be read; of a single one, its own error."""
    errors = [subject.gap.error() for subject in unread if subject.gap is not None]
    return _missing([], errors, 0)


def judge_each(
    function: Callable[..., object],
    groups: Mapping[str, tuple[Any, ...]],
    others: Mapping[str, Any],
    excuses: Excuses,
    attempt: Attempt,
    current: Callable[[Any], Any] = lambda resource: resource,
    unread: Sequence[EvidenceError] = (),
) -> None:
    """Call a test function for each resource of a group, and raise once for all of them.

    Whatever it raises for one of them, the others are judged: no finding may hide behind another.

    Args:
        function: the test.
        groups: argument name to the resources it takes in turn; several make a product.
        others: the remaining arguments.
        excuses: raised where nothing failed; the skip only where every resource skips.
        attempt: makes each call.
        current: returns a resource as the newest evidence has it; raises EvidenceError where that does not tell.
        unread: why further resources of the group are not known.

    Raises:
        ConformanceError: one rule is broken, with the findings of every resource.
        GroupError: more than one rule, plain assertions or something else failed.
        EvidenceError: nothing failed, and something could not be verified.
    """
    failed: list[tuple[str, BaseException]] = []
    unverified: list[EvidenceError] = []
    excused: list[BaseException] = []
    judged = 0
    for chosen in product(*groups.values()):
        judged += 1
        raised = attempt(partial(_call, function, groups, chosen, others, current))
        if isinstance(raised, EvidenceError):
            unverified.append(raised)
        elif isinstance(raised, excuses):
            excused.append(raised)
        elif raised is not None:
            failed.append((", ".join(printable(getattr(own, "label", str(own))) for own in chosen), raised))
    missing = _missing(unverified, unread, judged) if unverified or unread else None
    if failed:
        raise _together(failed, missing, judged)
    if missing is not None:
        raise missing from None
    _excuse(excused, excuses, judged)


def _missing(
    unverified: Sequence[EvidenceError], unread: Sequence[EvidenceError], judged: int
) -> EvidenceError:
    """Return one error for what could not be verified; where a resource is alone in its group, its own."""
    errors = [*unverified, *unread]
    if len(errors) == 1 and judged <= len(unverified):
        return errors[0]
    parts = [f"{len(unverified)} of {judged} resources"] if unverified else []
    parts += [f"{len(unread)} read{'s'[: len(unread) != 1]}"] if unread else []
    return IncompleteError(" and ".join(parts), map(str, errors))


def _call(
    function: Callable[..., object],
    groups: Mapping[str, object],
    chosen: tuple[Any, ...],
    others: Mapping[str, Any],
    current: Callable[[Any], Any],
) -> None:
    function(**dict(zip(groups, map(current, chosen), strict=True)), **others)


def _excuse(excused: list[BaseException], excuses: Excuses, judged: int) -> None:
    """Raise an expected failure, which tells more than a pass; a skip only where nothing was judged."""
    for raised in excused:
        if isinstance(raised, excuses.xfail):
            raise raised
    if excused and len(excused) == judged:
        raise excused[0]


def _together(
    failed: list[tuple[str, BaseException]], missing: EvidenceError | None, judged: int
) -> AssertionError:
    broken = [error for _, error in failed if isinstance(error, ConformanceError)]
    if len(broken) == len(failed) and len({error.rule.id for error in broken}) == 1:
        findings: tuple[Finding, ...] = tuple(finding for error in broken for finding in error.findings)
        return ConformanceError(broken[0].rule, findings, missing)
    return GroupError(tuple(failed), judged, missing)


def _text(label: str, error: BaseException, most: int | None) -> str:
    """Say what went wrong with a resource, and where in the test, unless it was an assertion that says so."""
    if isinstance(error, ConformanceError):
        return error.text(most)
    if isinstance(error, AssertionError):
        return f"{label}: {str(error) or 'assert failed'}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{label}: {type(error).__name__}: {error}{where}"
