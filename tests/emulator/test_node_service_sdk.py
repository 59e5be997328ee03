"""The official JavaScript SDK for services: every operation, with its exact result."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from tests.emulator.node_tools import run_node
from tests.emulator.service_sdk_cases import BAD_REQUEST, HUB, ROOM, Cases, Step, World


def run(connection_string: str, steps: Sequence[Step]) -> list[Any]:
    given = {
        "connectionString": connection_string,
        "hub": HUB,
        "steps": [{"name": step.name, "arguments": step.arguments} for step in steps],
    }
    results: list[Any] = json.loads(run_node("service_sdk.mjs", text=json.dumps(given, default=_encode)))
    return results


def _encode(value: Any) -> dict[str, str]:
    return {"bytes": base64.b64encode(value).decode()}


class TestNode(Cases):
    run = staticmethod(run)

    def test_a_filter_picks_who_joins_and_leaves_groups(self, world: World) -> None:
        bob = world.bob.connection_id
        change = {"groups": ["a", "b"], "filter": f"userId eq 'bob' and '{ROOM}' in groups"}
        world.take(
            Step("add_connections_to_groups", change),
            Step("list_connections", {"group": "a"}, [[bob, "bob"]]),
            Step("list_connections", {"group": "b"}, [[bob, "bob"]]),
            Step("remove_connections_from_groups", {**change, "groups": ["a"]}),
            Step("group_exists", {"group": "a"}, False),
            Step("group_exists", {"group": "b"}, True),
            Step("add_connections_to_groups", {**change, "filter": "nobody"}, BAD_REQUEST),
            Step("remove_connections_from_groups", {**change, "groups": []}, BAD_REQUEST),
        )
