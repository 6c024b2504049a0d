"""One test on many resources: everything is judged, and what went wrong is told together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from pytest_ampls.catalogue import ConformanceError, Finding
from pytest_ampls.errors import EvidenceError

__all__ = ["GroupError", "judge_each"]

_SHOWN = 10


class GroupError(AssertionError):
    """Several resources of a group failed, by more than one rule or by plain assertions."""

    def __init__(self, errors: tuple[AssertionError, ...], judged: int) -> None:
        """Keep the errors; ``judged`` is how many resources were looked at."""
        super().__init__(errors, judged)
        self.errors = errors
        self.judged = judged

    @property
    def headline(self) -> str:
        """One line: how many failed, and the first of them."""
        first = (str(self.errors[0]) or "assert failed").partition("\n")[0]
        return f"{len(self.errors)} of {self.judged} failed: {first}"

    def __str__(self) -> str:
        shown = "\n\n".join(str(error) or "assert failed" for error in self.errors[:_SHOWN])
        more = f"\n\n… and {len(self.errors) - _SHOWN} more" if len(self.errors) > _SHOWN else ""
        return f"{len(self.errors)} of {self.judged} failed\n\n{shown}{more}"


def judge_each(
    function: Callable[..., object],
    groups: Mapping[str, tuple[Any, ...]],
    others: Mapping[str, Any],
    skip: type[BaseException],
    current: Callable[[Any], Any] = lambda resource: resource,
) -> None:
    """Call a test function for each resource of a group, and raise once for all of them.

    Args:
        function: the test.
        groups: argument name to the resources it takes in turn; several make a product.
        others: the remaining arguments.
        skip: the exception that skips a test; it is raised only where every resource skips.
        current: returns a resource as the newest evidence has it; raises EvidenceError where that does not tell.

    Raises:
        ConformanceError: one rule is broken, with the findings of every resource.
        GroupError: more than one rule, or plain assertions, failed.
        EvidenceError: nothing failed, and something could not be verified.
    """
    failed: list[AssertionError] = []
    unverified: list[EvidenceError] = []
    skipped: list[BaseException] = []
    judged = 0
    for chosen in product(*groups.values()):
        judged += 1
        try:
            function(**dict(zip(groups, map(current, chosen), strict=True)), **others)
        except EvidenceError as error:
            unverified.append(error)
        except AssertionError as error:
            failed.append(error)
        except skip as reason:
            skipped.append(reason)
    if failed:
        raise _together(failed, unverified, judged)
    if unverified:
        more = f" (and {len(unverified) - 1} more of {judged})" if len(unverified) > 1 else ""
        raise type(unverified[0])(f"{unverified[0]}{more}") from None
    if skipped and len(skipped) == judged:
        raise skipped[0]


def _together(failed: list[AssertionError], unverified: list[EvidenceError], judged: int) -> AssertionError:
    reason = f"{len(unverified)} of {judged} resources; {unverified[0]}" if unverified else None
    rules = {error.rule.id: error.rule for error in failed if isinstance(error, ConformanceError)}
    if len(rules) == 1 and all(isinstance(error, ConformanceError) for error in failed):
        findings: tuple[Finding, ...] = tuple(
            finding for error in failed if isinstance(error, ConformanceError) for finding in error.findings
        )
        return ConformanceError(next(iter(rules.values())), findings, reason)
    return GroupError(tuple(failed), judged)
