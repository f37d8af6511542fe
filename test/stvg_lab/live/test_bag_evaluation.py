# SPDX-License-Identifier: Apache-2.0

"""The evaluation of a running node, against the same bags read directly."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import ros_tools
from rclpy.parameter import Parameter
from recordings import SquareGrounder, annotate, entry, square_bag, stamp
from ros_tools import context  # noqa: F401
from sensor_msgs.msg import Image

from stvg_lab.datasets.annotations import Entry
from stvg_lab.datasets.samples import annotated_samples
from stvg_lab.live import bag_evaluation
from stvg_lab.live.bag_client import BagClient
from stvg_lab.runs.records import read_results
from stvg_lab.runs.runner import EvaluationSettings, evaluate
from stvg_ros.errors import StvgError
from stvg_ros.node.grounding_node import GroundingNode
from stvg_ros.window import WindowConfig

PARAMETERS = {
    "window.duration_s": 3.0, "window.max_rate_hz": 5.0, "image.qos": "reliable",
}  # fmt: skip


@pytest.fixture
def serve(context):  # noqa: F811
    """Runs nodes with a toy grounder."""
    running = []

    def start(**parameters):
        overrides = [Parameter(k, value=v) for k, v in {**PARAMETERS, **parameters}.items()]
        node = GroundingNode(lambda config: SquareGrounder(0.5), parameter_overrides=overrides)
        running.append((node, ros_tools.Loop(node)))
        return node

    yield start
    for node, loop in running:
        node.close()
        loop.close()
        node.destroy_node()


def program(*words: object) -> int:
    """What the program does, in this process; images and commands go over the middleware."""
    given = bag_evaluation.arguments().parse_args([*map(str, words), "--timeout", "60"])
    tester = BagClient(given.node, f"{given.node}/image")
    try:
        return bag_evaluation.run(tester, given)
    finally:
        tester.destroy_node()


def shape(tube):
    """What a tube says, without what was timed; the message has single precision."""
    return (
        tube.status, tube.start_ns, tube.end_ns, tube.track_id, tube.width_px, tube.height_px,
        [(box.stamp_ns, tuple(round(edge, 3) for edge in box.box_xyxy_px)) for box in tube.boxes],
    )  # fmt: skip


def test_without_drops_it_gives_the_same_tubes_as_reading_the_bag(tmp_path, serve, capsys) -> None:
    serve()
    gone = annotate(tmp_path / "gone.json", "gone", entry("a", 1, 5))
    square_bag(tmp_path / "run")
    path = annotate(
        tmp_path / "run.json", "run", entry("early", 2, 8, 10), entry("late", 15, 26, 28),
        entry("end", 10, 26), Entry("dog", "the dog", None, (), stamp(20)),
    )  # fmt: skip
    for attempt in range(3):  # a busy machine may drop an image: then it proves nothing
        out = tmp_path / f"live{attempt}"
        assert program("--annotations", gone, path, "--out", out) == 0
        live = {result.id: result for result in read_results(out)}
        (images,) = (dict(result.images) for result in live.values() if result.images)
        assert images["published"] == 30
        assert images["dropped"] == 30 - images["received"]
        if images["dropped"] == 0:
            break
    job = EvaluationSettings(WindowConfig(duration_s=2.0, max_rate_hz=5.0))
    # A broken bag fails its sample, and the next one is played.
    broken = live.pop("gone/a")
    assert (broken.outcome, broken.error_code) == ("failed", "NO_IMAGES")
    said = capsys.readouterr().out
    assert "1 failed, each counts 0" in said
    assert "0 dropped" in said
    direct = {r.id: r for r in evaluate(annotated_samples(path), SquareGrounder(0.5), job)}
    assert live.keys() == direct.keys()
    assert images["dropped"] == 0
    for name, result in direct.items():
        assert live[name].outcome == result.outcome
        assert shape(live[name].tubes[0]) == shape(result.tubes[0])
        assert live[name].stamps_ns.tolist() == result.stamps_ns.tolist()
        if result.scores:
            found, wanted = live[name].scores["answer"], result.scores["answer"]
            assert vars(found) == pytest.approx(vars(wanted), abs=1e-6)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["done"] == 5
    assert summary["groups"][-1]["latency_s"]["latency"]["median"] > 0
    config = json.loads((out / "config.json").read_text())
    assert (config["kind"], config["settings"]["window.duration_s"]) == ("live", 3.0)


def test_a_node_that_is_not_there_and_a_topic_of_nobody(context) -> None:  # noqa: F811
    tester = BagClient("/nobody", "/nobody/image")
    with pytest.raises(StvgError, match=r"/nobody: expected the node to become ready"):
        tester.connect(0.2)
    with pytest.raises(StvgError, match="/nobody/image: no subscriber for Image"):
        tester.advertise(Image, 0.2)
    tester.destroy_node()


def test_the_program_says_what_is_wrong(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        bag_evaluation.main(["--annotations", "a.json", "--rate", "0"])
    assert "--rate: expected more than 0, got 0.0" in capsys.readouterr().err
