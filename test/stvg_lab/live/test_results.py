# SPDX-License-Identifier: Apache-2.0

import pytest
from recordings import annotate, box_at, entry, stamp

from stvg_lab.datasets.samples import annotated_samples
from stvg_lab.live.results import LiveAnswer, expected_moments, image_counts, live_result
from stvg_lab.runs.runner import EvaluationSettings
from stvg_ros.errors import ErrorCode
from stvg_ros.types import Query, Status, Tube, TubeBox
from stvg_ros.window import WindowConfig

JOB = EvaluationSettings(WindowConfig(duration_s=5.0))
WINDOW = WindowConfig(duration_s=6.0, max_rate_hz=5.0)
TIMINGS_S = {"forward pass": 0.5, "score": 1}


def sample(tmp_path):
    return annotated_samples(annotate(tmp_path / "run.json", "run", entry("a", 5, 14)))[0]


def answer(numbers) -> LiveAnswer:
    """A perfect tube on the frames of these numbers."""
    boxes = tuple(TubeBox(stamp(n), box_at(n), 1.0) for n in numbers)
    tube = Tube(
        Query("x"), Status.FOUND, boxes=boxes, start_ns=boxes[0].stamp_ns,
        end_ns=boxes[-1].stamp_ns, width_px=64, height_px=48, timings_s=TIMINGS_S,
    )  # fmt: skip
    return LiveAnswer((tube,), None, 2.0)


def moment(tmp_path, count: int = 20):
    (found,) = expected_moments([sample(tmp_path)], [stamp(n) for n in range(count)], WINDOW)
    return found


def test_a_tube_on_the_expected_frames(tmp_path) -> None:
    expected = moment(tmp_path)
    assert expected.clip.stamps_ns.tolist() == [stamp(n) for n in range(0, 20, 2)]
    result = live_result(sample(tmp_path), expected, answer(range(6, 13, 2)), 5.0, JOB)
    assert result.timings_s == {"latency": 2.0, "ground": 1.5}
    # Frames 6 to 12 of 5 to 14, with the right boxes in between too.
    assert result.scores["answer"].t_iou == pytest.approx(0.7)
    assert result.scores["answer"].v_iou == pytest.approx(0.7, rel=1e-5)


def test_after_a_drop_other_frames_are_kept(tmp_path) -> None:
    result = live_result(sample(tmp_path), moment(tmp_path), answer((5, 7, 11, 13)), 5.0, JOB)
    assert result.scores["answer"].v_iou == pytest.approx(0.9, rel=1e-5)


def test_no_answer_and_failed_answers_score_0(tmp_path) -> None:
    result = live_result(sample(tmp_path), moment(tmp_path), None, 5.0, JOB)
    assert (result.outcome, result.error_code) == ("failed", "DEADLINE")
    failed = Tube(Query("x"), Status.FAILED, error_code=ErrorCode.QUEUE_FULL, error="full")
    full = live_result(
        sample(tmp_path), moment(tmp_path), LiveAnswer((failed,), None, 0.1), 5.0, JOB
    )
    assert (full.outcome, full.error_code, full.error) == ("failed", "QUEUE_FULL", "full")
    assert full.scores["answer"].v_iou == 0.0
    assert full.timings_s["latency"] == 0.1
    nothing = live_result(sample(tmp_path), moment(tmp_path, 0), answer((6,)), 5.0, JOB)
    assert (nothing.outcome, nothing.error_code) == ("failed", "NO_IMAGES")


def test_drops_are_what_the_node_did_not_receive() -> None:
    before, after = {"received": 10, "stored": 5}, {"received": 37, "stored": 20, "late": 1}
    assert image_counts(30, before, after) == {
        "published": 30, "received": 27, "stored": 15, "late": 1, "dropped": 3,
    }  # fmt: skip
    assert image_counts(30, None, after) == {"published": 30}
