"""What was measured, as Markdown tables and as a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import log10
from typing import Any

__all__ = ["chart", "exponents", "lines"]

_CLIENTS = {
    "one-by-one": "each machine's associations, one request after another",
    "threads": "each machine's associations, 16 threads",
    "containers": "associations of each rule and endpoint, 16 threads",
}
_ONE_BY_ONE_IS_POINTLESS = "not measured: one response after another, it only takes proportionally longer"
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 360, 300, 50, 40, 30
_COLOURS = ("#0b62c4", "#c4530b")


def lines(results: dict[str, Any]) -> Iterator[str]:
    """Yield everything that was measured, a table for each part; parts that were not are left out."""
    for part, written in _PARTS.items():
        if part in results:
            yield from written(results[part])
            yield ""
    where = results.get("where", {})
    yield f"Measured with Python {where.get('python')} on {where.get('cores')} cores, the lab in a process of its own."


def _ratios(row: dict[str, Any]) -> Iterator[str]:
    yield (
        f"**{row['vms']:,} machines, {row['latency_ms']:g} ms added to each response**, "
        f"the middle one of {row['runs']} runs:"
    )
    yield ""
    yield "| | calls | seconds | ratio |"
    yield "|---|---:|---:|---:|"
    yield f"| the suite, the whole process, {row['items']:,} tests | {row['calls']} | {row['wall']:.1f} | |"
    against = row["wall"] / row["empty"]
    yield f"| an empty pytest run with as many tests | 0 | {row['empty']:.1f} | suite : empty = {against:.2f} |"
    yield f"| the suite's reading, everything that it judges | {row['calls']} | {row['reading']:.2f} | |"
    for way, title in _CLIENTS.items():
        told = row["clients"].get(way)
        if told is None:
            yield f"| SDK, {title} | {row['vms']:,} and more | {_ONE_BY_ONE_IS_POINTLESS} | |"
        else:
            ratio = row["reading"] / told["seconds"]
            yield f"| SDK, {title} | {told['calls']:,} | {told['seconds']:.2f} | reading : this = {ratio:.2f} |"


def _workers(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"**In workers**, {rows[0]['vms']:,} machines, {rows[0]['items']:,} tests:"
    yield ""
    yield "| `-n` | calls | reading (s) | whole run (s) | largest process (MiB) |"
    yield "|---:|---:|---:|---:|---:|"
    for row in rows:
        yield (
            f"| {row['workers']} | {row['calls']} | {row['reading']:.2f} | {row['wall']:.1f} | {row['peak']:.0f} |"
        )


def _growth(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "**From hundreds to a hundred thousand machines**, no latency, `--ampls-group-by=rule`:"
    yield ""
    yield "| machines | calls | reading (s) | whole process (s) | exponent | peak memory (MiB) | exponent |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    slopes: list[tuple[str, str]] = [("", "")]
    slopes += zip(
        (f"{slope:.2f}" for slope in exponents(rows, "wall")),
        (f"{slope:.2f}" for slope in exponents(rows, "peak")),
        strict=True,
    )
    for row, (time, memory) in zip(rows, slopes, strict=True):
        yield (
            f"| {row['vms']:,} | {row['calls']:,} | {row['reading']:.1f} | {row['wall']:.1f} | {time} "
            f"| {row['peak']:.0f} | {memory} |"
        )


def _subscriptions(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield (
        f"**One fleet in more and more subscriptions**, {rows[0]['vms']:,} machines, {rows[0]['latency_ms']:g} ms "
        "added to each response, `--ampls-group-by=rule`:"
    )
    yield ""
    yield "| subscriptions | calls | reading (s) | whole process (s) |"
    yield "|---:|---:|---:|---:|"
    for row in rows:
        yield f"| {row['subscriptions']} | {row['calls']:,} | {row['reading']:.1f} | {row['wall']:.1f} |"


def _throttled(row: dict[str, Any]) -> Iterator[str]:
    ratio = row["reading"] / row["dictated"]
    yield (
        f"**Under ARM's limit of reads**, a bucket of {row['burst']:g} that refills by {row['per_second']:g} a second: "
        f"{row['vms']:,} machines by their providers alone take {row['calls']:,} calls, for which the bucket itself "
        f"dictates {row['dictated']:.1f} s. Reading took {row['reading']:.1f} s, {ratio:.2f} times that, and "
        f"{row['refused']} calls were refused (429)."
    )


def _start(row: dict[str, Any]) -> Iterator[str]:
    yield f"**A worker's start**, {row['vms']:,} machines, from the controller's file to the first verdict:"
    yield ""
    yield "| load the evidence (s) | know every machine (s) | first verdict (s) | together (s) |"
    yield "|---:|---:|---:|---:|"
    yield (
        f"| {row['load']:.2f} | {row['machines']:.2f} | {row['first verdict']:.2f} | {row['together']:.2f} |"
    )


def _unused(row: dict[str, Any]) -> Iterator[str]:
    more = (row["with"] - row["without"]) * 1000
    yield (
        f"**Installed and not used**: a run of one test takes {more:.0f} ms more "
        f"(at best {row['with']:.2f} s against {row['without']:.2f} s)."
    )


_PARTS: dict[str, Callable[[Any], Iterator[str]]] = {
    "ratios": _ratios,
    "workers": _workers,
    "growth": _growth,
    "subscriptions": _subscriptions,
    "throttled": _throttled,
    "start": _start,
    "unused": _unused,
}


def exponents(rows: Sequence[dict[str, Any]], what: str) -> list[float]:
    """Return the slope between neighbouring sizes in a log-log plot: 1 is linear, 2 is quadratic."""
    return [log10(two[what] / one[what]) / log10(two["vms"] / one["vms"]) for one, two in pairwise(rows)]


def chart(rows: Sequence[dict[str, Any]]) -> str:
    """Return an SVG of time and memory over the number of machines, both axes logarithmic."""
    panels = "".join(
        f'<g transform="translate({number * _WIDTH} 0)">{_panel(rows, what, title, _COLOURS[number])}</g>'
        for number, (what, title) in enumerate(
            (("wall", "whole process, seconds"), ("peak", "peak memory, MiB"))
        )
        if len(rows) > 1
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="11">'
        f'<rect width="{2 * _WIDTH}" height="{_HEIGHT}" fill="white"/>{panels}</svg>\n'
    )


def _panel(rows: Sequence[dict[str, Any]], what: str, title: str, colour: str) -> str:
    low, high = log10(rows[0]["vms"]), log10(rows[-1]["vms"])
    smallest = min(log10(row[what]) for row in rows)
    # Both axes have one scale, so that linear growth is the diagonal.
    scale = min(_WIDTH - _LEFT - 20, _HEIGHT - _TOP - _BOTTOM) / (high - low)
    base = _HEIGHT - _BOTTOM

    def across(vms: float) -> float:
        return _LEFT + (log10(vms) - low) * scale

    def up(value: float) -> float:
        return base - (log10(value) - smallest) * scale

    parts = [f'<text x="{_LEFT}" y="18" font-weight="bold">{title}</text>']
    side = (high - low) * scale
    parts.append(
        f'<path d="M{_LEFT} {base} l{side:.0f} {-side:.0f}" stroke="#999" stroke-dasharray="4 4" fill="none"/>'
    )
    points = [(across(row["vms"]), up(row[what])) for row in rows]
    parts.append(
        f'<polyline points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in points)}" fill="none" '
        f'stroke="{colour}" stroke-width="2"/>'
    )
    for row, (x, y) in zip(rows, points, strict=True):
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{colour}"/>')
        parts.append(f'<text x="{x - 4:.0f}" y="{y - 8:.0f}" text-anchor="end">{row[what]:,.1f}</text>')
        parts.append(f'<text x="{x:.0f}" y="{base + 16}" text-anchor="middle">{row["vms"]:,}</text>')
    parts.append(f'<text x="{across(rows[-1]["vms"]):.0f}" y="{base + 32}" text-anchor="end">machines</text>')
    return "".join(parts)
