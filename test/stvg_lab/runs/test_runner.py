# SPDX-License-Identifier: Apache-2.0

import sqlite3
from contextlib import closing
from dataclasses import replace

import av
import numpy as np
import pytest
from recordings import (
    SIZE,
    SquareGrounder,
    annotate,
    box_at,
    entry,
    raw_bag,
    square_bag,
    square_frame,
    stamp,
)
from rosbags.typesys import get_types_from_msg

from stvg_lab.datasets.annotations import Entry, KeyFrame
from stvg_lab.datasets.samples import Sample, annotated_samples, numbered_truth
from stvg_lab.runs.runner import EvaluationSettings, evaluate
from stvg_lab.runs.scores import Score
from stvg_ros.errors import AnnotationError
from stvg_ros.io.bag import write_bag
from stvg_ros.io.recording import Source
from stvg_ros.io.video import write_video
from stvg_ros.window import WindowConfig

JOB = EvaluationSettings(WindowConfig(duration_s=2.0, max_rate_hz=0.0))
ZERO = Score(0.0, 0.0, 0.0)


def run(samples, grounder=None, job=JOB):
    return {result.id: result for result in evaluate(samples, grounder or SquareGrounder(), job)}


def test_a_bag_with_several_commands(tmp_path) -> None:
    square_bag(tmp_path / "run")
    samples = annotated_samples(
        annotate(
            tmp_path / "run.json", "run",
            entry("last", 15, 24, 29), entry("first", 0, 9, 9),
            Entry("dog", "the dog", None, (), stamp(20)),
        )
    )  # fmt: skip
    grounder = SquareGrounder(share=0.5)
    results = run(samples, grounder)
    assert list(results) == ["run/first", "run/dog", "run/last"]  # one pass, by time
    assert [len(clip) for clip in grounder.clips] == [10, 21, 21]
    first = results["run/first"]
    # Five of ten frames found, with perfect boxes.
    assert vars(first.scores["answer"]) == pytest.approx(vars(Score(0.5, 0.5, 0.5)))
    assert first.scores["whole_window"].t_iou == 1.0
    assert first.scores["best_track"].v_iou == pytest.approx(1.0, rel=1e-5)
    last = results["run/last"]
    # Window 9..29, answered 9..18 (round(10.5) is 10), true 15..24.
    assert last.stamps_ns.tolist() == [stamp(n) for n in range(9, 30)]
    assert last.scores["answer"].t_iou == pytest.approx(4 / 16)
    assert last.scores["answer"].v_iou == pytest.approx(4 / 16, rel=1e-5)
    assert last.scores["whole_window"].t_iou == pytest.approx(10 / 21)
    assert last.scores["best_track_true_span"].v_iou == pytest.approx(1.0, rel=1e-5)
    assert (last.group, last.size_px, last.outcome) == ("run", SIZE, "found")
    assert last.truth.boxes_xyxy_px[6].tolist() == list(box_at(15))
    dog = results["run/dog"]
    assert (dog.outcome, dog.truth, dog.scores) == ("not_found", None, {})
    assert {"read", "ground"} <= set(dog.timings_s)


def test_kept_frames_are_fewer_than_scored_ones(tmp_path) -> None:
    square_bag(tmp_path / "run")
    samples = annotated_samples(annotate(tmp_path / "a.json", "run", entry("a", 10, 20)))
    job = replace(JOB, window=WindowConfig(duration_s=5.0, max_rate_hz=4.0))
    result = run(samples, job=job)["a/a"]
    assert result.images == {"read": 30, "stored": 10, "thinned": 20}
    assert len(result.stamps_ns) == 30
    # Boxes between kept frames are interpolated: the square moves evenly.
    assert result.scores["answer"].gt_v_iou == pytest.approx(1.0, rel=1e-5)
    assert result.scores["answer"].v_iou == pytest.approx(11 / 30, rel=1e-5)


def test_true_frames_before_the_window_count(tmp_path) -> None:
    square_bag(tmp_path / "run")
    samples = annotated_samples(annotate(tmp_path / "a.json", "run", entry("a", 0, 19)))
    result = run(samples)["a/a"]
    assert len(result.stamps_ns) == 30
    # Found 9..29, true 0..19.
    assert result.scores["answer"].t_iou == pytest.approx(11 / 30)
    assert result.scores["answer"].gt_v_iou == pytest.approx(11 / 20, rel=1e-5)


