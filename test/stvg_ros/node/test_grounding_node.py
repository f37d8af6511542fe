# SPDX-License-Identifier: Apache-2.0

"""The node in this process: real messages over the real middleware, a grounder without a model."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from action_msgs.msg import GoalStatus
from rclpy.parameter import Parameter
from ros_tools import STAGES, ToyGrounder, context, image, start
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.action import Ground
from stvg_ros.node.conversions import time_message
from stvg_ros.node.grounding_node import GroundingNode
from stvg_ros.types import Grounding

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


def test_a_command_is_answered_with_a_tube_that_carries_the_images_stamps(start):
    s = start()
    s.show(10.0, 10.1, 10.2)
    tube = s.say("find the person in red")
    assert tube.status == msg.Tube.FOUND
    assert tube.header.frame_id == "camera"
    assert tube.header.stamp == time_message(10_200_000_000)
    assert [box.stamp for box in tube.boxes] == [
        time_message(ns) for ns in (10_000_000_000, 10_100_000_000, 10_200_000_000)
    ]
    assert (tube.boxes[0].x_min, tube.boxes[0].y_max) == (16.0, 24.0)
    assert (tube.image_width, tube.image_height) == (64, 48)
    assert tube.query_id == "q-000001"
    assert tube.timings[0].stage == "forward pass"


def test_the_log_says_at_configure_that_the_embedded_model_knows_rendered_scenes_only(start, capfd):
    start()
    assert "model.path 'embedded': this model was trained on rendered scenes" in (
        "".join(capfd.readouterr())
    )
    start(**{"model.path": "Qwen/Qwen2.5-VL-7B-Instruct"}, connect=False)
    assert "rendered" not in "".join(capfd.readouterr())


def test_boxes_refer_to_the_cameras_pixels_when_images_are_stored_smaller(start):
    s = start(**{"window.long_side_px": 32})
    s.show(1.0)
    assert s.node.window.snapshot().frames[0].image.shape == (24, 32, 3)
    assert s.say("the person").boxes[0].x_max == 32.0


def test_a_namespace_leads_every_name_that_is_the_nodes_own():
    node = GroundingNode(lambda config: ToyGrounder(), namespace="robot")
    ends = [*node.publishers, *node.subscriptions]
    names = {end.topic_name for end in ends} - {"/diagnostics", "/parameter_events", "/rosout"}
    node.destroy_node()
    assert {"/robot/grounding/command", "/robot/grounding/tube"} <= names
    assert all(name.startswith("/robot/grounding/") for name in names)


@pytest.mark.parametrize("text", ["", "  \t\n", "x" * 10_000])
def test_a_bad_command_is_answered_and_the_next_one_works(start, text):
    s = start()
    s.show(1.0)
    tube = s.say(text)
    assert (tube.status, tube.error_code) == (msg.Tube.FAILED, msg.Tube.ERROR_INVALID_COMMAND)
    assert "characters" in tube.error or "empty" in tube.error
    assert s.say("the person").status == msg.Tube.FOUND


def test_a_command_before_any_image_says_so(start):
    s = start()
    tube = s.say("the person")
    assert tube.error_code == msg.Tube.ERROR_NO_IMAGES
    assert "image.qos" in tube.error


def _bad_encoding(m):
    m.encoding = "nonsense"


def _bad_step(m):
    m.step = 5


def _bad_data(m):
    m.data = m.data[:-7]


def _no_size(m):
    m.width = m.height = 0


def _bad_stamp(m):
    m.header.stamp.sec = -1


@pytest.mark.parametrize("damage", [_bad_encoding, _bad_step, _bad_data, _no_size, _bad_stamp])
def test_a_damaged_image_is_counted_and_the_node_goes_on(start, damage):
    s = start()
    bad = image(1.0)
    damage(bad)
    s.client.images.publish(bad)
    s.until(lambda: s.image_errors == 1)
    s.show(2.0)
    assert s.say("the person").status == msg.Tube.FOUND


def test_a_window_outside_the_buffer_is_refused_by_the_real_cut(start):
    from stvg_ros.method.sampling import cut

    class Cutting(ToyGrounder):
        def ground(self, clip, query, checkpoint):
            return super().ground(cut(clip, query.start_ns, query.end_ns), query, checkpoint)

    s = start(lambda config: Cutting())
    s.show(5.0, 5.2)
    query = msg.Query(id="mine", text="the person", window_end=time_message(1_000_000_000))
    s.client.queries.publish(query)
    s.until(lambda: s.client.tubes)
    tube = s.client.tubes[0]
    assert (tube.query_id, tube.error_code) == ("mine", msg.Tube.ERROR_WINDOW_OUT_OF_RANGE)
    assert "5.000 s" in tube.error


def test_the_answer_before_tuning_goes_out_first_where_asked_for(start):
    class Early(ToyGrounder):
        def ground(self, clip, query, checkpoint, early=None):
            found = super().ground(clip, query, checkpoint)
            if early is not None:
                early(Grounding((replace(found.best, preliminary=True, score=1.5),)))
            return found

    s = start(lambda config: Early())
    s.show(1.0)
    s.client.queries.publish(msg.Query(id="both", text="the person", preliminary=True))
    s.until(lambda: len(s.client.tubes) == 2)
    first, last = s.client.tubes
    assert (first.preliminary, last.preliminary) == (True, False)
    assert (first.query_id, first.score) == ("both", 1.5)
    assert len(first.boxes) == len(last.boxes) == 1
    assert s.say("the person").preliminary is False
    assert len(s.client.tubes) == 3


def test_a_bag_loop_clears_the_window(start):
    s = start()
    s.show(100.0, 101.0, 5.0)
    assert [f.stamp_ns for f in s.node.window.snapshot().frames] == [5_000_000_000]
    assert s.node.window.counts["restarted"] == 1


def test_commands_queue_and_200_in_a_burst_are_all_answered(start):
    s = start(**{"command.queue_size": 3})
    s.show(1.0)
    s.toy.go.clear()
    for number in range(200):
        s.client.commands.publish(String(data=f"person {number}"))
    s.until(lambda: len(s.client.tubes) >= 196)
    s.toy.go.set()
    s.until(lambda: len(s.client.tubes) == 200)
    codes = [tube.error_code for tube in s.client.tubes]
    assert codes.count(msg.Tube.ERROR_QUEUE_FULL) == 196
    assert codes.count(msg.Tube.ERROR_NONE) == 4
    assert len({tube.query_id for tube in s.client.tubes}) == 200


def test_replace_ends_the_running_command(start):
    s = start(**{"command.policy": "replace"})
    s.show(1.0)
    s.toy.go.clear()
    s.client.commands.publish(String(data="the first"))
    s.until(s.toy.started.is_set)
    s.client.commands.publish(String(data="the second"))
    s.until(lambda: len(s.client.tubes) == 1)
    s.toy.go.set()
    s.until(lambda: len(s.client.tubes) == 2)
    assert [tube.error_code for tube in s.client.tubes] == [
        msg.Tube.ERROR_REPLACED,
        msg.Tube.ERROR_NONE,
    ]


def test_a_deadline_is_kept_between_stages(start):
    s = start(**{"command.deadline_s": 0.05})
    s.show(1.0)
    s.toy.go.clear()
    tube = s.say("the person")
    assert tube.error_code == msg.Tube.ERROR_DEADLINE


def test_images_are_stored_while_a_grounding_runs(start):
    s = start()
    s.show(1.0)
    s.toy.go.clear()
    s.client.commands.publish(String(data="the person"))
    s.until(s.toy.started.is_set)
    s.show(*(2.0 + 0.1 * i for i in range(20)))
    assert s.node.window.fill[0] == 21


def test_parameters_are_checked_as_a_whole_and_the_reason_is_told(start):
    s = start()
    results = s.node.set_parameters_atomically(
        [Parameter("span.top_k", value=3), Parameter("span.method", value="guess")]
    )
    assert not results.successful
    assert "adaptive" in results.reason
    assert s.node.get_parameter("span.top_k").value == 7
    assert s.node.set_parameters([Parameter("window.duration_s", value=2.0)])[0].successful
    s.show(*range(1, 8))
    assert s.node.window.fill[0] == 3
    refused = s.node.set_parameters([Parameter("model.path", value="other")])[0]
    assert not refused.successful
    assert "K of 20" in s.node.describe_parameter("span.top_k").description


def _goal(s, text="the person"):
    feedback = []
    s.client.ground.wait_for_server()
    sent = s.client.ground.send_goal_async(
        Ground.Goal(text=text), feedback_callback=lambda m: feedback.append(m.feedback)
    )
    s.until(sent.done)
    return sent.result(), feedback


class Stepping(ToyGrounder):
    """Stays in each stage until it is allowed to leave."""

    def __init__(self):
        super().__init__()
        self.left = set()

    def ground(self, clip, query, checkpoint):
        for number, stage in enumerate(STAGES):
            while stage not in self.left:
                checkpoint(stage, number / len(STAGES))
                time.sleep(0.02)
        return super().ground(clip, query, lambda stage, progress: None)


def test_the_action_gives_feedback_and_the_tube(start):
    toy = Stepping()
    s = start(lambda config: toy)
    s.show(1.0, 1.1)
    handle, feedback = _goal(s)
    for number, stage in enumerate(STAGES):
        s.until(lambda stage=stage: feedback and feedback[-1].stage == stage)
        assert feedback[-1].progress == pytest.approx(number / 3)
        toy.left.add(stage)
    result = handle.get_result_async()
    s.until(result.done)
    assert result.result().status == GoalStatus.STATUS_SUCCEEDED
    assert result.result().result.tube.status == msg.Tube.FOUND


def test_the_action_is_canceled_between_stages(start):
    s = start()
    s.show(1.0)
    s.toy.go.clear()
    handle, _ = _goal(s)
    s.until(s.toy.started.is_set)
    result = handle.get_result_async()
    handle.cancel_goal_async()
    s.until(result.done)
    assert result.result().status == GoalStatus.STATUS_CANCELED
    assert result.result().result.tube.error_code == msg.Tube.ERROR_CANCELED
    s.toy.go.set()
    assert s.say("the next one").status == msg.Tube.FOUND


def test_a_goal_with_a_bad_command_is_aborted_with_the_reason(start):
    s = start()
    handle, _ = _goal(s, "   ")
    result = handle.get_result_async()
    s.until(result.done)
    assert result.result().status == GoalStatus.STATUS_ABORTED
    assert "empty" in result.result().result.tube.error


def test_closing_answers_what_waits(start):
    s = start()
    s.show(1.0)
    s.toy.go.clear()
    for number in range(3):
        s.client.commands.publish(String(data=f"person {number}"))
    s.until(s.toy.started.is_set)
    s.until(lambda: s.node._queue.waiting == 2)  # all of them have arrived
    s.node.close()
    s.until(lambda: len(s.client.tubes) == 3)
    assert {tube.error_code for tube in s.client.tubes} == {msg.Tube.ERROR_CANCELED}
