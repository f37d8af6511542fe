# SPDX-License-Identifier: Apache-2.0

"""`rerun.address`: what a running node sends is read back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
pytest.importorskip("rerun", reason="rerun-sdk is missing: run `make libraries`")
from rerun_viewer import Receiver, free_port, rows
from ros_tools import ToyGrounder, context, start

from stvg_ros import msg
from stvg_ros.node import viewer_stream
from stvg_ros.types import Evidence, Grounding

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


class Explained(ToyGrounder):
    """Gives evidence for the first and the last image."""

    def ground(self, clip, query, checkpoint):
        found = super().ground(clip, query, checkpoint)
        stamps, grid = clip.stamps_ns[[0, -1]], np.zeros((2, 1, 1), np.float32)
        scores = np.array([0.5, 2.0], np.float32)
        boxes = np.array([[0, 0, 8, 8], [32, 24, 64, 48]], np.float32)
        evidence = Evidence(
            stamps, ((0,), (1,)), grid, grid, scores, {3: 0.25}, "person", track_boxes={3: boxes}
        )
        return Grounding(found.tubes, evidence)


def test_images_candidates_scores_and_answer_reach_the_viewer(start, tmp_path):
    with Receiver(tmp_path) as viewer:
        parameters = {"rerun.address": viewer.address, "window.long_side_px": 32}
        s = start(lambda config: Explained(), **parameters)
        s.show(10.0, 10.1, 10.2)
        assert s.say("find the person in red").status == msg.Tube.FOUND
        viewer.until("/answer", "TextDocument:text")
        viewer.until("/S_frame", "Scalars:scalars", 2)
        viewer.until("/camera", "EncodedImage:blob", 3)
    pictures = rows(viewer.file, "/camera", "EncodedImage:blob")
    assert [time for time, _ in pictures] == [0, 100_000_000, 200_000_000]
    assert rows(viewer.file, "/S_frame", "Scalars:scalars") == [(0, [0.5]), (200_000_000, [2.0])]
    candidates = rows(viewer.file, "/camera/candidates", "Boxes2D:centers")
    # In pixels of the stored images, which are half as wide; the last row clears the boxes.
    assert candidates[0] == (0, [[2.0, 2.0]])
    assert candidates[-1] == (200_000_001, [])
    answer = rows(viewer.file, "/camera/answer", "Boxes2D:half_sizes")
    assert answer[1] == (100_000_000, [[4.0, 3.0]])
    ((_, (text,)),) = rows(viewer.file, "/answer", "TextDocument:text")
    assert "find the person in red" in text


def test_a_node_without_a_viewer_answers_and_ends(start, monkeypatch, capfd):
    monkeypatch.setattr(viewer_stream, "MOST_WAITING", 2)
    s = start(**{"rerun.address": f"127.0.0.1:{free_port()}"})
    s.show(1.0, 1.1, 1.2, 1.3)
    assert s.say("the person").status == msg.Tube.FOUND
    s.until(lambda: "rerun.address: no viewer listens at" in capfd.readouterr().err)


def test_a_viewer_that_starts_later_is_found(start, monkeypatch, tmp_path):
    monkeypatch.setattr(viewer_stream, "RETRY_S", 0.0)
    port = free_port()
    s = start(**{"rerun.address": f"127.0.0.1:{port}"})
    s.show(1.0)
    with Receiver(tmp_path, port) as viewer:
        s.show(1.1, 1.2)
        s.say("the person")
        viewer.until("/answer", "TextDocument:text")


def test_an_address_that_is_none_is_refused():
    from rclpy.parameter import Parameter

    from stvg_ros.errors import ConfigError
    from stvg_ros.node.grounding_node import GroundingNode

    with pytest.raises(ConfigError, match="rerun.address: expected the address of a viewer"):
        GroundingNode(
            lambda config: ToyGrounder(),
            parameter_overrides=[Parameter("rerun.address", value="no address")],
        )
