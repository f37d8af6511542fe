# SPDX-License-Identifier: Apache-2.0

"""Draws docs/packages.svg from the import statements: `python docs/package_map.py [--check]`.

Each package is above all packages that it imports. Lines lead to its direct imports, without those
that it also imports through another package.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = Path(__file__).with_name("packages.svg")
PACKAGES = ("stvg_ros", "stvg_lab")
ABOUT = {
    "types": "types, errors, boxes, window",
    "config": "config.py and */settings.py",
    "io": "bags, videos, messages, JSON",
    "method": "the paper, a stage a module",
    "commands": "what a sentence asks for",
    "checkpoints": "files, weights, device",
    "models": "a file a family",
    "identity": "appearance of people",
    "proposals": "candidate tubes",
    "body": "keypoints, measures",
    "runtime": "threads and queue",
    "serving": "client, server",
    "build": "config to grounder",
    "visualization": "pictures",
    "doctor": "checks",
    "node": "convert, call, publish",
    "agents": "tools for agents (MCP)",
    "cli": "the stvg-ros command",
    "lab.cli": "commands of the laboratory",
    "lab.datasets": "HC-STVG, VidSTG, annotations",
    "lab.runs": "runs, records, scores",
    "lab.rendered": "scenes with known truth",
    "lab.report": "the page of a run",
    "lab.ablation": "the method, part by part",
    "lab.annotator": "marking recordings",
    "lab.benchmark": "time and memory",
    "lab.identity": "people kept apart",
    "lab.live": "around a running node",
    "lab.training": "the embedded models",
}
Graph = Mapping[str, frozenset[str]]


def part_of(module: str) -> str:
    """The box of a module: its folder, or what it is among those of the top folder."""
    top, *parts = module.split(".")
    if top == "stvg_lab":
        return f"lab.{parts[0]}" if parts else ""
    if parts[:1] == ["build"]:
        return "build"
    if parts[:1] == ["config"] or parts[-1:] == ["settings"]:
        return "config"
    return parts[0] if parts and (ROOT / top / parts[0]).is_dir() else "types"


def imports_of(source: str) -> set[str]:
    """The modules of this repository that a source file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in PACKAGES:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name for name in names if name.split(".")[0] in PACKAGES}


def package_graph() -> dict[str, frozenset[str]]:
    """What each box imports from the others. Generated messages are no box."""
    graph: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            own = part_of(module.removesuffix(".__init__"))
            found = {part_of(name) for name in imports_of(path.read_text(encoding="utf-8"))}
            graph.setdefault(own, set()).update(found - {own})
    return {name: frozenset(others & {*graph} - {""}) for name, others in graph.items() if name}


def reached(graph: Graph, name: str) -> set[str]:
    """All that a box imports, directly or through others."""
    found: set[str] = set()
    waiting = [*graph[name]]
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += graph[other]
    return found


def reduced(graph: Graph) -> dict[str, list[str]]:
    """The graph without the edges that a longer way implies."""
    return {
        name: sorted(
            other
            for other in others
            if not any(other in reached(graph, between) for between in others - {other})
        )
        for name, others in graph.items()
    }


def merged_cycles(graph: Graph) -> dict[str, frozenset[str]]:
    """The graph with packages that import one another as one box, their names joined by a comma."""
    box = {}
    for name in graph:
        cycle = {name} | {other for other in reached(graph, name) if name in reached(graph, other)}
        box[name] = ", ".join(sorted(cycle))
    merged: dict[str, set[str]] = {}
    for name, others in graph.items():
        merged.setdefault(box[name], set()).update(box[other] for other in others)
    return {name: frozenset(others - {name}) for name, others in merged.items()}


def rows_of(graph: Graph) -> list[list[str]]:
    """Boxes by the length of the longest way down, the highest row first; no cycles."""
    below = {name: reached(graph, name) for name in graph}
    depth: dict[str, int] = {}
    for name in sorted(graph, key=lambda name: (len(below[name]), name)):
        depth[name] = 1 + max((depth[other] for other in graph[name]), default=-1)
    return [
        sorted(name for name in graph if depth[name] == at)
        for at in range(max(depth.values()), -1, -1)
    ]


WIDTH, ROW, BOX_WIDTH, BOX_HEIGHT, MARGIN = 980, 84, 186, 44, 16
FILL = {"stvg_ros": "#dbe9f6", "stvg_lab": "#fbe7cf"}


def placed(graph: Graph) -> dict[str, tuple[float, float]]:
    """The centre of each box; a row is ordered by what its boxes import."""
    rows = rows_of(graph)
    links = reduced(graph)
    place: dict[str, tuple[float, float]] = {}
    for number, row in reversed(list(enumerate(rows))):

        def pull(name: str) -> float:
            below = [place[other][0] for other in links[name]]
            return sum(below) / len(below) if below else WIDTH / 2

        for at, name in enumerate(sorted(row, key=lambda name: (pull(name), name))):
            x = WIDTH * (at + 0.5) / len(row)
            place[name] = (x, MARGIN + 30 + ROW * number + BOX_HEIGHT / 2)
    return place


def svg(graph: Graph) -> str:
    """The picture as text; equal graphs give equal text."""
    place = placed(graph)
    height = max(y for _, y in place.values()) + BOX_HEIGHT / 2 + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" font-family="sans-serif" text-anchor="middle">',
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>',
    ]
    for at, (package, text) in enumerate(
        (("stvg_ros", "stvg_ros: the robot"), ("stvg_lab", "stvg_lab: the laboratory"))
    ):
        x = MARGIN + at * 230
        lines += [
            f'<rect x="{x}" y="{MARGIN}" width="14" height="14" fill="{FILL[package]}" '
            'stroke="#555555"/>',
            f'<text x="{x + 22}" y="{MARGIN + 12}" font-size="13" text-anchor="start">'
            f"{text}</text>",
        ]
    for name, others in sorted(reduced(graph).items()):
        (x1, y1) = place[name]
        for other in others:
            x2, y2 = place[other]
            start, end, bend = y1 + BOX_HEIGHT / 2, y2 - BOX_HEIGHT / 2, ROW / 2
            lines.append(
                f'<path d="M{x1:.0f} {start:.0f} C{x1:.0f} {start + bend:.0f} {x2:.0f} '
                f'{end - bend:.0f} {x2:.0f} {end:.0f}" fill="none" stroke="#8a8a8a"/>'
            )
    for name, (x, y) in sorted(place.items()):
        package = "stvg_lab" if name.startswith("lab.") else "stvg_ros"
        names = name.split(", ")
        title = ", ".join(part.removeprefix("lab.") for part in names)
        about = ABOUT.get(name, "") if len(names) == 1 else "import one another"
        left, top = x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2
        lines += [
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5" '
            f'fill="{FILL[package]}" stroke="#555555"/>',
            f'<text x="{x:.0f}" y="{y - 3:.0f}" font-size="14" font-weight="bold">'
            f"{escape(title)}</text>",
            f'<text x="{x:.0f}" y="{y + 14:.0f}" font-size="11">{escape(about)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def main() -> int:
    """Writes the picture, or with `--check` says whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    text = svg(merged_cycles(package_graph()))
    if not given.check:
        PICTURE.write_text(text, encoding="utf-8")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != text:
        sys.stderr.write("docs/packages.svg is out of date; run docs/package_map.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
