"""The shipped suite, run in this process: what became of each rule on each resource."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from itertools import product
from typing import Any

from pytest_ampls import conformance
from pytest_ampls.catalogue import ConformanceError, NotApplicable, Verdict, judgements
from pytest_ampls.errors import EvidenceError
from pytest_ampls.lab import faults
from pytest_ampls.model import Estate, Snapshot
from pytest_ampls.reading import read_snapshot
from pytest_ampls.settings import Settings
from pytest_ampls.subjects import Subject, subjects

Outcomes = dict[tuple[str, str], Verdict]
"""(rule id, subjects' labels) to what became of it."""


def suite_tests() -> dict[str, Callable[..., None]]:
    """Return every test function of the shipped suite by name."""
    modules = [
        import_module(found.name)
        for found in pkgutil.iter_modules(conformance.__path__, "pytest_ampls.conformance.")
    ]
    return {
        name: function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_ampls")
    }


def judge_all(estate: Estate, expects: Iterable[tuple[str, str, str]] = ()) -> Outcomes:
    """Run the whole suite on an estate, with the defaults but for what is expected: (rule, keyword, value)."""
    found: Outcomes = {}
    wishes: dict[str, dict[str, str]] = {}
    for wanted, keyword, value in expects:
        wishes.setdefault(wanted, {})[keyword] = value
    for name, test in suite_tests().items():
        rule = name.split("_")[1].upper()
        fixtures = [part for part in inspect.signature(test).parameters if part != "judge"]
        for chosen in product(*(subjects(estate, fixture) for fixture in fixtures)):
            labels = "/".join(
                f"{fixture}={subject.label}" for fixture, subject in zip(fixtures, chosen, strict=True)
            )
            found[rule, labels] = _one(test, fixtures, chosen, wishes.get(rule, {}))
    return found


def _one(
    test: Callable[..., None], fixtures: list[str], chosen: tuple[Subject, ...], wishes: dict[str, str]
) -> Verdict:
    if any(subject.gap is not None or subject.problem for subject in chosen):
        return Verdict.UNVERIFIED
    if any(subject.absent for subject in chosen):
        return Verdict.NOT_APPLICABLE
    arguments: dict[str, Any] = {
        fixture: subject.resource for fixture, subject in zip(fixtures, chosen, strict=True)
    }
    with judgements() as kept:
        try:
            test(**arguments, judge=lambda rule, *subject: rule(*subject, **wishes))
        except ConformanceError:
            return Verdict.BROKEN
        except EvidenceError:
            return Verdict.UNVERIFIED
        except NotApplicable:
            return Verdict.NOT_APPLICABLE
    (judgement,) = kept
    return judgement.verdict


def rules_with(outcomes: Outcomes, *verdicts: Verdict) -> set[str]:
    """Return the rules that had one of the verdicts somewhere."""
    return {rule for (rule, _), verdict in outcomes.items() if verdict in verdicts}


def explain(outcomes: Outcomes, *verdicts: Verdict) -> str:
    """Return the outcomes with one of the verdicts, a line each."""
    return "\n".join(f"{rule} {label}: {v}" for (rule, label), v in sorted(outcomes.items()) if v in verdicts)


@lru_cache(maxsize=8)
def lab_snapshot(spec: str, *, guests: bool = False, logs: bool = False) -> Snapshot:
    """Read a lab estate, once for each spec; guests are looked at where one of its faults is in them, or on demand."""
    kinds = {faults()[part.partition("=")[0]].kind for part in spec.split("+")[1:]}
    settings = Settings(
        lab=spec,
        dns_timeout=2.0,
        run_command=guests or bool(kinds & {"guest", "power"}),
        guest_timeout=5.0,
        probe="probe" in kinds,
        logs=logs or bool(kinds & {"logs", "power"}),
        origins={"lab": "--ampls-lab"},
    )
    return read_snapshot(settings)


def lab_outcomes(spec: str, expects: Iterable[tuple[str, str, str]] = ()) -> Outcomes:
    """Run the whole suite on a lab estate."""
    return judge_all(Estate(lab_snapshot(spec)), expects)


def changed(before: Outcomes, after: Outcomes) -> Iterator[tuple[str, str, Verdict | None, Verdict]]:
    """Yield rule, label, and both verdicts where they differ."""
    for (rule, label), verdict in after.items():
        if before.get((rule, label)) is not verdict:
            yield rule, label, before.get((rule, label)), verdict
