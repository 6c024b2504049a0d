"""The requirements file, ``ampls.toml``: what must hold, and what is left out with a reason.

::

    [resolvers]
    hub = "10.0.0.4"

    [[expect]]
    rule = "AMPLS101"
    resource = "ampls-dev-*"
    expected = "Open"

    [[leave-out]]
    rule = "AMPLS105"
    resource = "legacy-*"
    reason = "decommissioned on 2027-01-31"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from pytest_ampls import resolver
from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import Rule
from pytest_ampls.errors import ConfigurationError, RequirementsError
from pytest_ampls.model.estate import RESOURCE_CLASSES, Estate
from pytest_ampls.model.evidence import VantagePoint
from pytest_ampls.model.resource import Resource, covers

__all__ = ["Requirements", "load_requirements"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What both tables have: a rule, a pattern of resources, and the line of the file."""

    rule: str
    resource: str
    line: int


class Expectation(Entry, frozen=True, kw_only=True):
    """One ``[[expect]]``: keywords for a rule, on the resources that a pattern matches."""

    keywords: Mapping[str, Any]


class LeftOut(Entry, frozen=True, kw_only=True):
    """One ``[[leave-out]]``: a rule, resources, or both, that are not judged, and why."""

    reason: str


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says; the empty one leaves every default in force."""

    path: Path | None = None
    vantage_points: tuple[VantagePoint, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a rule on DNS is told to look at (``names`` of an expectation): they must be asked for."""
        given = (entry.keywords.get("names", ()) for entry in self.expectations)
        return tuple(dict.fromkeys(name for names in given for name in names))

    def keywords(self, rule: Rule[Any], resource: Resource) -> dict[str, Any]:
        """Return the keywords to judge a resource with; a later entry of the file wins."""
        found: dict[str, Any] = {}
        for entry in self.expectations:
            if entry.rule == rule.id and covers(entry.resource, resource):
                found.update(entry.keywords)
        return found

    def blamed(self, error: ConfigurationError, rule: Rule[Any], resource: Resource) -> ConfigurationError:
        """Return an error of a rule that was told what to expect, with the line of the file that told it."""
        for entry in reversed(self.expectations):
            if entry.rule == rule.id and covers(entry.resource, resource):
                return RequirementsError(f"{self.path}:{entry.line}: {error}")
        return error

    def reason_left_out(self, rule: Rule[Any], resource: Resource) -> str | None:
        """Return why a rule is not judged on a resource, None where it is."""
        for entry in self.left_out:
            if entry.rule in ("", rule.id) and covers(entry.resource, resource):
                return entry.reason
        return None

    def check_patterns(self, estate: Estate) -> None:
        """Make sure that every pattern matches something: one that matches nothing says nothing.

        Raises:
            RequirementsError: a pattern matches no resource that was read.
        """
        entries: tuple[Entry, ...] = (*self.expectations, *self.left_out)
        if not entries:
            return  # nothing is decoded before somebody asks for it
        known = [resource for cls in RESOURCE_CLASSES.values() for resource in estate.known(cls)]
        for entry in entries:
            if entry.resource != "*" and not any(covers(entry.resource, resource) for resource in known):
                names = sorted({resource.label for resource in known if resource.label})
                raise RequirementsError(
                    f"{self.path}:{entry.line}: resource = {entry.resource!r} matches none of the "
                    f"{len(known)} resources that were read{_closest(entry.resource, names)}"
                )


def load_requirements(path: Path | None) -> Requirements:
    """Read a requirements file; None stands for no file, and the defaults.

    Raises:
        RequirementsError: the file cannot be read, or says something that is not understood; the message
            names the line.
    """
    if path is None:
        return Requirements()
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementsError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise RequirementsError(f"{path} is not TOML: {error}") from None
    return _Decoder(path, text).decode(tables)


