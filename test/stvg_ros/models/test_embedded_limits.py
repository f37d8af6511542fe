# SPDX-License-Identifier: Apache-2.0

"""What the embedded model says that it does not know, and pictures of another shape."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import transformers
from fakes import FixedProposer, FixedSplitter, ToyMllm, no_checkpoint, noise_clip
from numpy.typing import NDArray

from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.scene import Scene
from stvg_ros.config import Config
from stvg_ros.io.tube_json import table
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.interfaces import ModelLimits
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.query import RuleSplitter
from stvg_ros.method.visual_tokens import VisualTokens, joined_slots
from stvg_ros.models import load_mllm
from stvg_ros.models.embedded_checkpoint import FOLDER
from stvg_ros.models.embedded_limits import OTHER_PICTURES, limits_of, unknown_words
from stvg_ros.models.preprocess import letterboxed
from stvg_ros.types import Clip, Query, Status, Tube

# Texture everywhere, as no rendered scene has it.
TEXTURE = np.kron(
    np.random.default_rng(0).integers(0, 256, (60, 80, 1), np.uint8), np.ones((4, 4, 3), np.uint8)
)
BICUBIC = 3


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(FOLDER)


def test_words_outside_the_vocabulary_are_named_once_in_order(tokenizer) -> None:
    texts = ["the man in blue Jeans who waves", "the man in blue jeans", "the bald man"]
    assert unknown_words(tokenizer, texts) == ("jeans", "bald")
    assert unknown_words(tokenizer, ["the person in red, who jumps."]) == ()


def test_contractions_are_no_words_of_their_own(tokenizer) -> None:
    assert unknown_words(tokenizer, ["the person who's waving", "the person who\u2019s"]) == ()
    for sentence in ("the person who isn't waving", "the person who isn\u2019t waving"):
        assert unknown_words(tokenizer, [sentence]) == ()
    assert unknown_words(tokenizer, ["the person at Morgan's jeans"]) == ("morgan", "jeans")


def test_a_tokenizer_without_an_unknown_token_knows_all_words() -> None:
    class Bytes:
        unk_token_id = None

    assert unknown_words(Bytes(), ["jeans"]) == ()


def test_tokens_that_a_tokenizer_adds_are_no_words() -> None:
    class Begins:
        """Begins a text with its unknown token, as some do that have no other."""

        unk_token_id = 0

        def __call__(self, word: str, add_special_tokens: bool = True) -> SimpleNamespace:
            own = [1 if word == "red" else 0]
            return SimpleNamespace(input_ids=[0, *own] if add_special_tokens else own)

    assert unknown_words(Begins(), ["red jeans"]) == ("jeans",)


def test_each_limit_is_one_sentence(tokenizer) -> None:
    scene = next(iter(scene_frames(Scene.from_seed(split_seed("test", 7))))).image
    assert limits_of(tokenizer, ["the person in red"], scene) == ModelLimits()
    assert limits_of(tokenizer, ["the bald man in jeans"], scene) == ModelLimits(
        ("the embedded model does not know: bald, jeans",), unknown_words=("bald", "jeans")
    )
    assert limits_of(tokenizer, ["the person in red"], TEXTURE) == ModelLimits(
        (OTHER_PICTURES,), trained_pictures=False
    )
    assert "model.path (--model), such as Qwen/" in OTHER_PICTURES


class LimitedMllm(ToyMllm):
    """Knows its limits, and never sees the target."""

    def limits(self, texts: Sequence[str], image: NDArray[np.uint8]) -> ModelLimits:
        self.asked = list(texts)
        return ModelLimits(("one limit", "another one"), trained_pictures=False)


def test_the_answer_names_the_limits_and_claims_no_calibration() -> None:
    settings = MllmSettings(split="rules", frame_count=5, presence_track_weight=1.0)

    def answer(mllm: ToyMllm) -> Tube:
        proposer = FixedProposer((0.0, 0.0, 40.0, 80.0))
        grounder = LocalGrounder(mllm, FixedSplitter(), proposer, Config())
        return grounder.ground(noise_clip(), Query("Q"), no_checkpoint).best

    limited = LimitedMllm(settings, lift=-20.0)
    missing = answer(limited)
    assert limited.asked == ["Q", "the red one", "the one who waves"]
    assert missing.status is Status.NOT_FOUND
    assert missing.warning == "one limit; another one"
    assert not missing.calibrated
    assert missing.error.endswith("which is not calibrated here)")
    assert "warning     one limit; another one" in table(missing)
    assert ", not calibrated" in table(missing)
    # The same without limits is calibrated; a model that nobody calibrated is not.
    assert answer(ToyMllm(settings, lift=-20.0)).calibrated
    assert "not calibrated" not in answer(ToyMllm(settings, lift=-20.0)).error
    assert not answer(ToyMllm()).calibrated


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((96, 128), (0, 6), (0, 8)),
        ((90, 160), (1, 5), (0, 8)),  # 16:9: 4.5 rows, rounded
        ((160, 90), (0, 6), (2, 5)),
        ((2, 200), (2, 3), (0, 8)),  # at least one row
    ],
)
def test_a_picture_of_another_shape_lies_in_whole_cells(
    shape: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    image = np.full((*shape, 3), 250, np.uint8)
    (frame,), picture = letterboxed([image], (96, 128), (6, 8), BICUBIC)
    assert picture == (slice(*rows), slice(*columns))
    assert frame.shape == (96, 128, 3)
    inside = np.zeros((96, 128), np.bool_)
    inside[rows[0] * 16 : rows[1] * 16, columns[0] * 16 : columns[1] * 16] = True
    assert (frame[inside] == 250).all()
    assert (frame[~inside] == 128).all()


def test_maps_cover_the_picture_alone() -> None:
    import torch

    features = torch.arange(24.0)[:, None]
    visual = VisualTokens(features, (2, 3, 4), ((0,), (1,)), picture=(slice(1, 2), slice(0, 4)))
    assert visual.on_picture(features.T)[0].tolist() == [[[4, 5, 6, 7]], [[16, 17, 18, 19]]]
    assert visual.reversed().picture == visual.picture
    part = VisualTokens(features[:12], (1, 3, 4), ((0,),), picture=visual.picture)
    assert joined_slots([part, part]).picture == visual.picture


def test_a_wide_scene_is_answered_in_its_own_pixels() -> None:
    """640 x 360: the model was trained on 4:3."""
    config = Config.from_flat({"presence.enabled": False, "reattention.spatial": False})
    scene = Scene.from_seed(split_seed("test", 7), width=640, height=360)
    clip = Clip(tuple(scene_frames(scene))[::6])
    mllm = load_mllm(config.model, config.attention)
    tall = mllm.encode([np.zeros((480, 640, 3), np.uint8)] * 2)
    wide = mllm.encode([frame.image for frame in clip.frames[:2]])
    assert (tall.picture, wide.grid) == (None, tall.grid)
    _, rows, columns = wide.grid
    assert wide.picture is not None
    assert wide.picture[1] == slice(0, columns)
    assert 0 < wide.picture[0].start < wide.picture[0].stop < rows
    left, right = (0.0, 0.0, 200.0, 360.0), (440.0, 0.0, 640.0, 360.0)
    grounder = LocalGrounder(mllm, RuleSplitter(), FixedProposer(left, right), config)
    found = grounder.ground(clip, Query("the person who waves"), no_checkpoint)
    assert found.evidence is not None
    shown = wide.picture[0].stop - wide.picture[0].start
    assert found.evidence.spatial.shape[1:] == (shown, columns)
    assert found.best.boxes[0].box_xyxy_px in (left, right)
