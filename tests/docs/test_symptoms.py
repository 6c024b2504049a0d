"""The symptoms that the documentation lists: complete, about rules that exist, and seen in the lab."""

from __future__ import annotations

import re

import pytest

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.assertions.agent_log import KNOWN_ERRORS
from pytest_ampls.lab import faults
from pytest_ampls.symptoms import SYMPTOMS, Place, Symptom
from tests.docs.blocks import PAGES, ROOT
from tests.docs.test_pages import _extension

in_repository = pytest.mark.skipif(
    not any(page.parent.name == "docs" for page in PAGES),
    reason="the documentation is in the repository only",
)


def test_every_known_failure_has_a_row() -> None:
    """F01 to F36, each once and in order."""
    assert [symptom.id for symptom in SYMPTOMS] == [f"F{number:02}" for number in range(1, 37)]
    assert {symptom.place for symptom in SYMPTOMS} == set(Place)


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.id)
def test_a_symptom_leads_to_rules_that_exist_or_says_why_to_none(symptom: Symptom) -> None:
    """Rules are in the catalogue and faults in the lab; a symptom without rules says what to do."""
    assert set(symptom.rules) <= set(CATALOGUE)
    assert set(symptom.faults) <= set(faults())
    assert bool(symptom.rules) != bool(symptom.fix)
    assert symptom.text.count("`") % 2 == 0
    assert symptom.cause.endswith(".")


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.id)
def test_a_symptom_can_be_seen_in_the_lab_or_says_why_not(symptom: Symptom) -> None:
    """Each row has a fault that the guard of the catalogue runs, or says why nothing in an estate can show it."""
    run = {name for name in symptom.faults if faults()[name].breaks}
    assert run == set(symptom.faults)
    assert bool(run) != bool(symptom.fix)
    assert not symptom.fix or re.search(r"\bno rule\b|\brules\b.+\bunverified\b", symptom.fix)


@pytest.mark.parametrize(
    ("fault", "rules"),
    [(fault, symptom.rules) for symptom in SYMPTOMS for fault in symptom.faults],
    ids=[f"{symptom.id}-{fault}" for symptom in SYMPTOMS for fault in symptom.faults],
)
def test_a_fault_that_shows_a_symptom_turns_one_of_its_rules_red(fault: str, rules: tuple[str, ...]) -> None:
    """What the page tells to try in the lab is found by what the page names."""
    assert set(faults()[fault].breaks) & set(rules)


def test_every_known_error_of_the_log_is_a_symptom_or_accompanies_one() -> None:
    """What the rule about the log knows can be searched for, but for the text that names no cause of its own."""
    said = " ".join(f"{symptom.text} {symptom.cause}" for symptom in SYMPTOMS)
    unlisted = [error.pattern for error in KNOWN_ERRORS if not re.search(error.pattern, said, re.IGNORECASE)]
    assert unlisted == [r"(?:upload(?:ing)? to ODS|ODS): Error resolving address"]


@in_repository
def test_the_page_is_generated_from_them() -> None:
    """The page has the directive, and the directive each symptom with its rules' links and the first one's fix."""
    assert "{ampls-symptoms}" in (ROOT / "docs" / "reference" / "symptoms.md").read_text(encoding="utf-8")
    text = _extension("symptoms").symptoms_markdown()
    sections = re.split(r"^\((f\d\d)\)=$", text, flags=re.MULTILINE)
    shown = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert len(shown) == len(SYMPTOMS)
    for symptom in SYMPTOMS:
        section = shown[symptom.id.lower()]
        assert symptom.text[1:] in section
        assert all(f"[{rule}](#{rule.lower()})" in section for rule in symptom.rules)
        assert (CATALOGUE[symptom.rules[0]].fix.az.strip() if symptom.rules else symptom.fix) in section
