# SPDX-License-Identifier: Apache-2.0

"""What comes in broken: each kind is refused with its reason, and the node goes on as before."""

from __future__ import annotations

import math
import struct
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from ros_tools import Client, Loop, ask, call, change, context, image, start, state
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger

from stvg_ros import msg
from stvg_ros.node import detections as detections_module
from stvg_ros.node.conversions import time_message
from stvg_ros.node.diagnostics import fault_status
from stvg_ros.node.guarded_executor import Faults, GuardedExecutor
from stvg_ros.proposals.external import ExternalProposer
from stvg_ros.proposals.settings import ProposalConfig

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")
NAN, INF = math.nan, math.inf


# --- sets of image, depth and camera_info ------------------------------------------------------


def depth_message(stamp_s, encoding="16UC1", height=48, width=64, step=None, count=None):
    size = {"16UC1": 2, "32FC1": 4}.get(encoding, 1)
    step = width * size if step is None else step
    depth = Image(height=height, width=width, encoding=encoding, step=step)
    depth.header.stamp = time_message(round(stamp_s * 1e9))
    depth.data.frombytes(b"\x07" * (height * step if count is None else count))
    return depth


def info_message(stamp_s, k=(50.0, 0, 31.5, 0, 50.0, 23.5, 0, 0, 1.0), **fields):
    info = CameraInfo(width=64, height=48, k=k, **fields)
    info.header.stamp = time_message(round(stamp_s * 1e9))
    return info


def k_of(fx, fy, cx=31.5, cy=23.5):
    return (fx, 0, cx, 0, fy, cy, 0, 0, 1.0)


BROKEN_DEPTHS = [
    {"encoding": "8UC1"},
    {"encoding": ""},
    {"encoding": "rgb8"},
    {"encoding": "x" * 100_000},
    {"height": 0},
    {"width": 0},
    {"step": 3},
    {"count": 17},
    {"count": 0},
    {"encoding": "32FC1", "step": 64},
    {"height": 1, "count": 1},
]
BROKEN_MATRICES = [
    (0.0,) * 9,
    k_of(0.0, 50.0),
    k_of(50.0, 0.0),
    k_of(-50.0, 50.0),
    k_of(50.0, -1e-9),
    k_of(NAN, 50.0),
    k_of(50.0, INF),
    k_of(50.0, 50.0, NAN),
    k_of(50.0, 50.0, 0.0, -INF),
    (NAN,) * 9,
]


def test_after_each_broken_set_the_next_one_is_taken(start):
    s = start(**{"depth.enabled": True})
    depths = s.client.create_publisher(Image, "/grounding/depth", 10)
    infos = s.client.create_publisher(CameraInfo, "/grounding/camera_info", 10)
    s.until(lambda: depths.get_subscription_count() and infos.get_subscription_count())
    feed = next(iter(s.node.cameras)).depth
    broken = [({}, matrix) for matrix in BROKEN_MATRICES]
    broken += [(fields, k_of(50.0, 50.0)) for fields in BROKEN_DEPTHS]
    for number, (fields, matrix) in enumerate(broken, start=1):
        for bad in (True, False):
            stamp_s = 10.0 * number + (0.0 if bad else 5.0)
            s.show(stamp_s)
            depths.publish(depth_message(stamp_s, **(fields if bad else {})))
            infos.publish(info_message(stamp_s, matrix if bad else k_of(50.0, 50.0)))
            s.until(lambda n=number, bad=bad: feed.errors == n and feed.attached == n - bad)
        assert state(s) == "active", (fields, matrix)
        assert len(feed.last_error) < 3000
    assert s.say("the person").boxes[-1].has_position


@pytest.mark.parametrize(("height", "width"), [
    (1, 1300), (1300, 1), (1, 1), (2, 1300), (3, 4000), (1, 64), (5, 3000), (1300, 2), (7, 20000),
    (1, 641),
])  # fmt: skip
def test_narrow_depth_images_keep_a_row_and_a_column(height, width):
    from stvg_ros.depth import thinned

    values = np.arange(height * width).reshape(height, width)
    small = thinned(values, 640)
    assert 0 not in small.shape
    assert max(small.shape) <= 640
    assert set(small.ravel()) <= set(values.ravel())


