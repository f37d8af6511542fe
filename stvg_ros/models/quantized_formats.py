# SPDX-License-Identifier: Apache-2.0

"""Quantized weights of released checkpoints: which formats are read, and what to do otherwise."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INSTEAD = (
    "give the checkpoint in full precision that it was made from, and set model.quantization to "
    "'4bit' to save memory"
)

PRODUCER_FILE = "hf_quant_config.json"  # of NVIDIA's ModelOpt, whose config.json may say nothing


@dataclass(frozen=True)
class QuantizedFormat:
    """A format of quantized weights.

    Attributes:
        title: its name.
        packages: packages that it needs besides those of this project.
        bytes_per_weight: in memory after loading, with bfloat16; None if it is not read.
        note: how it is read, or why it is not.
    """

    title: str
    packages: tuple[str, ...]
    bytes_per_weight: float | None
    note: str

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


_NO_GRADIENT = (
    "its kernels have no backward pass, which re-attention needs, and none of them has been run "
    "with this package"
)
FORMATS = {  # quant_method of config.json
    "bitsandbytes": QuantizedFormat(
        "bitsandbytes, 4 or 8 bits",
        ("accelerate", "bitsandbytes"),
        0.6,
        "stays in 4 or 8 bits; the gradient passes through the rounded weights",
    ),
    "fp8": QuantizedFormat(
        "FP8 in blocks",
        ("accelerate",),
        2.0,
        "converted to the precision of model.dtype, so it saves download and not memory",
    ),
    "awq": QuantizedFormat("AWQ", (), None, _NO_GRADIENT),
    "gptq": QuantizedFormat("GPTQ", (), None, _NO_GRADIENT),
    "compressed-tensors": QuantizedFormat("compressed-tensors", (), None, _NO_GRADIENT),
}


def method_of(values: Mapping[str, Any], producer: Mapping[str, Any] | None = None) -> str | None:
    """The name of the format of quantized weights; None for weights in full precision.

    Args:
        values: the content of config.json. Its language model may have the entry in its place.
        producer: the content of `PRODUCER_FILE`, if there is one.
    """
    text = values.get("text_config")
    places = (values, text if isinstance(text, Mapping) else {}, producer or {})
    found = (
        place.get(name) for place in places for name in ("quantization_config", "quantization")
    )
    stored = next((each for each in found if each), None)
    if stored is None:
        return None
    if not isinstance(stored, Mapping):
        return str(stored)
    if stored.get("quant_method"):
        return str(stored["quant_method"])
    if stored.get("load_in_4bit") or stored.get("load_in_8bit"):
        return "bitsandbytes"
    return "modelopt" if "quant_algo" in stored else "mlx" if "group_size" in stored else "unnamed"


def format_of(method: str) -> QuantizedFormat:
    """The format of a `quant_method`; an unknown one is not read."""
    return FORMATS.get(method) or QuantizedFormat(method, (), None, _NO_GRADIENT)


def formats_table() -> list[tuple[str, str, str, str]]:
    """Rows for the table of the docs: format, quant_method, with re-attention, how or why not."""
    return [
        (
            row.title,
            method,
            "no" if row.bytes_per_weight is None else "yes",
            row.note if row.bytes_per_weight is not None else f"refused: {row.note}; {INSTEAD}",
        )
        for method, row in [*FORMATS.items(), ("others", format_of("any other"))]
    ]