def test_a_part_of_a_video_by_frame_numbers(tmp_path) -> None:
    path = tmp_path / "a.mp4"
    frames = [square_frame(number) for number in range(30)]
    write_video(path, [f.image for f in frames], [f.stamp_ns for f in frames])
    boxes = np.array([box_at(n) for n in range(10, 16)], np.float32)
    sample = Sample(
        "a", "group", "the square", Source(str(path)),
        numbered_truth(10, boxes, np.ones(6, bool)), frames=(5, 25), duration_s=2.0,
    )  # fmt: skip
    result = run([sample])["a"]
    assert len(result.stamps_ns) == 20
    assert np.flatnonzero(result.truth.span).tolist() == [5, 6, 7, 8, 9, 10]
    assert result.scores["answer"].t_iou == pytest.approx(6 / 20)
    assert result.scores["answer"].gt_v_iou > 0.85  # the video is compressed
    # The annotation says 40 frames, the video ends after 30: ten more count.
    longer = replace(sample, frames=(5, 40))
    result = run([longer])["a"]
    assert (len(result.stamps_ns), result.images["missing"]) == (35, 10)
    assert result.scores["whole_window"].t_iou == pytest.approx(6 / 35)


@pytest.mark.parametrize("damaged", [(0,), (0, 1), (0, 1, 2), (0, 5), (3,), (12,), (29,), (0, 29)])
@pytest.mark.parametrize("duration_s", [0.0, 2.0])
def test_damaged_frames_cost_themselves_only(tmp_path, damaged, duration_s: float) -> None:
    """A part of a video whose first frame is damaged, as of a whole one."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p"
        for number in range(30):
            picture = av.VideoFrame.from_ndarray(square_frame(number).image, format="rgb24")
            picture.pts = number
            for packet in stream.encode(picture):
                if number in damaged:
                    packet.update(bytes(len(bytes(packet))))
                container.mux(packet)
    boxes = np.array([box_at(n) for n in range(10, 16)], np.float32)
    sample = Sample(
        "a", "group", "the square", Source(str(path)),
        numbered_truth(10, boxes, np.ones(6, bool)), frames=(0, 30), duration_s=duration_s,
    )  # fmt: skip
    result = run([sample])["a"]
    assert result.outcome == "found", result.error
    assert (result.images["stored"], result.images["refused"]) == (30 - len(damaged), len(damaged))
    assert "late" not in result.images


def test_an_annotated_video(tmp_path) -> None:
    frames = [square_frame(number) for number in range(20)]
    write_video(tmp_path / "a.mp4", [f.image for f in frames], [f.stamp_ns for f in frames])
    span = (200_000_000, 900_000_000)
    keys = tuple(KeyFrame(span[side], box_at((2, 9)[side])) for side in (0, 1))
    marked = Entry("a", "the red square", span, keys, command_ns=1_100_000_000)
    result = run(annotated_samples(annotate(tmp_path / "a.json", "a.mp4", marked)))["a/a"]
    assert np.abs(np.diff(result.stamps_ns) - 100_000_000).max() < 20_000
    assert len(result.stamps_ns) == 12
    assert result.scores["answer"].t_iou == pytest.approx(8 / 12)
    assert result.scores["answer"].gt_v_iou > 0.85  # the video is compressed


def failure(result) -> tuple[str, str, Score]:
    return result.outcome, result.error_code, result.scores["answer"]


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        ("truncated", "CONFIGURATION", "bad.mcap: ends early or is damaged"),
        ("missing", "NO_IMAGES", "no such recording"),
        ("unknown type", "NO_IMAGES", "no image topic '/camera/image'; image topics in it: none"),
        ("no images", "NO_IMAGES", "expected an image topic with messages"),
        ("not a video", "NO_IMAGES", "cannot be decoded"),
        ("damaged images", "NO_IMAGES", "could not be converted"),
        ("late span", "CONFIGURATION", "the true span has no image up to the command"),
        ("broken grounder", "INTERNAL", "unexpected RuntimeError: the toy broke"),
        ("problem", "CONFIGURATION", "field bbox"),
        ("wrong truth", "CONFIGURATION", "the file is gone"),
    ],
)
def test_what_goes_wrong_is_named_and_scored_0_and_the_run_goes_on(
    tmp_path, make: str, code: str, said: str
) -> None:
    square_bag(tmp_path / "good")
    good = annotated_samples(annotate(tmp_path / "good.json", "good", entry("a", 10, 20)))
    bad = annotated_samples(annotate(tmp_path / "bad.json", "bad", entry("b", 10, 20)))[0]
    path = tmp_path / "bad"
    if make == "truncated":
        square_bag(path)
        file = path / "bad.mcap"
        file.write_bytes(file.read_bytes()[:20_000])
    elif make == "unknown type":
        own = get_types_from_msg("int32 value", "own_msgs/msg/Own")
        raw_bag(path, [("/camera/image", "own_msgs/msg/Own", 5, bytes(8))], [own])
        bad = replace(bad, source=replace(bad.source, topic="/camera/image"))
    elif make == "no images":
        write_bag(path, [])
    elif make == "not a video":
        (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
        bad = replace(bad, source=Source(str(tmp_path / "bad.mp4")))
    elif make == "damaged images":
        bad = replace(bad, source=Source(str(damaged_jpeg(tmp_path / "damaged"))))
    elif make == "late span":
        square_bag(path, 8)
    elif make == "broken grounder":
        square_bag(path)
        bad = replace(bad, query="fail please")
    elif make == "problem":
        bad = replace(bad, problem="test.json: entry 'a.mp4', field bbox: expected 3 boxes")
    elif make == "wrong truth":
        square_bag(path)

        def truth(stamps, numbers):
            raise AnnotationError("the file is gone")

        bad = replace(bad, truth=truth)
    results = run([bad, *good])
    assert failure(results["bad/b"]) == ("failed", code, ZERO)
    assert said in results["bad/b"].error
    assert results["good/a"].outcome == "found"
    assert results["good/a"].scores["answer"].gt_v_iou == pytest.approx(1.0, rel=1e-5)


def damaged_jpeg(path):
    write_bag(path, [square_frame(1)], compressed=True, storage="sqlite3")
    (file,) = (item for item in path.iterdir() if item.suffix == ".db3")
    with closing(sqlite3.connect(file)) as base, base:
        (data,) = base.execute("select data from messages").fetchone()
        at = data.index(b"\xff\xd8")
        base.execute("update messages set data = ?", (data[:at] + bytes(len(data) - at),))
    return path


def test_failures_of_absent_targets_have_no_scores(tmp_path) -> None:
    samples = annotated_samples(annotate(tmp_path / "a.json", "gone", Entry("d", "dog", None)))
    assert run(samples)["a/d"].scores == {}
    with pytest.raises(AnnotationError, match="name it there or with --bag"):
        annotated_samples(annotate(tmp_path / "b.json", "", Entry("d", "dog", None)))


class Remembering(SquareGrounder):
    """Its answer depends on each frame that it observed, and on their order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def for_recording(self) -> "Remembering":
        return Remembering()

    def observe(self, frame) -> None:
        self.seen.append(frame.stamp_ns)

    def ground(self, clip, query, checkpoint):
        found = super().ground(clip, query, checkpoint)
        score = sum((n + 1) * (ns % 1_000_003) for n, ns in enumerate(self.seen)) / 1e9
        return replace(found, tubes=tuple(replace(tube, score=score) for tube in found.tubes))


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> list[Sample]:
    """Three commands about each of three recordings, and two about the whole of one."""
    folder, found = tmp_path_factory.mktemp("bags"), []
    for name, count in (("a", 30), ("b", 20), ("c", 12)):
        square_bag(folder / name, count)
        entries = [entry(f"{n}", 1, count - 2, count * (n + 1) // 3) for n in range(3)]
        if name == "b":
            entries += [entry("end", 1, 9), entry("end too", 2, 12)]
        found += annotated_samples(annotate(folder / f"{name}.json", name, *entries))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_any_selection_in_any_order_gives_what_each_gives_alone(commands, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chosen = [commands[n] for n in rng.permutation(len(commands))[: rng.integers(1, 12)]]
    config = WindowConfig(duration_s=float(rng.choice([0.5, 1.0, 2.0])), max_rate_hz=0.0)
    job = EvaluationSettings(config)
    together = run(chosen, Remembering(), job)
    for sample in chosen:
        (alone,) = run([sample], Remembering(), job).values()
        assert together[sample.id].outcome == alone.outcome == "found"
        answer, other = together[sample.id].tubes[0], alone.tubes[0]
        assert (answer.score, answer.boxes) == (other.score, other.boxes)
        assert together[sample.id].scores == alone.scores
