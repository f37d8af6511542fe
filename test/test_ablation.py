import numpy as np
import pytest

from stvg_ros.evaluation.ablation import FLOORS, ROWS, Sample, ablation, floor, samples
from stvg_ros.evaluation.metrics import score
from stvg_ros.types import Grounding, Query, Status, Tube, TubeBox


@pytest.fixture(scope="module")
def data() -> list[Sample]:
    return list(samples("test", 3, 2))


def test_samples_are_seeded_and_hold_present_and_absent_targets(data: list[Sample]) -> None:
    again = list(samples("test", 3, 2))
    assert [s.query for s in again] == [s.query for s in data]
    assert {s.query.target is None for s in data} == {True, False}
    assert list(samples("test", 3, 0)) == []


def test_floors(data: list[Sample]) -> None:
    sample = next(s for s in data if s.query.target is not None)
    rng = np.random.default_rng(0)
    oracle = score(floor("oracle", sample, rng), sample.truth)
    share = sample.truth.span.mean()
    assert (oracle.t_iou, oracle.v_iou, oracle.gt_v_iou) == pytest.approx((share, share, 1.0))
    whole = score(floor("whole window", sample, rng), sample.truth)
    assert whole.t_iou == pytest.approx(share)
    with pytest.raises(ValueError, match="floor: expected one of"):
        floor("none", sample, rng)


def perfect(sample: Sample) -> Grounding:
    query = Query(sample.query.text)
    if sample.query.target is None:
        return Grounding((Tube(query, Status.NOT_FOUND, confidence=0.1),))
    stamps = sample.clip.stamps_ns[sample.truth.span]
    boxes = sample.truth.boxes_xyxy_px[sample.truth.span].tolist()
    row = tuple(TubeBox(int(s), tuple(b), 1.0) for s, b in zip(stamps, boxes, strict=True))
    times = {"start_ns": int(stamps[0]), "end_ns": int(stamps[-1])}
    return Grounding((Tube(query, Status.FOUND, boxes=row, confidence=0.9, **times),))


def test_a_perfect_grounder_scores_one_and_a_blind_one_zero(data: list[Sample]) -> None:
    calls: list[str] = []
    rows = ablation(lambda values, sample: perfect(sample), data, progress=calls.append)
    assert [row["name"] for row in rows] == [*FLOORS, *(name for name, _ in ROWS)]
    assert len(calls) == len(ROWS) * len(data)
    last = rows[-1]
    assert last["m_vIoU"] == pytest.approx(1)
    assert last["spatial_accuracy"] == 1
    assert last["absence_auroc"] == 1.0
    assert last["intervals"]["m_tIoU"] == [1.0, 1.0]

    blind = Grounding((Tube(Query("x"), Status.NOT_FOUND),))
    last = ablation(lambda values, sample: blind, data, progress=calls.append)[-1]
    assert (last["m_vIoU"], last["vIoU@0.3"], last["absence_auroc"]) == (0.0, 0.0, 0.5)
