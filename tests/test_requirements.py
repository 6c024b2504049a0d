"""The requirements file: what it says, and that a mistake in it is never silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pytest_ampls.assertions
from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import Rule
from pytest_ampls.errors import RequirementsError
from pytest_ampls.requirements import Requirements, load_requirements

assert pytest_ampls.assertions  # declares the rules


def _load(tmp_path: Path, text: str) -> Requirements:
    path = tmp_path / "ampls.toml"
    path.write_text(text)
    return load_requirements(path)


def test_no_file_leaves_the_defaults() -> None:
    """Nothing needs the file."""
    assert load_requirements(None) == Requirements()


def test_a_whole_file(tmp_path: Path) -> None:
    """Expectations, resolvers and what is left out are read with their lines."""
    requirements = _load(
        tmp_path,
        """
[resolvers]
hub = "127.0.0.1:5353"

[[expect]]
rule = "ampls101"
resource = "dev-*"
expected = "Open"

[[leave-out]]
rule = "AMPLS105"
reason = "moved next month"

[[leave-out]]
resource = "legacy-*"
reason = "gone next month"
""",
    )
    assert [point.name for point in requirements.vantage_points] == ["hub"]
    assert requirements.vantage_points[0].servers == ("127.0.0.1:5353",)
    assert [(e.rule, e.resource, dict(e.keywords), e.line) for e in requirements.expectations] == [
        ("AMPLS101", "dev-*", {"expected": "Open"}, 5)
    ]
    assert [(e.rule, e.resource, e.reason, e.line) for e in requirements.left_out] == [
        ("AMPLS105", "*", "moved next month", 10),
        ("", "legacy-*", "gone next month", 14),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[expct]\n", 1, "unknown table or key 'expct'; did you mean 'expect'"),
        ("x = 1\n", 1, "unknown table or key 'x'"),
        ("[expect]\nrule = 'AMPLS101'\n", 1, "two brackets"),
        ("\n[[expect]]\nrule = 'AMPLS999'\nexpected = 1\n", 3, "there is no rule 'AMPLS999'"),
        ("[[expect]]\nexpected = 'Open'\n", 1, "there is no rule ''"),
        ("[[expect]]\nrule = 'AMPLS101'\n", 1, "says nothing to expect"),
        ("[[expect]]\nrule = 'AMPLS101'\nexpcted = 'Open'\n", 3, "no expectation 'expcted'; it has expected"),
        ("[[expect]]\nrule = 'AMPLS106'\nexpected = 'Open'\n", 3, "no expectation 'expected'; it has none"),
        (
            "[[expect]]\nrule = 'AMPLS101'\nexpected = 'Open'\n[[expect]]\nrule = 'AMPLS101'\nexpct = 'x'\n",
            6,
            "'expct'",
        ),
        (
            "[[expect]]\nrule = 'AMPLS111'\n[expect.query]\n'law-*' = 'refused'\n[[expect]]\nrule = 'AMPLS999'\n",
            6,
            "there is no rule 'AMPLS999'",
        ),
        (
            "[[expect]]\nrule = 'AMPLS601'\nwithin = 'ten'\n",
            3,
            "within = 'ten' is not what AMPLS601 takes: Expected `int`",
        ),
        (
            "[[expect]]\nrule = 'AMPLS601'\nwithin = true\n",
            3,
            "within = True is not what AMPLS601 takes: Expected `int`",
        ),
        ("[[expect]]\nrule = 'AMPLS109'\nexpected = [1]\n", 3, "Expected `str`, got `int` - at `$[0]`"),
        (
            "[[expect]]\nrule = 'AMPLS111'\n[expect.query]\n'law-*' = 1\n",
            1,
            "query = {'law-*': 1} is not what",
        ),
        ("[[leave-out]]\nrule = 'AMPLS101'\n", 1, "needs a reason"),
        ("[[leave-out]]\nrule = 'AMPLS101'\nreason = ''\n", 1, "needs a reason"),
        ("[[leave-out]]\nreason = 'because'\n", 1, "there is no rule ''"),
        ("[[leave-out]]\nrule = 'AMPLS101'\nreason = 'x'\nuntil = 'y'\n", 4, "unknown key 'until'"),
        ("[[leave-out]]\nresource = 3\nreason = 'x'\n", 1, "is not a pattern"),
        ("[resolvers]\nhub = 53\n", 2, "the address is text"),
        ("[resolvers]\nhub = 'nonsense'\n", 2, "nonsense"),
    ],
)
def test_a_mistake_names_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    """Every mistake is an error that names the file and the line, and says what there is."""
    with pytest.raises(RequirementsError) as caught:
        _load(tmp_path, text)
    assert f"ampls.toml:{line}: " in str(caught.value)
    assert message in str(caught.value)


def test_what_is_not_toml_names_its_line_too(tmp_path: Path) -> None:
    """TOML's own error tells line and column."""
    with pytest.raises(RequirementsError, match=r"is not TOML: .*line 1"):
        _load(tmp_path, "[[expect]\n")


@pytest.mark.parametrize("rule", CATALOGUE.values(), ids=lambda rule: rule.id)
def test_every_default_is_of_the_type_that_a_file_may_give(rule: Rule[Any]) -> None:
    """The types of all keywords can be told, and TOML's values lead to them."""
    for name, default in rule.expectations.items():
        given = list(default) if isinstance(default, tuple) else default
        found = rule.expectation(name, given)
        assert (list(found) if isinstance(default, tuple) else found) == given
