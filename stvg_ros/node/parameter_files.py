# SPDX-License-Identifier: Apache-2.0

"""Finds parameter files without a section for this node, which rcl accepts silently."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from stvg_ros.errors import ConfigError

_OPTION = "--params-file"
_PARAMETERS = "ros__parameters"


def parameter_files(arguments: Sequence[str]) -> list[Path]:
    """The files that ROS arguments name, `--params-file FILE` or `--params-file:=FILE`.

    Raises:
        ConfigError: a file does not exist.
    """
    files = []
    for index, word in enumerate(arguments):
        if word == _OPTION and index + 1 < len(arguments):
            files.append(Path(arguments[index + 1]))
        elif word.startswith(f"{_OPTION}:="):
            files.append(Path(word.removeprefix(f"{_OPTION}:=")))
    for file in files:
        if not os.path.isfile(file):
            raise ConfigError(f"{_OPTION}: expected a parameter file, got {str(file)!r}, no file")
    return files


def sections(content: object) -> list[str]:
    """The full node names, wildcards included, that a parameter file has parameters for."""

    def found(value: object, path: str) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if key == _PARAMETERS:
                    yield path
                else:
                    yield from found(inner, f"{path}/{str(key).strip('/')}")

    return list(found(content, ""))


def unused(files: Sequence[Path], node: str) -> Iterator[str]:
    """A warning for each file that has no section for a node of this full name."""
    for file in files:
        names = sections(_content(file))
        if any(re.fullmatch(_pattern(name), node) for name in names):
            continue
        close = difflib.get_close_matches(node, names, 1, 0.0)
        remedy = f"rename {close[0]!r} to {node!r} or '/**'" if close else "write it under '/**:'"
        yield (
            f"parameter file {file}: no section is for this node, {node}; it has "
            f"{', '.join(map(repr, names)) or 'none'}, so nothing of it is used; {remedy}"
        )


def _pattern(name: str) -> str:
    """A regular expression of a section's name; `**` is any number of parts, `*` one of them."""
    parts = []
    for part in name.strip("/").split("/"):
        if part == "**":
            parts.append(r"(/\w+)*")
        else:
            parts.append("/" + re.escape(part).replace(r"\*", r"\w*"))
    return "".join(parts)


def _content(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{_OPTION}: {file} cannot be read ({text})") from error
