"""Ten thousand DNS lookups, against the plainest asyncio loop over dnspython with the same concurrency.

``python benchmarks/lookups.py`` starts a local unbound with as many records, and asks it both ways in turn. The
ratio of the times is what is meant.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.asyncquery
import dns.message

from pytest_ampls.model.evidence import VantagePoint
from pytest_ampls.resolver import resolve_all

ADDRESS, PORT = "127.0.0.1", 5399
ZONE = "privatelink.monitor.azure.com"
_SETTINGS = """server:
  interface: {address}@{port}
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  directory: "{folder}"
  local-zone: "{zone}." static
"""


@contextmanager
def served(names: Sequence[str]) -> Iterator[None]:
    """Serve an address for each name."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "unbound.conf")
        records = (
            f'  local-data: "{name}. 10 IN A 10.{at >> 16}.{at >> 8 & 255}.{at & 255}"\n'
            for at, name in enumerate(names)
        )
        head = _SETTINGS.format(address=ADDRESS, port=PORT, folder=folder, zone=ZONE)
        settings.write_text(head + "".join(records))
        with subprocess.Popen(["unbound", "-d", "-c", str(settings)], stderr=subprocess.DEVNULL) as process:
            try:
                time.sleep(3)
                yield
            finally:
                process.terminate()


def ours(names: Sequence[str], concurrency: int) -> float:
    """Return the seconds that the product takes."""
    point = VantagePoint(name="here", servers=(f"{ADDRESS}:{PORT}",))
    started = time.perf_counter()
    answers = resolve_all([point], names, concurrency=concurrency)
    seconds = time.perf_counter() - started
    if any(len(answer.addresses) != 1 for answer in answers):
        raise SystemExit(f"not every name was answered: {answers[0]}")
    return seconds


def plainest(names: Sequence[str], concurrency: int) -> float:
    """Return the seconds that a loop takes which keeps no cache, follows no alias and tells no failures apart."""

    async def everything() -> None:
        places = asyncio.Semaphore(concurrency)

        async def one(name: str) -> None:
            async with places:
                await dns.asyncquery.udp(dns.message.make_query(name, "A"), ADDRESS, port=PORT, timeout=5)

        await asyncio.gather(*(one(name) for name in names))

    started = time.perf_counter()
    asyncio.run(everything())
    return time.perf_counter() - started


def main() -> None:
    """Print the times and their ratio, a line for each pair."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    names = [f"n{at}.{ZONE}" for at in range(given.names)]
    with served(names):
        for _ in range(given.runs):
            mine, plain = ours(names, given.concurrency), plainest(names, given.concurrency)
            print(
                f"{given.names} lookups: {mine:.2f} s, plainest loop {plain:.2f} s, ratio {mine / plain:.2f}"
            )


if __name__ == "__main__":
    main()