# --- detections --------------------------------------------------------------------------------


def test_detections_that_fail_in_their_callback_do_not_keep_the_next_ones_out(start, monkeypatch):
    source = ExternalProposer(ProposalConfig(source="external"))
    put, broken = source.put, [True]

    def fails_first(frame, detected):
        if broken:
            broken.clear()
            raise ValueError("odd detection")
        put(frame, detected)

    monkeypatch.setattr(source, "put", fails_first)
    s = start(**{"proposals.source": "external", "proposals.detections": "stvg_ros"})
    s.node._parts.tracking.start(source)
    topic = s.client.create_publisher(msg.DetectionArray, "/grounding/detections", 10)
    s.until(topic.get_subscription_count)
    feed = s.node._parts.tracking._feeds[0]
    box = msg.Detection(x_min=1.0, y_min=1.0, x_max=20.0, y_max=40.0, score=0.9, id="1")
    for stamp_s in (1.0, 2.0):
        s.show(stamp_s)
        message = msg.DetectionArray(detections=[box])
        message.header.stamp = time_message(round(stamp_s * 1e9))
        topic.publish(message)
        s.until(lambda n=stamp_s: feed.errors + source.counts.matched == n)
    assert (feed.errors, source.counts.matched) == (1, 1)
    assert "ValueError: odd detection" in feed.last_error
    assert state(s) == "active"


def test_a_message_of_another_shape_is_refused(start, monkeypatch):
    s = start(**{"proposals.source": "external", "proposals.detections": "stvg_ros"})
    feed = s.node._parts.tracking._feeds[0]
    monkeypatch.setattr(detections_module, "detected", lambda message: 1 / 0)
    topic = s.client.create_publisher(msg.DetectionArray, "/grounding/detections", 10)
    s.until(topic.get_subscription_count)
    topic.publish(msg.DetectionArray())
    s.until(lambda: feed.errors == 1)
    assert state(s) == "active"


# --- compressed images -------------------------------------------------------------------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows=b"\0"):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def jpeg(*, sides=None, cut=None):
    data = bytearray(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    if sides is not None:
        at = data.find(b"\xff\xc0")
        data[at + 5 : at + 9] = sides
    return bytes(data[:cut])


BROKEN_IMAGES = {
    "a PNG that claims 40000 x 40000": png(40000, 40000),
    "a PNG 2^20 + 1 wide": png(2**20 + 1, 10),
    "a PNG 2^20 + 1 high": png(10, 2**20 + 1),
    "a PNG of no size": png(0, 0),
    "a PNG that claims 2^31 - 1": png(2**31 - 1, 2**31 - 1),
    "OpenEXR's magic number": b"\x76\x2f\x31\x01",
    "a JPEG with damaged sides": jpeg(sides=b"\xff\xff\xff\xff"),
    "a JPEG of no height": jpeg(sides=b"\0\0\0\x40"),
    "a JPEG cut in its header": jpeg(cut=30),
    "a TIFF's begin": b"II*\0\x08\0\0\0",
    "a BMP's begin": b"BM" + b"\0" * 20,
    "a GIF's begin": b"GIF89a" + b"\xff" * 20,
    "a WebP's begin": b"RIFF\x10\0\0\0WEBPVP8 " + b"\0" * 20,
    "Radiance's begin": b"#?RADIANCE\n\n-Y 99999 +X 99999\n",
    "a PNM that claims much": b"P6 99999 99999 255\n",
    "JPEG 2000's begin": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    "one byte": b"\x89",
    "no byte": b"",
}


def test_each_broken_compressed_image_is_refused_and_the_next_one_is_stored(start):
    s = start()
    camera = next(iter(s.node.cameras))
    camera._raw = False
    for number, (what, data) in enumerate(BROKEN_IMAGES.items(), start=1):
        for bad in (True, False):
            message = CompressedImage(format="png")
            message.header.stamp = time_message(int((2 * number - bad) * 1e9))
            message.data.frombytes(data if bad else jpeg())
            camera._on_image(message)  # raises nothing
        assert (s.image_errors, camera.window.counts["stored"]) == (number, number), what
    assert state(s) == "active"


# --- queries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [
    1e-12, 1e-11, 1e-10, 1e-40, -1e-12, -1.0, 100.1, 1e9, NAN, INF, -INF, 3e38,
])  # fmt: skip
def test_standing_rates_that_no_timer_takes_are_refused(start, rate_hz):
    s = start()
    s.client.queries.publish(msg.Query(id="a", text="the person", standing_rate_hz=rate_hz))
    s.until(lambda: s.client.tubes)
    assert s.client.tubes[0].error_code == msg.Tube.ERROR_INVALID_COMMAND
    assert "standing_rate_hz" in s.client.tubes[0].error
    assert len(s.node.standing) == 0


