"""The plainest client code over the Azure SDKs: reads the associations of a fleet, and prints what it took.

``python benchmarks/clients.py one-by-one|threads|containers READY_FILE``. This is what one writes who needs
the associations once: no token bucket, no retry of one's own, no snapshot. It shares no code with the plugin.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.core.pipeline.policies import CustomHookPolicy
from azure.core.rest import HttpRequest, HttpResponse
from azure.identity import ClientSecretCredential
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy
from azure.mgmt.monitor import MonitorManagementClient

WAYS = ("one-by-one", "threads", "containers")
_THREADS = 16
_AUDIENCE = "https://management.azure.com/.default"
_MACHINES = "Microsoft.Compute/virtualMachines?api-version=2024-11-01"


class Fleet:
    """A subscription behind its clients; counts the requests that they send."""

    def __init__(self, lab: dict[str, Any]) -> None:
        self.calls = 0
        self._lock = threading.Lock()
        self._endpoint = lab["arm_endpoint"]
        self._subscription = lab["subscriptions"][0]
        verify = {"connection_verify": lab["ca_bundle"]}
        authority = urlsplit(lab["authority"]).netloc
        credential = ClientSecretCredential(
            lab["tenant_id"],
            lab["client_id"],
            lab["client_secret"],
            authority=authority,
            disable_instance_discovery=True,
            **verify,
        )
        self.monitor = MonitorManagementClient(
            credential,
            self._subscription,
            base_url=self._endpoint,
            credential_scopes=[_AUDIENCE],
            raw_request_hook=self._count,
            **verify,
        )
        policies = [CustomHookPolicy(), ARMChallengeAuthenticationPolicy(credential, _AUDIENCE)]
        self._plain: ARMPipelineClient[HttpRequest, HttpResponse] = ARMPipelineClient(
            base_url=self._endpoint, policies=policies, **verify
        )

    def _count(self, _: object) -> None:
        with self._lock:
            self.calls += 1

    def machines(self) -> Iterator[str]:
        """Yield the id of each virtual machine."""
        link = f"{self._endpoint}/subscriptions/{self._subscription}/providers/{_MACHINES}"
        while link:
            self._count(None)
            response = self._plain.send_request(HttpRequest("GET", link))
            response.raise_for_status()
            page = response.json()
            yield from (machine["id"] for machine in page["value"])
            link = page.get("nextLink")

    def of_machine(self, machine: str) -> list[Any]:
        """Return the associations of one machine."""
        return list(self.monitor.data_collection_rule_associations.list_by_resource(machine.lstrip("/")))

    def of_rule(self, rule: Any) -> list[Any]:
        """Return the associations of one data collection rule."""
        group, name = rule.id.split("/")[4], rule.name
        return list(self.monitor.data_collection_rule_associations.list_by_rule(group, name))

    def of_endpoint(self, endpoint: Any) -> list[Any]:
        """Return the associations of one data collection endpoint."""
        group, name = endpoint.id.split("/")[4], endpoint.name
        found = self.monitor.data_collection_rule_associations.list_by_data_collection_endpoint(group, name)
        return list(found)


def _one_by_one(fleet: Fleet) -> Iterable[list[Any]]:
    return map(fleet.of_machine, fleet.machines())


def _threads(fleet: Fleet) -> Iterable[list[Any]]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(fleet.of_machine, fleet.machines()))


def _containers(fleet: Fleet) -> Iterable[list[Any]]:
    """Read from the side of rules and endpoints, machines beside them, as all of it is needed to judge."""
    with ThreadPoolExecutor(_THREADS) as pool:
        machines = pool.submit(lambda: list(fleet.machines()))
        rules = pool.submit(lambda: list(fleet.monitor.data_collection_rules.list_by_subscription()))
        endpoints = pool.submit(lambda: list(fleet.monitor.data_collection_endpoints.list_by_subscription()))
        found = [pool.submit(fleet.of_rule, rule) for rule in rules.result()]
        found += [pool.submit(fleet.of_endpoint, endpoint) for endpoint in endpoints.result()]
        machines.result()
        return [part.result() for part in found]


_READERS: dict[str, Callable[[Fleet], Iterable[list[Any]]]] = {
    "one-by-one": _one_by_one,
    "threads": _threads,
    "containers": _containers,
}


def main() -> None:
    """Read once, and print seconds, calls and associations as JSON."""
    way, ready = sys.argv[1:]
    fleet = Fleet(json.loads(Path(ready).read_text()))
    started = time.perf_counter()
    associations = sum(len(found) for found in _READERS[way](fleet))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "calls": fleet.calls, "associations": associations}))


if __name__ == "__main__":
    main()
