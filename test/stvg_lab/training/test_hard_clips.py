# SPDX-License-Identifier: Apache-2.0

"""Training on hard scenes: labels and questions are those of the scene, all words are known."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

from stvg_lab.rendered.hard.hard_queries import HARD_KINDS, HardQuery, hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.hard.templates import TEST, TRAINING
from stvg_lab.rendered.queries import TRAIN_HARD, scene_queries, split_seed
from stvg_lab.rendered.scene import Scene
from stvg_lab.training import hard_clips
from stvg_lab.training.architecture import ARCHITECTURES
from stvg_lab.training.clip_kinds import CLIP_KINDS, busy_slots
from stvg_lab.training.clip_pool import FRAMES, sampled
from stvg_lab.training.drawn_clips import draw_hard_clip
from stvg_lab.training.embedded_model import build_model
from stvg_lab.training.examiner import COUNT, LENGTH, Packer, Question
from stvg_lab.training.hard_clips import (
    HARD_ARRAYS,
    NOBODY,
    OWNERS,
    TRAITS,
    UNUSED,
    HardClip,
    make_hard_clip,
)
from stvg_lab.training.hard_labels import NUMBER, HardLabels
from stvg_lab.training.held_out import held_out
from stvg_lab.training.model_card import model_card
from stvg_lab.training.train_embedded import UNTAUGHT, Trainer
from stvg_lab.training.train_embedded import main as train
from stvg_lab.training.vocabulary import NUMBERS, build_tokenizer, words
from stvg_ros.method.painted_ids import which_number
from stvg_ros.method.query import question
from stvg_ros.method.stated_interval import which_image
from stvg_ros.models.embedded_checkpoint import FOLDER

HARD = CLIP_KINDS["hard"]


@lru_cache(maxsize=4)
def made(number: int) -> tuple[HardScene, list[HardQuery], HardClip]:
    scene = HardScene.from_seed(split_seed(TRAIN_HARD, number))
    queries = list(hard_queries(scene, TRAIN_HARD, number))
    return scene, queries, make_hard_clip(scene, queries)


def batch_of(*numbers: int):  # type: ignore[no-untyped-def]
    clips = [made(number)[2] for number in numbers]
    arrays = {
        name: torch.stack([torch.from_numpy(getattr(clip, name)).to(kind) for clip in clips])
        for name, (_, kind) in HARD_ARRAYS.items()
    }
    every = torch.arange(FRAMES).expand(len(clips), -1)
    return HARD.labels(arrays, torch.arange(len(clips)), every), arrays


def test_a_clip_has_the_shapes_of_the_pool() -> None:
    clip = draw_hard_clip(np.random.default_rng(1))
    for name, (shape, _) in HARD_ARRAYS.items():
        assert getattr(clip, name).shape == shape, name
    assert (clip.owners != UNUSED).sum() > 10


@pytest.mark.parametrize("number", [1, 6])
def test_traits_and_sentences_are_those_of_the_scene(number: int) -> None:
    scene, queries, clip = made(number)
    chosen = sampled(scene, None)
    for index, actor in enumerate(scene.people):
        for at, frame in enumerate(chosen.tolist()):
            found = {TRAITS[i] for i in np.flatnonzero(clip.traits[index, at])}
            doing = actor.doing_at(frame)
            assert {actor.colour, actor.garment, actor.pose_name(frame)} <= found
            assert (doing.name if doing else "") in (*found, "")
            assert ("holding" in found) == bool(actor.holding(frame))
    for number, thing in enumerate(scene.things, len(scene.people)):
        if number < OWNERS:
            assert {TRAITS[i] for i in np.flatnonzero(clip.traits[number, 0])} == {
                thing.kind, thing.colour,
            }  # fmt: skip
    asked = [
        (bytes(text).rstrip(b"\0").decode(), owner, inside)
        for text, owner, inside in zip(clip.texts, clip.owners, clip.inside, strict=True)
        if owner != UNUSED
    ]
    by_text = {query.text.rstrip("."): query for query in queries}
    assert len(asked) > 8
    for text, owner, inside in asked:
        query = by_text[text]
        assert owner == (NOBODY if query.target is None else query.target)
        assert inside.tolist() == [
            query.start_frame <= frame < query.end_frame for frame in chosen.tolist()
        ]


def test_a_mirror_swaps_sides_arms_and_words() -> None:
    labels, _ = batch_of(1, 6)
    left, right = TRAITS.index("raise left arm"), TRAITS.index("raise right arm")
    traits = labels.traits.clone()
    traits[0, 0, :5, left], traits[0, 0, :5, right] = True, False
    other = replace(labels, traits=traits).mirrored()
    assert other.traits[0, 0, :5, right].all() and not other.traits[0, 0, :5, left].any()
    other = labels.mirrored()
    assert torch.equal(other.cover[..., 0], labels.cover[..., 7])
    assert torch.equal(other.mirrored().traits, labels.traits)
    said = labels.questions(np.random.default_rng(3)), other.questions(np.random.default_rng(3))
    swapped = 0
    every = ([one for clip in each for one in clip] for each in said)
    for one, two in zip(*every, strict=True):
        assert one.answer == two.answer
        sides = re.findall("left|right", one.prompt)
        assert re.findall("left|right", two.prompt) == [
            "left" if side == "right" else "right" for side in sides
        ]
        swapped += len(sides)
    assert swapped


def test_questions_have_the_answers_and_targets_of_their_sentences() -> None:
    labels, _ = batch_of(1, 6)
    batch = labels.questions(np.random.default_rng(0))
    targets = labels.targets(batch)
    assert [len(questions) for questions in batch] == [COUNT, COUNT]
    answers = [one.answer for questions in batch for one in questions[1:]]
    assert {"yes", "no"} == set(answers)
    for clip, number in enumerate((1, 6)):
        scene, queries, _ = made(number)
        by_text = {query.text.rstrip("."): query for query in queries}
        neutral = batch[clip][0]
        assert neutral.people == tuple(range(len(scene.people)))
        assert set(re.findall("[a-z]+", neutral.answer)) - {"people", "in", "and"} == {
            actor.colour for actor in scene.people
        }
        assert float(targets[clip, 0].sum()) == pytest.approx(1)
        for place, one in enumerate(batch[clip][1:], 1):
            text = one.prompt.removeprefix("Is there ").removesuffix(" in this video?")
            query = next(q for t, q in by_text.items() if t.lower() == text.lower())
            assert one.answer == ("no" if query.target is None else "yes")
            where = targets[clip, place].view(FRAMES // 2, -1)
            if query.target is None:
                assert where.sum() == 0
                continue
            inside = labels.inside.new_tensor(
                [query.start_frame <= f < query.end_frame for f in sampled(scene, None).tolist()]
            )
            seen = (labels.cover[clip, query.target] * inside[:, None]) > 0
            assert (where > 0).equal(seen.view(FRAMES // 2, 2, -1).any(1))


def test_dense_labels_are_the_traits_of_whom_a_token_shows() -> None:
    labels, arrays = batch_of(1)
    dense = labels.dense().view(FRAMES // 2, -1, len(TRAITS))
    for slot in range(0, FRAMES // 2, 3):
        for token in range(0, dense.shape[1], 5):
            shown = set()
            for frame in (2 * slot, 2 * slot + 1):
                for owner in range(OWNERS):
                    if float(arrays["cover"][0, owner, frame, token]) > 0.12:
                        shown |= {*arrays["traits"][0, owner, frame].nonzero()[:, 0].tolist()}
            assert set(dense[slot, token].nonzero()[:, 0].tolist()) == shown


def test_busy_slots_are_those_in_which_something_is_done() -> None:
    scene, _, _ = made(1)
    _, arrays = batch_of(1)
    chosen = sampled(scene, None)
    expected = [
        any(actor.doing_at(int(frame)) for actor in scene.people for frame in pair)
        for pair in chosen.reshape(-1, 2)
    ]
    assert busy_slots(HARD, arrays, 0, 2).tolist() == expected


@pytest.mark.parametrize("family", sorted(ARCHITECTURES))
def test_all_words_of_hard_scenes_are_known(family: str) -> None:
    architecture = ARCHITECTURES[family]
    tokenizer = architecture.build_tokenizer(True)
    unknown = tokenizer.convert_tokens_to_ids("[UNK]")
    for word in {*TRAINING.words(), *TEST.words(), *HARD.naming}:
        token = architecture.spelled(word)
        assert tokenizer.convert_tokens_to_ids(token) != unknown, word
    assert not set(words()) >= TRAINING.words()
    assert set(words(True)) > set(words())


def test_questions_fit_their_places() -> None:
    labels, _ = batch_of(1, 6)
    packer = Packer(build_tokenizer(True), str, HARD.naming)
    packed = packer(labels.questions(np.random.default_rng(2)))
    assert packed.ids.shape[-1] == LENGTH
    assert packed.named[:, 1:].any(-1).all()


def test_a_sentence_that_is_too_long_is_not_asked() -> None:
    scene, queries, _ = made(1)
    kept = " ".join(["red"] * 22)
    long = [replace(queries[0], text=text) for text in (f"{kept} red", kept, "red " * 50)]
    clip = make_hard_clip(scene, long)
    assert bytes(clip.texts[0]).rstrip(b"\0").decode() == kept
    assert (clip.owners[1:] == UNUSED).all()
    asked = Question(question(kept), "yes", "hard", (), None)
    assert Packer(build_tokenizer(True))([[asked]]).ids.shape[-1] == LENGTH


def test_held_out_scenes_have_sentences_of_every_kind() -> None:
    kinds = {query.kind for _, _, asked in held_out("val-hard", 3) for query in asked}
    assert kinds >= {"gesture", "pose", "garment", "object"}


def marked_labels() -> tuple[HardLabels, HardScene, list[HardQuery]]:
    """The clips 1 and 6, of which the first has numbers on all of its people and images."""
    labels, _ = batch_of(1, 6)
    scene, queries, _ = made(1)
    numbers, ordinals = torch.zeros_like(labels.numbers), torch.zeros_like(labels.ordinals)
    people = len(scene.people)
    numbers[0, :people] = torch.arange(people, 0, -1)
    ordinals[0] = True
    return replace(labels, numbers=numbers, ordinals=ordinals), scene, queries


def test_a_number_is_that_of_the_target_or_of_an_end_of_its_span() -> None:
    labels, scene, queries = marked_labels()
    chosen = sampled(scene, None)
    right = {}
    for query in queries:
        text = query.text.rstrip(".")
        if query.target is None:
            continue
        inside = (chosen >= query.start_frame) & (chosen < query.end_frame)
        slots = np.flatnonzero(inside.reshape(-1, 2).any(1))
        if query.target < len(scene.people):
            right[which_number(text)] = len(scene.people) - query.target
        if len(slots):
            right[which_image(text, "first")] = slots[0] + 1
            right[which_image(text, "last")] = slots[-1] + 1
    found = set()
    for seed in range(8):
        first, second = labels.questions(np.random.default_rng(seed))
        assert [len(first), len(second)] == [COUNT, COUNT]
        assert not [one for one in second if one.kind == NUMBER]
        for one in first:
            if one.kind == NUMBER:
                assert one.answer == str(right[one.prompt])
                found.add(one.prompt.split("Which number has ")[1].split()[:2][1])
    assert {"first", "last"} < found  # and numbers of people
    without = replace(labels, ordinals=labels.ordinals & False, numbers=labels.numbers * 0)
    kinds = {one.kind for one in without.questions(np.random.default_rng(0))[0]}
    assert NUMBER not in kinds


def test_questions_for_numbers_have_no_unknown_word_and_one_token_as_an_answer() -> None:
    labels, _, _ = marked_labels()
    tokenizer = build_tokenizer(True)
    unknown = tokenizer.convert_tokens_to_ids("[UNK]")
    asked = [
        one
        for seed in range(4)
        for one in labels.questions(np.random.default_rng(seed))[0]
        if one.kind == NUMBER
    ]
    assert asked
    for one in asked:
        assert unknown not in tokenizer(one.prompt)["input_ids"], one.prompt
        assert len(tokenizer(one.answer)["input_ids"]) == 1
    for number in NUMBERS:
        assert tokenizer.tokenize(number) == [number]
    assert not set(words()) & set(NUMBERS)


def test_numbers_are_drawn_at_the_people_and_in_the_corner(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, queries, _ = made(1)
    drawn: list[tuple[dict[int, list[float]], int | None]] = []

    def note(image, boxes, ordinal):  # type: ignore[no-untyped-def]
        drawn.append((dict(boxes), ordinal))
        return np.zeros_like(image)

    monkeypatch.setattr(hard_clips, "with_numbers", note)
    seeds = iter(range(100))
    clip = made(1)[2]
    while not (clip.numbers.any() and clip.ordinals[0]):
        drawn.clear()
        clip = make_hard_clip(scene, queries, np.random.default_rng(next(seeds)))
    assert len(drawn) == FRAMES and clip.frames.max() < 40  # what was drawn is what is shown
    assert [ordinal for _, ordinal in drawn] == [1 + at // 2 for at in range(FRAMES)]
    kept = np.flatnonzero(clip.numbers)
    assert sorted(clip.numbers[kept]) == list(range(1, len(kept) + 1))
    shares = clip.cover.reshape(OWNERS, FRAMES, 6, 8)
    for at, (boxes, _) in enumerate(drawn):
        for owner in kept:
            if int(clip.numbers[owner]) not in boxes:
                assert shares[owner, at].sum() < 2
                continue
            x1, y1, x2, y2 = boxes[int(clip.numbers[owner])]
            area = shares[owner, at].sum() * 40 * 40
            assert abs((x2 - x1) * (y2 - y1) - area) < 0.25 * area + 100


def test_a_plain_scene_has_the_traits_of_its_people() -> None:
    scene = Scene.from_seed(split_seed("train", 3))
    queries = scene_queries(scene, 3)
    clip = make_hard_clip(scene, queries)
    chosen = sampled(scene, None)
    done = set()
    for index, person in enumerate(scene.people):
        for at, frame in enumerate(chosen.tolist()):
            found = {TRAITS[i] for i in np.flatnonzero(clip.traits[index, at])}
            act = person.act_at(frame)
            assert person.shirt in found and ("holding" in found) == person.carries(frame)
            assert (person.bag or person.shirt) in found
            if act is not None:
                assert {act.name, act.name.replace("_", " ")} & found
                done.add(act.name)
            assert ("standing" in found) == (act is None or act.name != "sit")
    assert done
    assert not clip.traits[len(scene.people) :].any()
    asked = {bytes(text).rstrip(b"\0").decode() for text in clip.texts} - {""}
    assert asked <= {query.text.rstrip(".") for query in queries} and len(asked) > 15


class OwnPool:
    """A pool of the clips 1 and 6, the first with numbers."""

    def __init__(self) -> None:
        _, self.arrays = batch_of(1, 6)
        marked, _, _ = marked_labels()
        self.arrays |= {"numbers": marked.numbers, "ordinals": marked.ordinals}
        self.size, self.count = 2, torch.tensor([2])

    def draw(self, rng: np.random.Generator, clips: int) -> np.ndarray:
        return rng.integers(2, size=clips)

    def close(self) -> None:
        pass


def trainer(**asked: object) -> Trainer:
    return Trainer(0, 1.0, OwnPool(), True, scenes="hard", clips=1, **asked)  # type: ignore[arg-type]


def test_a_start_gives_the_weights_of_all_words_that_are_known(tmp_path: Path) -> None:
    plain = build_tokenizer()
    build_model(plain).save_pretrained(tmp_path)
    plain.save_pretrained(tmp_path)
    started, fresh = trainer(start=tmp_path), trainer()
    package = Qwen2VLForConditionalGeneration.from_pretrained(tmp_path).state_dict()
    known = AutoTokenizer.from_pretrained(tmp_path).get_vocab()
    vocabulary = started.tokenizer.get_vocab()
    assert set(known) < set(vocabulary) and known["wave"] != vocabulary["wave"]
    own, other = started.model.state_dict(), fresh.model.state_dict()
    for name, value in package.items():
        if not name.endswith(("embed_tokens.weight", "lm_head.weight")):
            assert torch.equal(own[name], value), name
            continue
        for word, at in vocabulary.items():
            expected = value[known[word]] if word in known else other[name][at]
            assert torch.equal(own[name][at], expected), word


def test_a_start_of_another_size_is_refused(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    build_model(tokenizer, hidden=64).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"expected .* of shape .*128.* got .*64"):
        trainer(start=tmp_path)


@pytest.mark.parametrize("untaught", [False, True])
def test_where_attention_falls_is_not_taught_if_asked(
    monkeypatch: pytest.MonkeyPatch, untaught: bool
) -> None:
    def trained() -> torch.Tensor:
        one = trainer(start=FOLDER, untaught=untaught)
        one.train_step()
        return torch.cat([p.detach().flatten() for p in one.model.parameters()])

    before = trained()
    true = HardLabels.targets
    monkeypatch.setattr(HardLabels, "targets", lambda self, batch: true(self, batch).flip(-1))
    assert torch.equal(before, trained()) == untaught


def test_attention_that_is_not_taught_is_not_copied() -> None:
    known = Qwen2VLForConditionalGeneration.from_pretrained(FOLDER).state_dict()
    weights = trainer(start=FOLDER, untaught=True).model.state_dict()
    layer = "model.language_model.layers.1.self_attn.{}_proj.weight"
    same = {name: torch.equal(weights[layer.format(name)], known[layer.format(name)])
            for name in "qkvo"}  # fmt: skip
    assert same == {"q": False, "k": False, "v": True, "o": True}
    tower = "model.visual.blocks.0.attn.qkv.weight"
    assert torch.equal(weights[tower], known[tower])


def test_a_step_has_clips_with_numbers_or_without() -> None:
    one = trainer(start=FOLDER)
    assert one._picked(3, True).tolist() == [0, 0, 0]
    assert one._picked(3, False).tolist() == [1, 1, 1]


@pytest.mark.slow
def test_training_on_hard_scenes_stops_and_continues(tmp_path: Path) -> None:
    out, clips = tmp_path / "model", tmp_path / "clips.safetensors"
    few = ["--held-out", "1", "--test", "1", "--pool", "12", "--pool-file", str(clips), "--clips",
           "1", "--eager", "--scenes", "hard"]  # fmt: skip

    def trained(*arguments: str) -> dict[str, object]:
        train(["--out", str(out), *few, *arguments])
        found: dict[str, object] = json.loads((out / "training_report.json").read_text())
        return found

    first = trained("--steps", "3", "--start", str(FOLDER), "--untaught-attention")
    assert first["notes"] == [
        "Training began with the weights of embedded.",
        UNTAUGHT,
    ]
    assert (first["steps"], first["scenes"], first["held_out_split"]) == (3, "hard", "test-hard")
    card = (out / "README.md").read_text()
    assert card == model_card(first)
    assert all(kind in card for kind in HARD_KINDS) and "train-hard" in card
    assert trained("--steps", "5", "--resume", str(out))["steps"] == 5


def test_some_clips_have_a_photograph_as_background(tmp_path: Path) -> None:
    path = tmp_path / "green.png"
    image = np.zeros((60, 80, 3), np.uint8)
    image[..., 1] = 255
    cv2.imwrite(str(path), image)
    green = 0
    for seed in range(12):
        clip = draw_hard_clip(np.random.default_rng(seed), [path])
        edge = clip.frames[:, -4:].reshape(-1, 3).astype(int)
        green += bool((edge[:, 1] > 2 * edge[:, 0] + 20).mean() > 0.5)
    assert 1 <= green <= 8


def test_photographs_are_for_hard_scenes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train(["--out", "x", "--photos", "y"])
    assert "--photos: expected with --scenes hard" in capsys.readouterr().err
