"""The world itself: what the tests of the plugin stand on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world.documents import PLATFORM
from tests.world.faults import VICTIM
from tests.world.files import nameservers
from tests.world.nodes import WorldError, until
from tests.world.world import DNS_SERVER, World

_TOKEN = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://monitor.azure.com/"
_ROOT = Path(__file__).parents[2]


def test_every_machine_is_answered_privately(world: World) -> None:
    """Each name of a machine's agent leads to the endpoint's address, as the machine's own programs see it."""
    for machine in world.estate.machines.values():
        answers = world.guests[machine.name].run("getent", "ahostsv4", *machine.names)
        expected = world.private_addresses(machine)
        assert {line.split()[0] for line in answers.splitlines()} == set(expected.values()), machine.name
        assert expected, machine.name


def test_spokes_ask_the_server_in_the_hub(world: World) -> None:
    """The spokes ask dnsmasq, the hub asks the platform's resolver; both go by the privatelink name."""
    for machine in world.estate.machines.values():
        (server,) = nameservers(world.estate.networks[machine.network].servers)
        assert server == (PLATFORM if machine.network == "hub" else DNS_SERVER)
        dig = ("dig", "+short", f"@{server}", "api.monitor.azure.com")
        found = world.guests[machine.name].run(*dig).split()
        assert found == ["api.privatelink.monitor.azure.com.", "192.168.0.71"]


def test_the_platform_answers_a_spoke_without_links_publicly(world: World) -> None:
    """The same name asked at the platform's own address: no zone is linked to the spoke, so it is public there."""
    dig = ("dig", "+short", f"@{PLATFORM}", "api.monitor.azure.com")
    assert world.guests[VICTIM].run(*dig).split()[-1].startswith("203.0.113.")


def test_the_endpoint_answers_over_tls(world: World) -> None:
    """From every machine each of its names answers Healthy, with a certificate that the machine trusts."""
    for machine in world.estate.machines.values():
        urls = [f"https://{name}/ping" for name in machine.names]
        answers = world.guests[machine.name].run("curl", "-sS", "--max-time", "10", *urls)
        assert answers == "Healthy" * len(urls), machine.name


def test_ssh_reaches_every_machine(world: World) -> None:
    """The runner signs in to each machine by its name, and finds itself there."""
    for name in world.guests:
        ssh = ("ssh", "-F", str(world.ssh_config), "-o", "BatchMode=yes", f"root@{name}", "hostname")
        assert world.runner.run(*ssh) == f"{name.replace('_', '-')}\n"


def test_every_machine_has_a_metadata_service_of_its_own(world: World) -> None:
    """The service gives a token for an identity that is attached, and refuses others in Azure's words."""
    machine = world.estate.machines[VICTIM]
    node = world.guests[VICTIM]
    curl = ("curl", "-sS", "-w", "%{http_code}", "-H", "Metadata: true")
    attached = machine.identities[0]["client_id"]
    assert node.run(*curl, f"{_TOKEN}&client_id={attached}").endswith("200")
    refused = node.run(*curl, f"{_TOKEN}&client_id=another")
    assert "Identity not found" in refused
    assert refused.endswith("400")
    assert "Required metadata header" in node.run("curl", "-sS", f"{_TOKEN}&client_id={attached}")
    assert world.guests["onprem1"].run(*curl, _TOKEN).endswith("400"), "it has no identity of Azure's kind"


@pytest.mark.parametrize("address", ["192.0.2.1", "8.8.8.8", "10.0.0.1", "169.254.1.1"])
def test_nothing_leads_out(world: World, address: str) -> None:
    """No machine, and not the runner, has a route to anything outside."""
    for node in (world.runner, world.front, *world.guests.values(), *world.networks.values()):
        done = node.try_("ip", "route", "get", address)
        assert done.returncode != 0, f"{node.name}: {done.stdout}"
        assert "unreachable" in done.stderr


def test_spokes_do_not_reach_each_other(world: World) -> None:
    """Peering is not handed on: a spoke has no way through the hub to another one."""
    other = world.estate.machines["spoke4"].address
    curl = ("curl", "-sS", "--max-time", "2", f"http://{other}:22/")
    assert world.guests[VICTIM].try_(*curl).returncode in (7, 28)


def test_machines_share_no_process(world: World) -> None:
    """A machine sees its own agent, and stopping it there stops nobody else's."""
    world.stop_unit(VICTIM, "azuremonitoragent")
    try:
        states = {
            name: world.runner.try_(
                "ssh", "-F", str(world.ssh_config), f"root@{name}", "systemctl is-active azuremonitoragent"
            ).stdout.strip()
            for name in (VICTIM, "spoke3")
        }
    finally:
        world.start_unit(VICTIM, "azuremonitoragent")
    assert states == {VICTIM: "inactive", "spoke3": "active"}


_BUILD = """
import sys, time
from pathlib import Path
from tests.world.world import World

with World(Path(sys.argv[1])):
    print("built", flush=True)
    time.sleep(600)
"""


def test_a_killed_run_leaves_nothing(world: World, tmp_path: Path) -> None:
    """A second world beside this one; when its process is killed, nothing of it stays, and this one does."""
    command = [sys.executable, "-c", _BUILD, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONSAFEPATH": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "built\n"
        assert len(_mentioning(tmp_path)) > 20
        process.send_signal(signal.SIGKILL)
    until(lambda: not _mentioning(tmp_path), "the second world is gone")
    assert world.guests[VICTIM].run("hostname") == f"{VICTIM}\n"


class _Unfinished(World):
    def _connect(self, estate: object) -> None:
        raise WorldError("no more cables")


def test_a_world_that_cannot_be_built_leaves_nothing(world: World, tmp_path: Path) -> None:
    """What was there when building it failed is gone, and the error is told."""
    assert world
    with pytest.raises(WorldError, match="no more cables"), _Unfinished(tmp_path):
        pass
    until(lambda: not _mentioning(tmp_path), "the unfinished world is gone")


def _mentioning(folder: Path) -> list[str]:
    """Return the processes of this machine whose command line has a folder in it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(file.parent.name)
    return found
