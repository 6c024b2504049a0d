"""Guests over ssh: the plugin against ``ssh`` in ``xargs``, running the same script on the same sshd.

``python -m benchmarks.guests [GUESTS [CONCURRENCY [ROUNDS]]]`` in the root of the repository. It starts an sshd on
loopback (Debian: openssh-server), with a folder that is laid out like a machine with the agent. Budget: at most 1.3
times the wall time of ``xargs -P``, with one connection and one session for each guest.
"""

from __future__ import annotations

import getpass
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from pytest_ampls.guest import GuestAccess, gather_all
from pytest_ampls.guest.gather import guests_to_look_at
from pytest_ampls.guest.script import Request, shell_text
from pytest_ampls.model import Estate
from pytest_ampls.model.guest_questions import GuestQuestions
from tests.assertions.machines import monitored_estate
from tests.guest import sshd as real

BUDGET = 1.3
QUESTIONS = GuestQuestions(names=(real.HANDLER, real.ODS, real.NOWHERE), identities=("client_id#1",))


def fleet(guests: int) -> Estate:
    """Return an estate with so many virtual machines."""
    plan = monitored_estate()
    for number in range(guests - 3):  # the estate has three of its own
        plan.vm(f"guest{number}", "spoke1/vm", f"192.168.1.{number % 200 + 20}")
    return plan.build()


def plugin(estate: Estate, access: GuestAccess, guests: int, concurrency: int) -> float:
    """Return the wall time of the plugin."""
    started = time.perf_counter()
    states = gather_all(estate, access, questions=lambda _: QUESTIONS, concurrency=concurrency, timeout=120)
    wall = time.perf_counter() - started
    told = [state for state in states if state.gap is None and not state.problems and state.via == "ssh"]
    if len(told) < guests:
        raise SystemExit(f"only {len(told)} of {guests} guests told everything: {states[0]}")
    return wall


def xargs(server: real.Server, access: GuestAccess, folder: Path, guests: int, concurrency: int) -> float:
    """Return the wall time of ssh in xargs."""
    script = folder / "script.sh"
    script.write_text(shell_text(Request(nonce="5eed0001", questions=QUESTIONS)))
    ssh = (
        f"ssh -F {access.ssh_config} -i {access.ssh_identity_file} -T -o BatchMode=yes "
        f"-p {server.port} {getpass.getuser()}@127.0.0.1 /bin/sh -s <{script} >{folder}/out.$0"
    )
    numbers = "\n".join(map(str, range(guests)))
    started = time.perf_counter()
    command = ["xargs", "-P", str(concurrency), "-n", "1", "sh", "-c", ssh]
    subprocess.run(command, input=numbers.encode(), check=True)
    wall = time.perf_counter() - started
    whole = [path for path in folder.glob("out.*") if path.read_text().endswith("end\n")]
    if len(whole) < guests:
        raise SystemExit(f"only {len(whole)} of {guests} scripts ended")
    return wall


def _stand_in(root: Path, line: Connection) -> None:
    with real.imds() as origin, real.tls_server(root) as port:
        line.send((origin, port))
        line.recv()


@contextmanager
def stand_ins(root: Path) -> Iterator[tuple[str, int]]:
    """Serve tokens and TLS from a process of their own: in the plugin's they would take its turns."""
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_stand_in, args=(root, theirs), daemon=True)
    process.start()
    try:
        yield mine.recv()
    finally:
        mine.send(None)
        process.join()


def main() -> int:
    """Measure, alternating, and print the ratio of the medians."""
    guests, concurrency, rounds = ([int(part) for part in sys.argv[1:]] + [200, 32, 3][len(sys.argv) - 1 :])[
        :3
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "root").mkdir()
        real.lay_out(folder / "root")
        (folder / "keys").mkdir()
        keys = real.Keys.make(folder / "keys")
        with stand_ins(folder / "root") as (origin, port):
            environment = {
                "AMPLS_ROOT": str(folder / "root"),
                "AMPLS_IMDS": origin,
                "AMPLS_PORT": str(port),
                "SSL_CERT_FILE": str(folder / "root/ca.pem"),
                "PATH": f"{folder}/root/bin:/usr/bin:/bin",
            }
            with real.sshd(folder / "sshd", keys, environment) as server:
                estate, access = fleet(guests), server.access()
                known = len(guests_to_look_at(estate, access))
                walls: dict[str, list[float]] = {"plugin": [], "xargs": []}
                for _ in range(rounds):
                    walls["xargs"].append(xargs(server, access, folder, known, concurrency))
                    before = server.log.count("Starting session")
                    walls["plugin"].append(plugin(estate, access, known, concurrency))
                    sessions = server.log.count("Starting session") - before
                    print(
                        f"xargs {walls['xargs'][-1]:.2f} s, plugin {walls['plugin'][-1]:.2f} s, {sessions} sessions"
                    )
    ratio = statistics.median(walls["plugin"]) / statistics.median(walls["xargs"])
    print(f"{known} guests at {concurrency}: {ratio:.2f} times xargs (budget {BUDGET})")
    return 0 if ratio <= BUDGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
