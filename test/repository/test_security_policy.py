# SPDX-License-Identifier: Apache-2.0

"""The SROS 2 policy: its syntax, and that it allows just what the node has."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from paths import ROOT

FILE = ROOT / "config" / "grounding.policy.xml"
# What an element may hold and must have, of version 0.2.0 of the policy language.
CHILDREN = {
    "policy": {"enclaves"},
    "enclaves": {"enclave"},
    "enclave": {"profiles"},
    "profiles": {"profile", "metadata"},
    "profile": {"topics", "services", "actions"},
    "topics": {"topic"},
    "services": {"service"},
    "actions": {"action"},
    "topic": set(),
    "service": set(),
    "action": set(),
}
REQUIRED = {"policy": {"version"}, "enclave": {"path"}, "profile": {"ns", "node"}}
RULES = {
    "topics": {"publish", "subscribe"},
    "services": {"reply", "request"},
    "actions": {"call", "execute"},
}


def faults(element: ElementTree.Element) -> list[str]:
    """What is against the language in an element and below."""
    tag, names = element.tag, set(element.attrib)
    allowed = RULES.get(tag, set()) | REQUIRED.get(tag, set()) | {"type"} & {tag}
    found = [f"{tag}: attribute {name}" for name in names - allowed]
    found += [f"{tag}: no {name}" for name in REQUIRED.get(tag, set()) - names]
    found += [f"{tag}: {value}" for name, value in element.attrib.items()
              if name in RULES.get(tag, set()) and value not in ("ALLOW", "DENY")]  # fmt: skip
    text = (element.text or "").strip()
    if bool(text) != (not CHILDREN.get(tag)):
        found.append(f"{tag}: text {text!r}")
    if CHILDREN.get(tag) and not len(element):
        found.append(f"{tag}: empty")
    for child in element:
        if child.tag not in CHILDREN.get(tag, set()):
            found.append(f"{tag}: {child.tag}")
        found += faults(child)
    return found


def allowed(rule: str) -> set[str]:
    """Names that the profile allows for a rule such as publish."""
    root = ElementTree.parse(FILE).getroot()
    return {
        str(item.text)
        for group in root.iterfind("enclaves/enclave/profiles/profile/*")
        if group.get(rule) == "ALLOW"
        for item in group
    }


def test_the_syntax() -> None:
    root = ElementTree.parse(FILE).getroot()
    assert root.get("version") == "0.2.0"
    assert faults(root) == []


@pytest.mark.parametrize(
    "text",
    [
        "<policy/>",
        '<policy version="0.2.0"><enclaves/></policy>',
        '<policy version="0.2.0"><topic>x</topic></policy>',
        '<topics publish="MAYBE"><topic>x</topic></topics>',
        "<topics><topic/></topics>",
    ],
)
def test_the_check_itself(text: str) -> None:
    assert faults(ElementTree.fromstring(text))


def test_it_allows_what_the_node_has() -> None:
    pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
    import rclpy
    from rclpy.parameter import Parameter
    from ros_tools import Loop, ToyGrounder

    from stvg_ros.node.grounding_node import GroundingNode

    rclpy.init()
    # A name of its own: the graph may still know nodes of earlier tests.
    node = GroundingNode(
        lambda config: ToyGrounder(),
        parameter_overrides=[Parameter("depth.enabled", value=True)],
        cli_args=["--ros-args", "--remap", "__node:=guarded"],
    )
    loop = Loop(node)

    def private(names: list[tuple[str, list[str]]]) -> set[str]:
        return {name.replace("/guarded/", "~/") for name, _ in names if "/_action/" not in name}

    def has() -> tuple[set[str], set[str], set[str]]:
        me = (node.get_name(), node.get_namespace())
        return (
            private(node.get_publisher_names_and_types_by_node(*me)),
            private(node.get_subscriber_names_and_types_by_node(*me)),
            private(node.get_service_names_and_types_by_node(*me)),
        )

    loop.until(lambda: "~/image" in has()[1])
    publishes, subscribes, serves = has()
    loop.close()
    node.close()
    node.destroy_node()
    rclpy.shutdown()
    # Only where detections of others, tf2, a simulated clock or foxglove_msgs is used.
    optional = {"~/detections", "~/image_annotations", "/tf", "/tf_static", "/clock"}
    optional |= {"/parameter_events", "~/get_type_description"}  # the latter since Jazzy
    for rule, real in (("publish", publishes), ("subscribe", subscribes), ("reply", serves)):
        assert real - allowed(rule) == set(), rule
        assert allowed(rule) - real <= optional, rule
    assert allowed("execute") == {"~/ground"}