# --- parameters --------------------------------------------------------------------------------


def test_value_types_that_do_not_exist_are_refused_each_with_an_answer(start):
    s = start()
    good = ParameterMessage(name="span.top_k", value=ParameterValue(type=2, integer_value=3))
    for kind in (10, 11, 12, 15, 16, 31, 64, 100, 127, 128, 200, 255):
        bad = ParameterMessage(name="window.duration_s", value=ParameterValue(type=kind))
        one = call(
            s, SetParameters, "set_parameters", SetParameters.Request(parameters=[bad, good])
        )
        assert [result.successful for result in one.results] == [False, True]
        assert str(kind) in one.results[0].reason
        request = SetParametersAtomically.Request(parameters=[good, bad])
        whole = call(s, SetParametersAtomically, "set_parameters_atomically", request)
        assert not whole.result.successful
    assert s.node.get_parameter("span.top_k").value == 3


WRONG_VALUES = [
    ("window.duration_s", ParameterValue(type=4, string_value="5")),
    ("window.duration_s", ParameterValue(type=1, bool_value=True)),
    ("window.duration_s", ParameterValue(type=3, double_value=NAN)),
    ("window.duration_s", ParameterValue(type=3, double_value=INF)),
    ("window.duration_s", ParameterValue(type=3, double_value=-1.0)),
    ("window.duration_s", ParameterValue(type=8, double_array_value=[1.0])),
    ("span.top_k", ParameterValue(type=3, double_value=3.5)),
    ("span.top_k", ParameterValue(type=2, integer_value=2**62)),
    ("span.method", ParameterValue(type=2, integer_value=1)),
    ("span.method", ParameterValue(type=5, byte_array_value=[b"a"])),
    ("presence.enabled", ParameterValue(type=2, integer_value=1)),
    ("presence.enabled", ParameterValue(type=9, string_array_value=["true"])),
    ("span.top_k", ParameterValue(type=0)),
    ("windw.duration_s", ParameterValue(type=3, double_value=5.0)),
    ("", ParameterValue(type=3, double_value=5.0)),
    ("x" * 100_000, ParameterValue(type=0)),
]


@pytest.mark.parametrize("configured", [True, False])
def test_wrong_values_are_refused_or_fail_configure_and_the_node_goes_on(start, configured):
    s = start() if configured else start(ready="unconfigured", autostart=False)
    for name, value in WRONG_VALUES:
        request = SetParameters.Request(parameters=[ParameterMessage(name=name, value=value)])
        (result,) = call(s, SetParameters, "set_parameters", request).results
        assert len(result.reason) < 3000
        if configured:
            assert not result.successful
            assert name[:100] in result.reason
        elif result.successful:
            assert not change(s, "configure"), (name, value)
            kept = s.node._settings._known[name].default
            assert s.node.set_parameters([s.node.get_parameter(name).__class__(name, value=kept)])
    if not configured:
        assert change(s, "configure")
    assert state(s) == ("active" if configured else "inactive")


