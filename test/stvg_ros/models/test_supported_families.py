# SPDX-License-Identifier: Apache-2.0

"""The table of families agrees with their modules, the library and the refusals."""

from __future__ import annotations

import importlib

import pytest
import torch
import transformers

from stvg_ros.models.families import (
    FAMILIES,
    NO_ADAPTER,
    ORIGINALS,
    UNFIT,
    families_table,
    original_of,
    unsupported,
)
from stvg_ros.models.family import Layout


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_row_is_what_its_module_and_the_library_say(kind: str) -> None:
    row = FAMILIES[kind]
    family = importlib.import_module(row.module).FAMILY
    assert family.pairs == row.pairs
    assert family.deep == (kind in ("qwen3_vl", "qwen3_vl_moe"))  # with deepstack
    assert getattr(transformers, row.class_name).config_class.model_type == kind
    assert (row.title, kind, row.class_name, row.tokens, "12"[row.pairs], row.rehearsed) in (
        families_table()
    )


@pytest.mark.parametrize("kind", UNFIT)
def test_a_family_that_would_run_wrongly_is_refused_with_the_reason(kind: str) -> None:
    assert kind not in FAMILIES
    assert unsupported(kind) == f"model_type {kind!r} is refused: {UNFIT[kind]}"


@pytest.mark.parametrize("kind", ORIGINALS)
def test_the_authors_own_layout_is_refused_with_the_other_repository(kind: str) -> None:
    title, others = ORIGINALS[kind]
    assert title in {row.title for row in FAMILIES.values()}
    assert title in unsupported(kind)
    assert others in unsupported(kind)


@pytest.mark.parametrize("kind", NO_ADAPTER)
def test_a_checkpoint_of_several_models_is_refused_by_name(kind: str) -> None:
    assert kind not in FAMILIES and kind in transformers.CONFIG_MAPPING
    title, instead = NO_ADAPTER[kind]
    assert title in unsupported(kind) and unsupported(kind).endswith(f"use {instead}")
    assert instead.removeprefix("a ") in {row.title for row in FAMILIES.values()}


def test_an_unknown_family_is_named() -> None:
    assert unsupported("bert") == "unknown model_type 'bert'"


@pytest.mark.parametrize(
    ("hub_id", "kind"),
    [
        ("OpenGVLab/InternVL3-8B", "internvl_chat"),
        ("OpenGVLab/InternVL3-8B-Instruct", "internvl_chat"),
        ("OpenGVLab/InternVL3-8B-hf", None),
        ("OpenGVLab/InternVL3-8B-HF", None),
        ("OpenGVLab/other", None),
        ("somebody/InternVL3-8B", None),
        ("InternVL3-8B", None),
        ("OpenGVLab", None),
        ("", None),
        ("DAMO-NLP-SG/VideoLLaMA3-2B", "videollama3_qwen2"),
        ("DAMO-NLP-SG/VideoLLaMA2-7B", None),
        ("OpenGVLab/VideoLLaMA3-2B", None),
        ("Qwen/Qwen2.5-VL-3B-Instruct", None),
    ],
)
def test_hub_ids_of_the_authors_own_layout(hub_id: str, kind: str | None) -> None:
    assert original_of(hub_id) == kind


def test_layouts_are_equal_if_their_prompt_and_positions_are() -> None:
    one = Layout("<video>", "<v><v>", 7, slot_times=(0, 2))
    assert one.equals(Layout("<other>", "<v><v>", 8, torch.ones(1, 4), (0, 2)))
    assert not one.equals(Layout("<video>", "<v>", 7, slot_times=(0, 2)))
    assert not one.equals(Layout("<video>", "<v><v>", 7, slot_times=(0, 4)))
