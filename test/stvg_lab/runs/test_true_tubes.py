# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros evaluate --tubes true`: everybody's true boxes are the candidates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import SIZE, box_at, square_bag, square_frame, stamp

from stvg_lab.datasets.annotations import Annotations, Entry, KeyFrame, write_annotations
from stvg_lab.runs.records import read_results
from stvg_lab.runs.true_tubes import TrueTubes
from stvg_ros.cli.main import main
from stvg_ros.io.video import write_video
from stvg_ros.types import Clip, SplitQuery

STILL = (40.0, 5.0, 60.0, 45.0)


def walker(first: int, last: int, begin_ns: int = stamp(0)) -> tuple[KeyFrame, ...]:
    step_ns = stamp(1) - stamp(0)
    return tuple(KeyFrame(begin_ns + n * step_ns, box_at(n)) for n in (first, last))


def test_people_of_the_clip_with_their_times() -> None:
    source, clip = TrueTubes(), Clip(tuple(map(square_frame, range(5))))
    asked = SplitQuery("x", "x", "x", "rules")
    assert source.propose(clip, asked) == ()
    at = clip.stamps_ns.tolist()
    source.people = {
        "gone": (KeyFrame(at[-1] + 1, STILL), KeyFrame(at[-1] + 2, STILL)),
        "early": (KeyFrame(0, STILL), KeyFrame(at[1], STILL)),
        "late": (KeyFrame(at[2], (-10.0, 0.0, 10.0, 20.0)), KeyFrame(at[4], STILL)),
        "beside": (KeyFrame(at[0], (-9.0, 0.0, -2.0, 20.0)),),
    }
    early, late = source.propose(clip, asked)
    assert (early.track_id, late.track_id) == (1, 2)
    assert early.present.tolist() == [True, True, False, False, False]
    assert late.present.tolist() == [False, False, True, True, True]
    # Clipped to the image, and linear between key frames.
    assert late.boxes_xyxy_px[2].tolist() == [0, 0, 10, 20]
    np.testing.assert_allclose(late.boxes_xyxy_px[3], [15, 2.5, 35, 32.5])


@pytest.mark.parametrize("kind", ["bag", "video"])
def test_a_run_with_the_true_boxes(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, begin_ns = ("run", stamp(0)) if kind == "bag" else ("run.mp4", 0)
    if kind == "bag":
        square_bag(tmp_path / name)
    else:
        images = [square_frame(number).image for number in range(30)]
        write_video(tmp_path / name, images, [(stamp(n) - stamp(0)) for n in range(30)])
    tracks = {
        "still": (KeyFrame(begin_ns, STILL), KeyFrame(begin_ns + 10**10, STILL)),
        "walker": walker(5, 25, begin_ns),
    }
    span_ns = (tracks["walker"][0].stamp_ns, tracks["walker"][1].stamp_ns)
    entries = (
        Entry("named", "the person in red", span_ns, person="walker"),
        Entry("own", "the person in red who waves", span_ns, tracks["walker"]),
        Entry("absent", "the person in blue", None),
    )
    write_annotations(tmp_path / "run.json", Annotations(entries, name, "", SIZE, tracks))
    out = tmp_path / "out"
    given = ["evaluate", "--annotations", str(tmp_path / "run.json"), "--out", str(out)]
    assert main([*given, "--tubes", "true", "--set", "presence.enabled=false"]) == 0
    said = capsys.readouterr().out
    assert "where the vIoU is lost, percent:" in said
    named, own, absent = sorted(read_results(out), key=lambda r: ["n", "o", "a"].index(r.id[4]))
    assert (named.kind, own.kind, absent.kind) == ("attribute", "both", "attribute")
    for result in (named, own):
        assert result.scores["best_track_true_span"].v_iou == pytest.approx(1, abs=0.02)
        assert result.choice is not None and result.choice.candidates == 2
    assert absent.choice is None and absent.tubes
    values = json.loads((out / "summary.json").read_text())
    assert [line["kind"] for line in values["groups"][0]["losses"]] == ["attribute", "both", "all"]
    # Another run: the same folder cannot be resumed with tubes of the source.
    assert main(given) == 2
    assert "holds another run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [["--data", "vidstg", "--root", "x"], ["--annotations", "x.json", "--set", "backend=remote"]],
)
def test_true_boxes_need_an_annotation_file_and_a_model_here(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *wrong, "--tubes", "true"]) == 2
    assert "--tubes true: expected --annotations and backend 'local'" in capsys.readouterr().err