# --- the loop ----------------------------------------------------------------------------------


@pytest.fixture
def guarded():
    """A node whose callbacks fail, and its client, under the guard."""
    node = Client("/nobody")
    faults = Faults(node.get_logger())
    loop = Loop(node, executor=GuardedExecutor(faults.report))
    yield node, faults, loop
    loop.close()
    node.ground.destroy()
    node.destroy_node()


ERRORS = [
    ValueError("v"), TypeError("t"), KeyError("k"), AssertionError(), RuntimeError("r"),
    OverflowError("o"), MemoryError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    cv2.error("c"), StopIteration(), ZeroDivisionError("x" * 1_000_000), LookupError(),
]  # fmt: skip


def raising(error):
    def callback(*arguments):
        raise error

    return callback


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_a_callback_is_counted_and_the_next_callback_runs(guarded, error):
    node, faults, loop = guarded
    ticks = []
    bad = node.create_timer(0.01, raising(error))
    node.create_timer(0.01, lambda: ticks.append(1))
    loop.until(lambda: faults.count >= 2)
    node.destroy_timer(bad)
    seen = len(ticks)
    loop.until(lambda: len(ticks) > seen + 2)
    assert type(error).__name__ in faults.last or isinstance(error, StopIteration)
    assert len(faults.last) <= 500


def test_a_message_that_cannot_be_taken_leaves_its_group_free(guarded, monkeypatch):
    node, faults, loop = guarded
    heard = []
    node.create_subscription(Image, "/taken", heard.append, 10)
    topic = node.create_publisher(Image, "/taken", 10)
    loop.until(topic.get_subscription_count)
    monkeypatch.setattr(loop.executor, "_take_subscription", raising(ValueError("cannot take")))
    topic.publish(image(1.0))
    loop.until(lambda: faults.count)
    monkeypatch.undo()
    topic.publish(image(2.0))
    loop.until(lambda: heard)


def test_services_and_coroutines_that_fail_leave_the_others_their_turn(guarded):
    node, faults, loop = guarded

    async def fails(request, response):
        raise ValueError("in a coroutine")

    node.create_service(Trigger, "fails", fails)
    node.create_service(Trigger, "works", lambda request, response: response)
    clients = [node.create_client(Trigger, name) for name in ("fails", "works")]
    loop.until(lambda: all(client.service_is_ready() for client in clients))
    lost = clients[0].call_async(Trigger.Request())
    loop.until(lambda: faults.count == 1)
    found = clients[1].call_async(Trigger.Request())
    loop.until(found.done)
    assert not lost.done()
    assert "ValueError: in a coroutine" in faults.last


def test_faults_are_told_in_diagnostics(guarded):
    _, faults, _ = guarded
    assert fault_status("n: callbacks", faults).message == "no unexpected error"
    faults.report(ValueError("odd"))
    found = fault_status("n: callbacks", faults)
    assert (found.level, found.message) == (b"\x01", "unexpected error: ValueError: odd")
    assert (found.values[0].key, found.values[0].value) == ("unexpected errors", "1")


def test_diagnostics_reads_counts_while_the_worker_changes_them(start):
    from stvg_ros.node.diagnostics import worker_status

    s = start()
    worker = s.node._queue

    class Changing(dict):
        """Grows whenever somebody looks at its items one by one."""

        def items(self):
            for key in list(self):
                self[f"{key}'"] = 1
                yield key, dict.__getitem__(self, key)

    worker.answered = Changing(FOUND=1)
    worker.timings_s = Changing(split=0.5)
    values = {item.key for item in worker_status("w", lambda: worker, 0).values}
    assert {"answers FOUND", "last split [s]"} <= values
    worker.answered, worker.timings_s = {}, {}


# --- configure that fails half-way --------------------------------------------------------------


