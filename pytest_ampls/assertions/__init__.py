"""The rules: each is declared once, text, metadata and check together; one file per family."""

from __future__ import annotations

from pytest_ampls.assertions.agent import (
    assert_agent_extension,
    assert_agent_identity,
    assert_agent_identity_explicit,
    assert_flexible_instances_use_uami,
    assert_no_legacy_agent,
)
from pytest_ampls.assertions.data import assert_heartbeat, assert_heartbeat_private, assert_query_path
from pytest_ampls.assertions.data_collection import (
    assert_association_limit,
    assert_config_endpoint_association,
    assert_config_endpoint_in_scope,
    assert_config_endpoint_region,
    assert_destinations_in_scope,
    assert_instances_associated,
    assert_reserved_name_used_well,
    assert_rule_association,
)
from pytest_ampls.assertions.data_path import assert_data_path
from pytest_ampls.assertions.dns_agreement import assert_public_resolution, assert_resolvers_agree
from pytest_ampls.assertions.dns_configuration import (
    assert_blob_zone_shared,
    assert_forwarders,
    assert_no_internet_fallback,
    assert_zones_consistent,
)
from pytest_ampls.assertions.endpoint_network import (
    assert_endpoint_network_policies,
    assert_route_to_endpoint,
    assert_subnet_capacity,
)
from pytest_ampls.assertions.guest_agent import (
    assert_agent_log_clean,
    assert_agent_reads_dcrs,
    assert_agent_running,
    assert_configuration_downloaded,
    assert_guest_disk,
    assert_token_acquired,
)
from pytest_ampls.assertions.guest_network import (
    assert_guest_reaches_endpoints,
    assert_guest_resolution,
    assert_no_hosts_override,
)
from pytest_ampls.assertions.name_resolution import (
    assert_answer_matches_configuration,
    assert_no_empty_zone,
    assert_private_resolution,
    assert_records_current,
    assert_records_present,
    assert_single_scope_per_dns_boundary,
    assert_zone_reaches_vnet,
)
from pytest_ampls.assertions.packet_filter import assert_nsg_allows_endpoint
from pytest_ampls.assertions.private_endpoint import (
    assert_connection_approved,
    assert_endpoint_addresses,
    assert_single_scope_per_vnet,
    assert_zone_group_complete,
    assert_zone_group_zones_exist,
)
from pytest_ampls.assertions.reach import assert_reachable_as_intended
from pytest_ampls.assertions.scope import (
    assert_app_insights_in_scope,
    assert_dce_in_scope,
    assert_ingestion_access_mode,
    assert_not_unreachable,
    assert_public_access_disabled,
    assert_query_access_mode,
    assert_scoped_resources_resolve,
    assert_workspace_in_scope,
)
from pytest_ampls.assertions.transport import (
    assert_chain_not_resigned,
    assert_endpoint_reachable,
    assert_tls_minimum,
)
from pytest_ampls.catalogue import CATALOGUE

__all__ = [
    "CATALOGUE",
    "assert_agent_extension",
    "assert_agent_identity",
    "assert_agent_identity_explicit",
    "assert_agent_log_clean",
    "assert_agent_reads_dcrs",
    "assert_agent_running",
    "assert_answer_matches_configuration",
    "assert_app_insights_in_scope",
    "assert_association_limit",
    "assert_blob_zone_shared",
    "assert_chain_not_resigned",
    "assert_config_endpoint_association",
    "assert_config_endpoint_in_scope",
    "assert_config_endpoint_region",
    "assert_configuration_downloaded",
    "assert_connection_approved",
    "assert_data_path",
    "assert_dce_in_scope",
    "assert_destinations_in_scope",
    "assert_endpoint_addresses",
    "assert_endpoint_network_policies",
    "assert_endpoint_reachable",
    "assert_flexible_instances_use_uami",
    "assert_forwarders",
    "assert_guest_disk",
    "assert_guest_reaches_endpoints",
    "assert_guest_resolution",
    "assert_heartbeat",
    "assert_heartbeat_private",
    "assert_ingestion_access_mode",
    "assert_instances_associated",
    "assert_no_empty_zone",
    "assert_no_hosts_override",
    "assert_no_internet_fallback",
    "assert_no_legacy_agent",
    "assert_not_unreachable",
    "assert_nsg_allows_endpoint",
    "assert_private_resolution",
    "assert_public_access_disabled",
    "assert_public_resolution",
    "assert_query_access_mode",
    "assert_query_path",
    "assert_reachable_as_intended",
    "assert_records_current",
    "assert_records_present",
    "assert_reserved_name_used_well",
    "assert_resolvers_agree",
    "assert_route_to_endpoint",
    "assert_rule_association",
    "assert_scoped_resources_resolve",
    "assert_single_scope_per_dns_boundary",
    "assert_single_scope_per_vnet",
    "assert_subnet_capacity",
    "assert_tls_minimum",
    "assert_token_acquired",
    "assert_workspace_in_scope",
    "assert_zone_group_complete",
    "assert_zone_group_zones_exist",
    "assert_zone_reaches_vnet",
    "assert_zones_consistent",
]