class _Decoder:
    """Turns the tables of a file into requirements, and knows which line each of them is on."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()

    def decode(self, tables: Mapping[str, Any]) -> Requirements:
        known = ("resolvers", "expect", "leave-out")
        for name in tables:
            if name not in known:
                raise self._wrong(
                    self._line(name),
                    f"unknown table or key {name!r}{_closest(name, known)}; there are {', '.join(known)}",
                )
        return Requirements(
            path=self.path,
            vantage_points=tuple(self._resolvers(tables.get("resolvers", {}))),
            expectations=tuple(self._expectations(tables.get("expect", []))),
            left_out=tuple(self._left_out(tables.get("leave-out", []))),
        )

    def _resolvers(self, table: Any) -> Iterator[VantagePoint]:
        line = self._line("resolvers")
        if not isinstance(table, dict):
            raise self._wrong(line, '[resolvers] is a table of name = "ADDRESS[:PORT]"')
        for name, address in table.items():
            line = self._line(name, within="resolvers")
            if not isinstance(address, str):
                raise self._wrong(
                    line, f'resolver {name} = {address!r}: the address is text, such as "10.0.0.4:53"'
                )
            try:
                point = resolver.parse_option(f"{name}={address}", origin="resolvers")
            except ConfigurationError as error:
                raise self._wrong(line, str(error)) from None
            yield msgspec.structs.replace(point, origin=f"{self.path.name}:{line}")

    def _expectations(self, entries: Any) -> Iterator[Expectation]:
        for number, entry in enumerate(self._entries("expect", entries)):
            line = self._line("expect", occurrence=number)
            rule = self._rule(entry, line, number, "expect", required=True)
            keywords = {name: value for name, value in entry.items() if name not in ("rule", "resource")}
            if not keywords:
                raise self._wrong(line, f"[[expect]] for {rule} says nothing to expect")
            keywords = {name: self._keyword(name, given, rule, number) for name, given in keywords.items()}
            yield Expectation(rule=rule, resource=self._pattern(entry, line), keywords=keywords, line=line)

    def _keyword(self, name: str, given: Any, rule: str, number: int) -> Any:
        """Return what is expected under a name, of the type that the rule takes."""
        known = CATALOGUE[rule].expectations
        line = self._line(name, within="expect", occurrence=number)
        if name not in known:
            offer = f"it has {', '.join(known)}" if known else "it has none"
            raise self._wrong(line, f"{rule} has no expectation {name!r}; {offer}{_closest(name, known)}")
        try:
            return CATALOGUE[rule].expectation(name, given)
        except TypeError as error:
            raise self._wrong(line, f"{name} = {given!r} is not what {rule} takes: {error}") from None

    def _left_out(self, entries: Any) -> Iterator[LeftOut]:
        for number, entry in enumerate(self._entries("leave-out", entries)):
            line = self._line("leave-out", occurrence=number)
            for name in entry:
                if name not in ("rule", "resource", "reason"):
                    at = self._line(name, within="leave-out", occurrence=number) or line
                    raise self._wrong(
                        at, f"unknown key {name!r}; [[leave-out]] has rule, resource and reason"
                    )
            reason = entry.get("reason")
            if not isinstance(reason, str) or not reason.strip():
                raise self._wrong(
                    line, "[[leave-out]] needs a reason: it is printed with every verdict left out"
                )
            rule = self._rule(entry, line, number, "leave-out", required="resource" not in entry)
            yield LeftOut(rule=rule, resource=self._pattern(entry, line), reason=reason.strip(), line=line)

    def _entries(self, name: str, entries: Any) -> list[dict[str, Any]]:
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._wrong(self._line(name), f"write [[{name}]] with two brackets: there can be several")
        return entries

    def _rule(self, entry: Mapping[str, Any], line: int, number: int, table: str, *, required: bool) -> str:
        rule = entry.get("rule", "")
        if not rule and not required:
            return ""
        if not isinstance(rule, str) or rule.upper() not in CATALOGUE:
            at = self._line("rule", within=table, occurrence=number) or line
            raise self._wrong(
                at, f"there is no rule {rule!r}{_closest(str(rule), CATALOGUE)}; --ampls-rules lists them"
            )
        return rule.upper()

    def _pattern(self, entry: Mapping[str, Any], line: int) -> str:
        pattern = entry.get("resource", "*")
        if not isinstance(pattern, str) or not pattern.strip():
            raise self._wrong(line, f'resource = {pattern!r} is not a pattern of names, such as "web-*"')
        return pattern.strip()

    def _line(self, name: str, *, within: str = "", occurrence: int = 0) -> int:
        """Return the line of a table or, within one, of a key; 0 where it cannot be told."""
        quoted = rf"[\"']?{re.escape(name)}[\"']?"
        header = re.compile(rf"\s*\[\[?\s*{re.escape(within or name)}\s*[\].]")
        starts = [number for number, line in enumerate(self.lines, 1) if header.match(line)]
        # [expect.query] is a part of the entry above it, and no entry
        starts = [number for number in starts if "[[" in self.lines[number - 1]] or starts
        if not within:
            if starts:
                return starts[min(occurrence, len(starts) - 1)]
            return next((n for n, line in enumerate(self.lines, 1) if re.match(rf"\s*{quoted}\s*=", line)), 0)
        start = starts[min(occurrence, len(starts) - 1)] if starts else 0
        after = enumerate(self.lines[start:], start + 1)
        return next((number for number, line in after if re.match(rf"\s*{quoted}\s*=", line)), start)

    def _wrong(self, line: int, message: str) -> RequirementsError:
        return RequirementsError(f"{self.path}:{line}: {message}")


def _closest(name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
