# SPDX-License-Identifier: Apache-2.0

"""The embedded checkpoint's training: the packed pass equals the library's, labels fit scenes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from stvg_lab.rendered.queries import VERBS
from stvg_lab.rendered.scene import Scene
from stvg_lab.runs.conventions import range_iou
from stvg_lab.training.clip_pool import (
    BAG_KINDS,
    FRAMES,
    NOBODY,
    STANDS,
    KeptPool,
    covered,
    make_clip,
    sampled,
)
from stvg_lab.training.embedded_model import build_model
from stvg_lab.training.examiner import (
    ACTS,
    COLOURS,
    COUNT,
    WALK,
    Cast,
    Examiner,
    Packer,
    Question,
    target_map,
)
from stvg_lab.training.held_out import half_peak
from stvg_lab.training.labels import DENSE, Labels
from stvg_lab.training.packed_questions import HEIGHT, WIDTH, encode, patches_of, run
from stvg_lab.training.train_embedded import Trainer
from stvg_lab.training.vocabulary import build_tokenizer, words
from stvg_ros.method.query import NEUTRAL
from stvg_ros.models.embedded_checkpoint import read_settings

TOKENIZER = build_tokenizer()


def prompt(question: str, visual_tokens: int = 1) -> str:
    content = [{"type": "video"}, {"type": "text", "text": question}]
    text = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    return text.replace("<|video_pad|>", "<|video_pad|>" * visual_tokens)


def test_the_prompt_ends_with_question_and_role_tokens() -> None:
    tokens = TOKENIZER.tokenize(prompt("Is there the person in red in this video?"))
    tail = ["<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"]
    assert tokens[-6:] == ["?", *tail]
    assert tokens[:3] == ["<|im_start|>", "system", "\n"]
    assert tokens.index("<|video_pad|>") < tokens.index("is")


def test_case_is_merged_and_strangers_become_unknown() -> None:
    assert TOKENIZER.tokenize("Yes yes NO") == ["yes", "yes", "no"]
    assert TOKENIZER.tokenize("a xylophone.") == ["a", "[UNK]", "."]
    assert TOKENIZER.tokenize("") == []
    assert "\n" in words()


@torch.no_grad()
def test_the_packed_pass_equals_the_library() -> None:
    torch.manual_seed(0)
    model = build_model(TOKENIZER).eval()
    frames = torch.randint(0, 255, (1, FRAMES, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    grid = torch.tensor([[FRAMES // 2, HEIGHT // 8, WIDTH // 8]])
    patches = patches_of(frames)
    visual = encode(model, patches)
    flat = patches.flatten(0, 1)
    expected = model.model.get_video_features(flat, grid).pooler_output[0]
    torch.testing.assert_close(visual.flatten(0, 1), expected, atol=1e-5, rtol=0)

    texts = [prompt(q, len(expected)) for q in ("Is there someone?", NEUTRAL)]
    model.set_attn_implementation("eager")
    for index, text in enumerate(texts):
        ids = TOKENIZER(text, return_tensors="pt").input_ids
        kinds = (ids == model.config.video_token_id).int() * 2
        whole = model(
            input_ids=ids,
            pixel_values_videos=flat,
            video_grid_thw=grid,
            mm_token_type_ids=kinds,
            output_attentions=True,
        )
        seen = kinds[0].nonzero()[:, 0]
        start = int(seen[-1]) + 2
        question = ids[0, start:]
        other = torch.full_like(question, 3)
        packed = run(
            model,
            visual[None],
            ids[0, : seen[0]],
            ids[0, start - 1 : start],
            torch.stack([other, question])[None] if index else torch.stack([question, other])[None],
            (2, 3),
        )
        torch.testing.assert_close(
            packed.logits[0, index], whole.logits[0, start:], atol=1e-5, rtol=0
        )
        for layer in (0, 1):
            rows = whole.attentions[2 + layer][0].mean(0)[start:, seen]
            torch.testing.assert_close(packed.attention[layer, 0, index], rows, atol=1e-6, rtol=0)


def test_covered_shares_of_tokens() -> None:
    assert covered(np.zeros((0, 4), np.float32)).shape == (0, 48)
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1 / 8, 1 / 12], [0.5, 1 / 3, 0.6875, 0.5]], np.float32)
    shares = covered(boxes).reshape(3, 6, 8)
    np.testing.assert_allclose(shares[0], 1, atol=1e-6)
    assert shares[1, 0, 0] == pytest.approx(0.5)
    assert shares[1].sum() == pytest.approx(0.5)
    np.testing.assert_allclose(shares[2, 2, 4:6], [1, 0.5], atol=1e-5)


def test_clips_carry_the_scene_s_labels() -> None:
    scene = Scene.from_seed(0, people=2)
    clip = make_clip(scene)
    assert clip.frames.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert (clip.shirts[2:] == NOBODY).all()
    chosen = sampled(scene, None)
    assert (np.diff(chosen) > 0).all()
    for index, person in enumerate(scene.people):
        for at, frame in enumerate(chosen):
            act = person.act_at(int(frame))
            assert ACTS[clip.acts[index, at]] == (act.name if act else "stand")
            assert clip.carries[index, at] == person.carries(int(frame))
            assert clip.places[index, at] == pytest.approx(person.x_at(int(frame)) / scene.width)
        assert BAG_KINDS[clip.bags[index]] == person.bag


def cast_of(shirts: list[int], bags: list[int], acts: np.ndarray, places: list[float]) -> Cast:
    return Cast(
        np.array(shirts),
        np.array(bags),
        acts,
        np.tile(np.array(places, np.float32)[:, None], acts.shape[1]),
    )


def test_answers_agree_with_the_cast() -> None:
    rng = np.random.default_rng(0)
    acts = np.full((4, FRAMES), STANDS)
    acts[0, 4:9] = ACTS.index("wave")
    acts[2:] = NOBODY
    # Red waves on the left; blue stands on the right with a backpack.
    cast = cast_of([0, 1, NOBODY, NOBODY], [0, 1, 0, 0], acts, [0.2, 0.7, 0, 0])
    assert cast.people() == [0, 1]
    kinds = set()
    for _ in range(200):
        questions = Examiner(rng, cast).questions()
        assert len(questions) == COUNT
        assert questions[0].answer == "people in red and blue."
        for question in questions[1:]:
            kinds.add(question.kind)
            words = set(re.findall(r"[a-z]+", question.prompt))
            waves = any(pair[k] in question.prompt for pair in VERBS["wave"] for k in (0, 1))
            if question.kind == "attribute":
                fits = ("red" in words, bool(words & {"blue", "bag", "backpack"}))
                assert list(question.people) == [i for i in (0, 1) if fits[i]]
            if question.kind == "action" and waves:
                assert (question.answer, question.people) == ("yes", (0,))
            if question.kind == "combined" and waves:
                assert question.answer == ("yes" if "red" in words else "no")
            if question.kind == "relation":
                right = ("left" in words) == ("red" in words)
                assert question.people == (() if right else (1 if "red" in words else 0,))
    assert kinds == {"attribute", "action", "combined", "relation", "what", "colour"}


def test_nobody_is_beside_one_who_is_crossed() -> None:
    acts = np.full((3, FRAMES), STANDS)
    cast = cast_of([0, 1, 2], [0, 0, 0], acts, [0.2, 0.5, 0.8])
    assert cast.beside("right", 0) == [1, 2]
    assert cast.beside("left", 0) == []
    cast.places[2, -1] = 0.19
    assert cast.beside("right", 0) is None


def test_a_mirror_swaps_left_and_right() -> None:
    left, right = WALK
    cover = torch.zeros(1, 1, 2, 48)
    cover[..., 0] = 1
    labels = Labels(
        shirts=torch.tensor([[0]]),
        bags=torch.tensor([[2]]),
        acts=torch.tensor([[[left, 3]]]),
        carries=torch.tensor([[[False, True]]]),
        places=torch.tensor([[[0.25, 0.5]]]),
        cover=cover,
    )
    other = labels.mirrored()
    assert other.acts.tolist() == [[[right, 3]]]
    assert other.places.tolist() == [[[0.75, 0.5]]]
    assert (other.cover.argmax(-1) == 7).all()
    torch.testing.assert_close(other.mirrored().dense(), labels.dense())


def test_dense_labels_tell_what_a_token_shows() -> None:
    cover = torch.zeros(1, 2, 2, 48)
    cover[0, 0, :, 5] = 0.5
    cover[0, 1, :, 9] = 1
    labels = Labels(
        shirts=torch.tensor([[1, NOBODY]]),
        bags=torch.tensor([[2, 0]]),
        acts=torch.tensor([[[STANDS, 2], [NOBODY, NOBODY]]]),
        carries=torch.tensor([[[False, True], [False, False]]]),
        places=torch.zeros(1, 2, 2),
        cover=cover,
    )
    dense = labels.dense()
    assert dense.shape == (1, 48, DENSE)
    first = len(COLOURS) + len(BAG_KINDS)
    expected = {1, len(COLOURS) + 1, first - 1 + 0, first + 2, first + STANDS}
    assert set(dense[0, 5].nonzero()[:, 0].tolist()) == expected
    assert dense.sum() == len(expected)


def test_targets_lie_on_the_person_in_the_slots_of_the_action() -> None:
    cover = torch.zeros(2, 4, 6)
    cover[0, :, 1] = 0.5
    cover[1, :, 4] = 1.0
    acts = torch.full((2, 4), STANDS)
    acts[0, 2:] = 2
    looks = target_map(Question("", "", "attribute", (0,), None), cover, acts)
    assert looks[:, 1].tolist() == [0.5, 0.5]
    waves = target_map(Question("", "", "action", (0,), (2,)), cover, acts)
    assert waves[:, 1].tolist() == [0, 1]
    assert target_map(Question("", "", "action", (), None), cover, acts).sum() == 0
    neutral = target_map(Question("", "", "neutral", (0, 1), None), cover, acts)
    assert float(neutral.sum()) == pytest.approx(1)
    assert float(neutral.min()) > 0


def test_packed_labels_follow_the_role_tokens() -> None:
    questions = [Question("Is there someone?", "yes", "action", (), None)]
    packed = Packer(TOKENIZER)([questions])
    kept = (packed.labels[0, 0] >= 0).nonzero()[:, 0].tolist()
    rows = packed.rows[0, 0].tolist()
    assert TOKENIZER.convert_ids_to_tokens(packed.ids[0, 0, rows[0]].item()) == "?"
    assert kept == [rows[-1], rows[-1] + 1]
    assert TOKENIZER.decode(packed.labels[0, 0, kept]) == "yes <|im_end|>"


def test_half_peak_and_range_iou() -> None:
    assert half_peak(np.array([0.1, 0.6, 1.0, 0.5, 0.4, 0.9])) == (1, 4)
    assert half_peak(np.zeros(3)) == (0, 3)
    assert range_iou((0, 10), (5, 15)) == pytest.approx(1 / 3)
    assert range_iou((0, 0), (0, 0)) == 0


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> KeptPool:
    return KeptPool(tmp_path_factory.mktemp("pool") / "clips.safetensors", 6, 0)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_5"])
def test_training_for_a_number_of_steps_is_reproducible(family: str, pool: KeptPool) -> None:
    def trained(most: int) -> Trainer:
        trainer = Trainer(0, 50, pool, eager=True, family=family, steps=20, clips=2)
        while trainer.share < 1 and trainer.step < most:
            trainer.train_step()
        return trainer

    first, again = trained(2), trained(2)
    assert (first.step, first.share) == (2, 0.1)
    for name, weight in first.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name]), name
    first.step = 19
    first.elapsed_s = 1e6  # the time does not count
    assert first.share == 0.95
    first.step = 20
    assert first.share == 1


@pytest.mark.slow
def test_a_minute_part_of_training_writes_a_folder_that_loads(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

    out = tmp_path / "model"
    arguments = ["--minutes", "0.02", "--held-out", "1", "--test", "1", "--pool", "16", "--clips",
                 "1", "--eager"]  # fmt: skip
    # Away from the checkout, whose ./stvg_ros would hide the installed package.
    module = [sys.executable, "-m", "stvg_lab.training.train_embedded"]
    subprocess.run(
        [*module, "--out", out, *arguments], cwd=tmp_path, check=True, timeout=900,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    model = Qwen2VLForConditionalGeneration.from_pretrained(out)
    assert model.config.stvg_attention_layers == [2, 3]
    assert AutoTokenizer.from_pretrained(out).chat_template
    names = {path.name for path in out.iterdir()}
    files = {"README.md", "stvg.json", "training_report.json", "preprocessor_config.json"}
    assert files <= names
    assert read_settings(out / "stvg.json").frame_count == FRAMES
