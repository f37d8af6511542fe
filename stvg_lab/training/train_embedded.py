# SPDX-License-Identifier: Apache-2.0

"""Trains the embedded checkpoint from scratch on rendered scenes.

    python -m stvg_lab.training.train_embedded --out DIR --minutes 50 --seed 0 [--resume DIR]

`--scenes hard` draws clips and sentences of train-hard and train, a quarter of them with numbers on
candidates and images. `--start FOLDER` begins with the weights of another checkpoint;
`--untaught-attention` trains the answers only, and does not start with another's queries and keys.
`--architecture qwen3_5` builds the same size in the family Qwen3.5, of mostly recurrent layers.
With `--steps` and `--pool-file` runs of different families are trained equally long on equal clips,
and with `--known-tower` on equal visual tokens.

Three stages share the time: the vision tower alone on dense labels of its tokens; the whole model
on three slots of a clip; the whole model on all eight. With `--start` all is the last stage.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stvg_lab.rendered.photo_backdrop import photos_in
from stvg_lab.training.architecture import ARCHITECTURES
from stvg_lab.training.clip_kinds import CLIP_KINDS, ClipLabels, busy_slots
from stvg_lab.training.clip_pool import KeptPool, Pool
from stvg_lab.training.embedded_model import save_folder
from stvg_lab.training.examiner import Packer
from stvg_lab.training.held_out import (
    HeldOutAnswers,
    held_out,
    held_out_figures,
    progress_figures,
)
from stvg_lab.training.known_weights import copy_tower, copy_weights
from stvg_lab.training.model_card import model_card
from stvg_lab.training.packed_questions import PAIR, patches_of
from stvg_lab.training.training_losses import answer_loss, label_loss, words_loss
from stvg_lab.training.vocabulary import NUMBERS

SLOTS = 8
STAGE_A, STAGE_B = 0.05, 0.20  # shares of the time at which the stages end
PEAK_RATE, WARM_UP_STEPS, EMA = 1.5e-3, 150, 0.997
ATTENTION_WEIGHT, DENSE_WEIGHT, MASS_WEIGHT, WORDS_WEIGHT = 0.8, 0.3, 0.15, 0.2
KNOWN = "The vision tower is that of the model in the package, and was not trained here."
UNTAUGHT = "Only answers were trained, and queries and keys from scratch: attention was not taught."
MARKED = 0.25  # share of the last stage's steps on clips with numbers


@dataclass
class Trainer:
    """The state of one training run."""

    seed: int
    minutes: float
    pool: Pool | KeptPool
    eager: bool = False
    family: str = "qwen2_vl"
    steps: int = 0
    clips: int = 8
    known_tower: bool = False
    scenes: str = "plain"
    start: Path | None = None
    untaught: bool = False
    elapsed_s: float = 0.0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        self.rng = np.random.default_rng(self.seed)
        self.architecture = ARCHITECTURES[self.family]
        self.kind = CLIP_KINDS[self.scenes]
        self.tokenizer = self.architecture.build_tokenizer(self.kind.hard)
        self.packer = Packer(self.tokenizer, self.architecture.spelled, self.kind.naming)
        self.model = self.architecture.build_model(self.tokenizer)
        if self.known_tower:
            copy_tower(self.model)
        if self.start is not None:
            copy_weights(self.model, self.tokenizer, self.start, attention=not self.untaught)
        hidden = self.model.config.text_config.hidden_size
        dense = self.kind.dense
        self.heads = nn.ModuleList([nn.Linear(hidden, dense), nn.Linear(hidden, dense)])
        self.encode, self.run = self.architecture.encode, self.architecture.run
        if not self.eager:
            self.encode, self.run = torch.compile(self.encode), torch.compile(self.run)
        trained = [p for p in self._parameters() if p.requires_grad]
        decayed = [p for p in trained if p.ndim > 1]
        others = [p for p in trained if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.03}, {"params": others, "weight_decay": 0}]
        self.optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), fused=True)
        self.average = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.answer_ids = (int(self._ids("yes")[0]), int(self._ids("no")[0]))
        numbers = NUMBERS if self.kind.hard else ()
        self.deciding = torch.tensor([int(self._ids(word)[0]) for word in ("yes", "no", *numbers)])

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), *self.heads.parameters()]

    def _ids(self, text: str) -> Tensor:
        return torch.tensor(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @property
    def share(self) -> float:
        """Elapsed share of the training, 0 to 1: of its steps, or of its time if those are 0."""
        if self.steps:
            return min(1.0, self.step / self.steps)
        return min(1.0, self.elapsed_s / (60 * self.minutes))

    def train_step(self) -> dict[str, float]:
        """One batch of the current stage; returns its losses."""
        clips, slots = self.clips, SLOTS
        early = self.share < STAGE_B and self.start is None
        tower_only = early and self.share < STAGE_A and not self.known_tower
        if early:
            clips, slots = 2 * clips, 4 if tower_only else 3
        some = self.kind.marked(
            self.pool.arrays, torch.arange(min(int(self.pool.count), self.pool.size))
        )
        marked = bool(some.any()) and not early and self.rng.random() < MARKED
        picked = self._picked(clips, marked)
        chosen = np.stack([self._slots(int(i), slots) for i in picked])
        frames = torch.from_numpy((chosen[..., None] * PAIR + np.arange(PAIR)).reshape(clips, -1))
        labels = self.kind.labels(self.pool.arrays, picked, frames)
        pixels = self.pool.arrays["frames"][picked[:, None], frames]
        if not marked and self.rng.random() < 0.5:
            pixels, labels = pixels.flip(3), labels.mirrored()
        truth = labels.dense()
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            visual = self.encode(self.model, patches_of(pixels)).unflatten(0, (clips, slots))
            losses = {"dense": label_loss(self.heads[0](visual.flatten(1, 2)), truth)}
            total = losses["dense"]
            if not tower_only:
                losses |= self._language_losses(visual, labels, truth)
                total = DENSE_WEIGHT * (losses["dense"] + losses["middle"]) + losses["answer"]
                if not self.untaught:
                    total = total + ATTENTION_WEIGHT * losses["attention"]
                    total = total + MASS_WEIGHT * losses["mass"]
                    total = total + WORDS_WEIGHT * losses.get("words", 0.0)
        self._update(total)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _picked(self, clips: int, marked: bool) -> Tensor:
        """Clips of the pool, all with numbers or all without."""
        found = torch.zeros(0, dtype=torch.int64)
        while len(found) < clips:
            drawn = torch.from_numpy(self.pool.draw(self.rng, 4 * clips))
            found = torch.cat([found, drawn[self.kind.marked(self.pool.arrays, drawn) == marked]])
        return found[:clips]

    def _slots(self, clip: int, count: int) -> np.ndarray:
        """Slots of a clip in order; a subset is chosen during actions, if possible."""
        if count == SLOTS:
            return np.arange(SLOTS)
        weights = busy_slots(self.kind, self.pool.arrays, clip, PAIR) + 0.15
        return np.sort(self.rng.choice(SLOTS, count, replace=False, p=weights / weights.sum()))

    def _language_losses(
        self, visual: Tensor, labels: ClipLabels, truth: Tensor
    ) -> dict[str, Tensor]:
        batch = labels.questions(self.rng)
        packed = self.packer(batch, self.rng)
        prompt = self.architecture.prompt(self.tokenizer, self.model, visual.shape[1], self.rng)
        band = self.architecture.attention_layers
        output = self.run(self.model, visual, *prompt, packed.ids, band)
        answer = answer_loss(output.logits.float(), packed.labels, self.deciding)
        targets = labels.targets(batch)  # (B, Q, M)
        attention = output.attention.float().mean(0)
        # The last naming word attends to the target as well; the role tokens only need to copy it.
        places = torch.arange(packed.ids.shape[-1])
        last = (packed.named * places).argmax(-1, keepdim=True)
        last = torch.where(packed.named.any(-1, keepdim=True), last, packed.rows[..., :1])
        rows = torch.cat([last, packed.rows], dim=-1)
        rows = rows[..., None].expand(-1, -1, -1, attention.shape[-1])
        looks = attention.gather(2, rows)  # (B, Q, R, M)
        mass = looks.sum(-1)
        shares = looks / mass[..., None].clamp_min(1e-6)
        named = targets.sum(-1) > 0.5
        absent = torch.tensor([[q.answer == "no" for q in questions] for questions in batch])
        entropy = -(targets * targets.clamp_min(1e-9).log()).sum(-1)
        cross = -(targets[:, :, None] * shares.clamp_min(1e-7).log()).sum(-1)
        divergence = (cross - entropy[..., None])[named]
        weights = torch.tensor(
            [[0.3 if q.kind == "neutral" else 1.0 for q in questions] for questions in batch]
        )[named]
        # Rows of an absent target attend to the prompt instead.
        kept = torch.cat([mass[named], 1 - mass[absent]])
        losses = {
            "answer": answer,
            "attention": (divergence.mean(-1) * weights).mean(),
            "mass": -kept.clamp_min(1e-4).log().mean(),
            "middle": label_loss(self.heads[1](output.middle), truth),
        }
        if output.words is not None:
            losses["words"] = words_loss(output.words.float(), packed.rows, packed.named)
        return losses

    def _update(self, loss: Tensor) -> None:
        cosine = 0.5 * (1 + math.cos(math.pi * self.share))
        warm_up = min(WARM_UP_STEPS, self.steps // 10) if self.steps else WARM_UP_STEPS
        rate = PEAK_RATE * max(0.02, cosine) * min(1.0, (self.step + 1) / max(1, warm_up))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        decay = min(EMA, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            current = self.model.state_dict()
            averages = [self.average[name] for name in current]
            torch._foreach_lerp_(averages, list(current.values()), 1 - decay)

    def evaluated(self, held: list[HeldOutAnswers]) -> dict[str, float]:
        """Held-out figures of the averaged weights."""
        current = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        prompt = self.architecture.prompt(self.tokenizer, self.model, SLOTS, None)
        figures = held_out_figures(
            self.architecture, self.model, self.packer, prompt, self.answer_ids, held
        )
        self.model.load_state_dict(current)
        return figures

    def save(self, folder: Path, figures: dict[str, float], scenes: int, split: str) -> None:
        """Writes the loadable folder and the state for `--resume`."""
        report = {
            "seed": self.seed,
            "minutes": round(self.elapsed_s / 60, 1),
            "steps": self.step,
            "clips": self.clips,
            "notes": self._notes(),
            "clips_rendered": int(self.pool.count[0]),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "class": type(self.model).__name__,
            "scenes": self.scenes,
            "attention_layers": list(self.architecture.attention_layers),
            "held_out_split": split,
            "held_out_scenes": scenes,
            "figures": {name: round(value, 4) for name, value in figures.items()},
            "history": self.history,
        }
        files = {
            "preprocessor_config.json": self.architecture.preprocessor,
            "stvg.json": self.architecture.settings,
            "training_report.json": report,
        }
        card = model_card(report)
        save_folder(folder, self.model, self.average, self.tokenizer, files, card)
        state = {
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "elapsed_s": self.elapsed_s,
            "step": self.step,
            "history": self.history,
            "rng": self.rng.bit_generator.state,
        }
        torch.save(state, folder.with_name(folder.name + "-state.pt"))

    def _notes(self) -> list[str]:
        notes = [KNOWN] if self.known_tower else []
        if self.start is not None:
            notes.append(f"Training began with the weights of {self.start.name}.")
        if self.untaught:
            notes.append(UNTAUGHT)
        return notes

    def resume(self, folder: Path) -> None:
        """Continues from the state that `save` wrote for `folder`."""
        path = folder.with_name(folder.name + "-state.pt")
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.elapsed_s, self.step = state["elapsed_s"], state["step"]
        self.history = state["history"]
        self.rng.bit_generator.state = state["rng"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains for the given time, then measures on the test split and writes the folder."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.photos and options.scenes != "hard":
        parser.error("--photos: expected with --scenes hard")
    torch.set_num_threads(1)  # the renderer has the other core; two threads that wait cost more
    pool: Pool | KeptPool
    kind = CLIP_KINDS[options.scenes]
    draw = partial(kind.draw, photos=photos_in(options.photos)) if options.photos else kind.draw
    if options.pool_file:
        pool = KeptPool(options.pool_file, options.pool, options.seed, kind.arrays, draw)
    else:
        seed = options.seed + (1000 if options.resume else 0)
        pool = Pool(options.pool, seed, kind.arrays, draw)
    try:
        trainer = Trainer(
            options.seed, options.minutes, pool, options.eager, options.architecture,
            options.steps, options.clips, options.known_tower, options.scenes,
            options.start, options.untaught_attention,
        )  # fmt: skip
        if options.resume:
            trainer.resume(options.resume)
        val, test = kind.splits
        held = held_out(val, options.held_out)
        while int(pool.count[0]) < min(1000, options.pool) and not options.pool_file:
            time.sleep(0.2)
        train(trainer, options, held)
        figures = trainer.evaluated(held_out(test, options.test))
        trainer.save(options.out, figures, options.test, test)
        sys.stdout.write(f"\n{json.dumps(progress_figures(figures, kind))}\n")
    finally:
        pool.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--minutes", type=float, default=50, help="processor time to train")
    parser.add_argument("--steps", type=int, default=0, help="steps to train, in place of a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", type=Path, help="continue from this checkpoint")
    parser.add_argument("--every-minutes", type=float, default=4, help="time between checkpoints")
    parser.add_argument("--held-out", type=int, default=40, help="validation scenes")
    parser.add_argument("--test", type=int, default=200, help="test scenes at the end")
    parser.add_argument("--clips", type=int, default=8, help="clips of a step of the last stage")
    parser.add_argument(
        "--start", type=Path,
        help="begin with the weights of this checkpoint, whose words are among those to learn",
    )  # fmt: skip
    parser.add_argument(
        "--untaught-attention", action="store_true",
        help="train the answers only, and queries and keys of the language model from scratch",
    )  # fmt: skip
    parser.add_argument(
        "--known-tower", action="store_true",
        help="take the vision tower of the model in the package, and train the language model only",
    )  # fmt: skip
    parser.add_argument("--pool", type=int, default=6000, help="clips kept in memory")
    parser.add_argument(
        "--pool-file", type=Path,
        help="train on the clips of this file only; without it, --pool clips are rendered to it",
    )  # fmt: skip
    parser.add_argument("--eager", action="store_true", help="do without torch.compile")
    parser.add_argument(
        "--scenes", choices=sorted(CLIP_KINDS), default="plain",
        help="plain: people who act; hard: train-hard as well, with the words of its sentences",
    )  # fmt: skip
    parser.add_argument(
        "--photos", type=Path,
        help="photographs in this folder are backgrounds of three in ten clips of --scenes hard",
    )  # fmt: skip
    parser.add_argument("--architecture", choices=sorted(ARCHITECTURES), default="qwen2_vl")
    return parser


def train(trainer: Trainer, options: argparse.Namespace, held: list[HeldOutAnswers]) -> None:
    """Training loop: steps, progress line, checkpoints with held-out figures."""
    next_save_s = trainer.elapsed_s + 60 * options.every_minutes
    means: dict[str, float] = {}
    shown: dict[str, float] = {}
    while trainer.share < 1:
        begin = time.process_time()  # other programs do not shorten the training
        for name, loss in trainer.train_step().items():
            means[name] = 0.97 * means.get(name, loss) + 0.03 * loss
        trainer.elapsed_s += time.process_time() - begin
        if trainer.step % 20 == 0:
            bar = "#" * round(20 * trainer.share)
            losses = " ".join(f"{name} {value:.3f}" for name, value in means.items())
            end = "\r" if sys.stdout.isatty() else "\n"
            minutes = trainer.elapsed_s / 60
            sys.stdout.write(f"[{bar:<20}] {minutes:5.1f} min, step {trainer.step}: {losses}{end}")
            sys.stdout.flush()
        if trainer.elapsed_s >= next_save_s and trainer.share >= STAGE_A:
            next_save_s = trainer.elapsed_s + 60 * options.every_minutes
            figures = trainer.evaluated(held)
            shown = progress_figures(figures, trainer.kind)
            trainer.history.append({"minutes": round(trainer.elapsed_s / 60, 1), **shown})
            trainer.save(options.out, figures, len(held), trainer.kind.splits[0])
            sys.stdout.write(f"\nheld out: {shown}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