PARTS = [
    "Cameras", "AnswerPublisher", "Intake", "Tracking", "StandingQueries", "Locator", "Commands",
    "Diagnostics", "Names", "Follow", "TargetPictures", "Recollection", "Parts",
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_configure_that_fails_half_way_leaves_nothing_and_can_be_mended(start, monkeypatch, part):
    from stvg_ros.errors import ConfigError
    from stvg_ros.node import parts

    s = start(ready="unconfigured", autostart=False)
    node = s.node

    def ends():
        kinds = (node.publishers, node.subscriptions, node.services, node.timers, node.waitables)
        return [len(list(kind)) for kind in kinds]

    before = ends()
    monkeypatch.setattr(parts, part, raising(ConfigError(f"{part}: not here")))
    for _ in range(3):
        assert not change(s, "configure")
        assert state(s) == "unconfigured"
        assert ends() == before
    for name, value in (
        ("window.duration_s", ParameterValue(type=3, double_value=5.0)),
        ("proposals.source", ParameterValue(type=4, string_value="external")),
    ):
        request = SetParameters.Request(parameters=[ParameterMessage(name=name, value=value)])
        (result,) = call(s, SetParameters, "set_parameters", request).results
        assert result.successful, result.reason
    monkeypatch.undo()
    assert change(s, "configure")
    assert node._settings.config.window.duration_s == 5.0


def test_vision_msgs_that_is_not_installed_is_mended_by_the_named_remedy(start):
    try:
        import vision_msgs.msg  # noqa: F401

        pytest.skip("vision_msgs is installed")
    except ImportError:
        pass
    wrong = {"proposals.source": "external", "proposals.detections": "vision_msgs"}
    s = start(ready="unconfigured", autostart=False, **wrong)
    assert not change(s, "configure")
    s.until(lambda: any("set 'stvg_ros'" in text for text in s.client.states))
    remedy = ParameterMessage(
        name="proposals.detections", value=ParameterValue(type=4, string_value="stvg_ros")
    )
    request = SetParameters.Request(parameters=[remedy])
    assert call(s, SetParameters, "set_parameters", request).results[0].successful
    assert change(s, "configure")
    assert change(s, "activate")


def test_an_activation_that_fails_half_way_ends_inactive(start, monkeypatch):
    s = start(ready="unconfigured", autostart=False)
    assert change(s, "configure")
    monkeypatch.setattr(s.node.cameras, "start", raising(ValueError("no topic")))
    assert not change(s, "activate")
    s.until(lambda: any("no topic" in text for text in s.client.states))
    assert s.node._queue is None
    monkeypatch.undo()
    assert change(s, "configure") or state(s) == "inactive"
    assert change(s, "activate")
    pending = ask(s, SetParameters, "set_parameters", SetParameters.Request())
    s.until(pending.done)


def test_a_failure_is_logged_once(start, monkeypatch):
    from rcl_interfaces.msg import Log

    from stvg_ros.errors import ModelError

    s = start(raising(ModelError("model.path: no folder '/nowhere'")), ready="failed")
    logged = []
    s.client.create_subscription(Log, "/rosout", logged.append, 1000)
    for _ in range(3):
        assert not change(s, "activate")
    s.until(lambda: sum("/nowhere" in line.msg for line in logged) >= 3)
    count = sum("/nowhere" in text for text in s.client.states)
    s.until(lambda: sum("/nowhere" in line.msg for line in logged) >= count - 1)
    assert sum("/nowhere" in line.msg for line in logged) <= count


def test_a_window_that_is_cleared_at_each_image_is_logged_now_and_then(start):
    from rcl_interfaces.msg import Log

    s = start()
    logged = []
    s.client.create_subscription(Log, "/rosout", logged.append, 1000)
    s.until(lambda: s.client.count_publishers("/rosout"))
    for number in range(40):
        s.show(100.0 - number)
    s.say("")  # its refusal is logged after them
    s.until(lambda: any("the command is empty" in line.msg for line in logged))
    assert s.node.window.counts["restarted"] == 39
    assert 1 <= sum("window cleared" in line.msg for line in logged) < 20
