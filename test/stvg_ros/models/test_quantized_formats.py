# SPDX-License-Identifier: Apache-2.0

"""Which formats of quantized weights are read, which not, and what they need."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from stvg_ros.models import quantized_formats
from stvg_ros.models.quantized_formats import (
    FORMATS,
    INSTEAD,
    QuantizedFormat,
    format_of,
    formats_table,
    method_of,
)


@pytest.mark.parametrize(
    ("values", "method"),
    [
        ({}, None),
        ({"quantization_config": None}, None),
        ({"quantization_config": {"quant_method": "awq"}}, "awq"),
        ({"quantization_config": {"bits": 4}}, "unnamed"),
        ({"quantization_config": {}}, None),
        ({"quantization_config": {"load_in_4bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"load_in_8bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"load_in_4bit": False, "bits": 4}}, "unnamed"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, "awq"),
        ({"text_config": None}, None),
        ({"text_config": "x", "quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ({"quantization": {"group_size": 64, "bits": 4}}, "mlx"),
        ({"quantization_config": {"group_size": 64, "bits": 4, "mode": "affine"}}, "mlx"),
        ({"quantization_config": {"quant_algo": "NVFP4"}}, "modelopt"),
        ({"quantization_config": "gptq"}, "gptq"),
        ({"quantization_config": 4}, "4"),
    ],
)
def test_the_format_that_a_configuration_names(values: dict[str, Any], method: str | None) -> None:
    assert method_of(values) == method


def test_the_format_that_another_file_names() -> None:
    producer = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}
    assert method_of({}, producer) == "modelopt"
    assert method_of({"quantization_config": {"quant_method": "fp8"}}, producer) == "fp8"
    assert method_of({}, {}) is None
    assert method_of({}, {"quantization": {}}) is None


def test_formats_without_a_backward_pass_are_not_read() -> None:
    read = {method for method, row in FORMATS.items() if row.bytes_per_weight is not None}
    assert read == {"bitsandbytes", "fp8"}
    assert format_of("fp8") is FORMATS["fp8"]
    other = format_of("exl2")
    assert (other.title, other.bytes_per_weight, other.packages) == ("exl2", None, ())
    assert "no backward pass" in other.note


def test_memory_is_that_of_the_format_after_loading() -> None:
    # Four bits, their scales, and the parts that stay in 16 bits; FP8 becomes 16 bits.
    assert FORMATS["bitsandbytes"].bytes_per_weight == pytest.approx(0.5, abs=0.15)
    assert FORMATS["fp8"].bytes_per_weight == 2.0


def test_missing_packages_are_those_that_cannot_be_imported(monkeypatch: Any) -> None:
    there = {"accelerate"}
    monkeypatch.setattr(
        quantized_formats.importlib.util,  # type: ignore[attr-defined]
        "find_spec",
        lambda name: importlib.util if name in there else None,
    )
    row = QuantizedFormat("x", ("accelerate", "bitsandbytes"), 1.0, "")
    assert row.missing == ["bitsandbytes"]
    there.add("bitsandbytes")
    assert row.missing == []


def test_the_table_says_yes_or_why_not() -> None:
    rows = {method: (use, how) for _, method, use, how in formats_table()}
    assert set(rows) == {*FORMATS, "others"}
    for method, (use, how) in rows.items():
        row = format_of(method)
        assert use == ("no" if row.bytes_per_weight is None else "yes")
        assert (INSTEAD in how) == (use == "no")
        assert row.note in how
