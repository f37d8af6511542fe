# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Every setting, once: name, default, unit, range, description.

The node declares its parameters from here (`window.duration_s`, ...), the command line its
options, the README its tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import cast

from stvg_ros.errors import ConfigError
from stvg_ros.setting import Group, Setting, Value, setting, setting_of


@dataclass(frozen=True)
class NodeConfig(Group):
    """The node as a whole (node only)."""

    group_name = ""
    autostart: bool = setting(
        True, "configure and activate at the start; false leaves it to a lifecycle manager"
    )
    cameras: str = setting(
        "", "names of cameras, separated by commas, with topics ~/NAME/image; '' is one at ~/image"
    )

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The names in `cameras`, or one empty name for the only camera."""
        return tuple(name.strip() for name in self.cameras.split(",")) if self.cameras else ("",)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.camera_names
        if self.cameras and not all(re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) for name in names):
            raise ConfigError(
                f"cameras: expected names of letters, digits and _, separated by commas, "
                f"got {self.cameras!r}"
            )
        if len(set(names)) < len(names):
            raise ConfigError(f"cameras: expected each name once, got {self.cameras!r}")


@dataclass(frozen=True)
class ImageConfig(Group):
    """How camera images come in (node only)."""

    group_name = "image"
    transport: str = setting(
        "raw", "message type of ~/image: Image or CompressedImage", choices=("raw", "compressed")
    )
    qos: str = setting(
        "sensor_data",
        "QoS profile of the image subscription",
        choices=("sensor_data", "reliable", "system_default"),
    )
    annotate: bool = setting(
        True, "publish ~/annotated_image when somebody subscribes", dynamic=True
    )


@dataclass(frozen=True)
class DiagnosticsConfig(Group):
    """Health on /diagnostics (node only)."""

    group_name = "diagnostics"
    period_s: float = setting(
        1.0, "how often /diagnostics is told; 0 is never", unit="s", minimum=0.0, maximum=3600.0
    )


@dataclass(frozen=True)
class DepthConfig(Group):
    """Aligned depth, for positions in space (node only)."""

    group_name = "depth"
    enabled: bool = setting(
        False, "take ~/depth (16UC1 in mm or 32FC1 in m, aligned to ~/image) and ~/camera_info"
    )
    slop_s: float = setting(
        0.05,
        "stamps of image, depth and camera_info that differ by less belong together",
        unit="s",
        minimum=0.0001,
        maximum=10.0,
    )
    queue_size: int = setting(
        10, "messages of each topic that wait for their fellows", minimum=1, maximum=1000
    )
    target_frame: str = setting(
        "", "frame in which positions are told too, such as map (needs tf2); '' is none"
    )


@dataclass(frozen=True)
class WindowConfig(Group):
    """The sliding window of frames; the bounds hold together."""

    group_name = "window"
    duration_s: float = setting(
        10.0, "how far back the window reaches", unit="s", minimum=0.1, maximum=3600.0, dynamic=True
    )
    max_bytes: int = setting(
        512 * 1024 * 1024,
        "memory for buffered images",
        unit="bytes",
        minimum=1,
        maximum=2**40,
        dynamic=True,
    )
    long_side_px: int = setting(
        640,
        "images are scaled down to this long side when stored; boxes are scaled back",
        unit="px",
        minimum=16,
        maximum=16384,
        dynamic=True,
    )
    max_rate_hz: float = setting(
        15.0,
        "frames are stored at most this often; 0 stores every frame",
        unit="Hz",
        minimum=0.0,
        maximum=1000.0,
        dynamic=True,
    )


@dataclass(frozen=True)
class CommandConfig(Group):
    """What happens to commands that come while another is being answered (node only)."""

    group_name = "command"
    policy: str = setting(
        "queue",
        "a new command waits its turn, or replaces the ones before it; all are answered",
        choices=("queue", "replace"),
        dynamic=True,
    )
    queue_size: int = setting(
        8, "commands that may wait; one more is refused", minimum=1, maximum=1000, dynamic=True
    )
    preliminary: bool = setting(
        False,
        "publish the answer before tuning at once, as a preliminary tube, for every command; the "
        "final one follows",
        dynamic=True,
    )
    deadline_s: float = setting(
        0.0,
        "deadline of commands that name none; 0 is none",
        unit="s",
        minimum=0.0,
        maximum=3600.0,
        dynamic=True,
    )


@dataclass(frozen=True)
class ModelConfig(Group):
    """The multimodal language model."""

    group_name = "model"
    path: str = setting(
        "embedded", "a local folder, a hub id, or 'embedded' for the model in the package"
    )
    device: str = setting("auto", "'auto', 'cpu', 'cuda', 'cuda:1', ...")
    dtype: str = setting(
        "auto",
        "precision of the weights; auto is bfloat16 on a GPU and float32 on a CPU",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    quantization: str = setting(
        "none", "weights in 4 or 8 bits (needs bitsandbytes)", choices=("none", "4bit", "8bit")
    )
    gradient_checkpointing: bool = setting(
        False, "recompute activations in re-attention: slower, less memory"
    )
    batch_passes: int = setting(
        0,
        "passes over the video that share a batch after tuning; 0 takes as many as a GPU's free "
        "memory allows, and one at a time on a CPU",
        minimum=0,
        maximum=16,
    )


@dataclass(frozen=True)
class SamplingConfig(Group):
    """Which frames of the window the model sees."""

    group_name = "sampling"
    frames: int = setting(
        0,
        "T, uniformly sampled frames; 0 takes the model's own (20 in the paper)",
        minimum=0,
        maximum=512,
        dynamic=True,
    )
    ahead: bool = setting(
        False,
        "encode frames as they come, in idle time: commands for the whole window are answered "
        "sooner, on frames of a fixed time grid of window.duration_s / T",
        dynamic=True,
    )


@dataclass(frozen=True)
class SplitConfig(Group):
    """Decomposition of the query (paper, section 4.2)."""

    group_name = "split"
    method: str = setting(
        "auto",
        "who splits: the MLLM itself, an OpenAI-compatible endpoint, rules, or nobody; "
        "auto is rules for the embedded model and the MLLM for others",
        choices=("auto", "mllm", "endpoint", "rules", "none"),
    )
    endpoint_url: str = setting("", "base URL of the endpoint, such as http://host:8000/v1")
    endpoint_model: str = setting("", "model name sent to the endpoint")
    endpoint_timeout_s: float = setting(
        10.0, "time-out of the endpoint", unit="s", minimum=0.1, maximum=600.0
    )


@dataclass(frozen=True)
class AttentionConfig(Group):
    """Grounding token and relative attention (paper, section 4.1)."""

    group_name = "attention"
    first_layer: int = setting(
        -1, "first layer of the averaged band; -1 is the model's own", minimum=-1, maximum=999
    )
    last_layer: int = setting(
        -1, "last layer of the band, included; -1 is the model's own", minimum=-1, maximum=999
    )
    selection: str = setting(
        "activation",
        "the row used: the candidate of highest visual activation, the mean of all, or a fixed one",
        choices=("activation", "mean", "fixed"),
        dynamic=True,
    )
    index: int = setting(
        -1,
        "fixed: which candidate, from the question's final point on; -1 is the last",
        minimum=-100,
        maximum=100,
        dynamic=True,
    )
    rank_relative: bool = setting(
        True, "rank candidates by relative attention instead of raw", dynamic=True
    )
    relative: bool = setting(True, "divide by the attention of the neutral prompt", dynamic=True)


@dataclass(frozen=True)
class ReattentionConfig(Group):
    """Logit-guided re-attention, LRA (paper, section 4.3)."""

    group_name = "reattention"
    spatial: bool = setting(True, "tune V_s on the attribute sub-query", dynamic=True)
    temporal: bool = setting(True, "tune V_t on the action sub-query", dynamic=True)
    loss: str = setting(
        "paper",
        "-exp(p_yes - p_no) of the paper, or the released code's contrast with the neutral prompt",
        choices=("paper", "code"),
        dynamic=True,
    )
    epochs: int = setting(1, "N_ep, gradient steps", minimum=1, maximum=100, dynamic=True)
    temporal_epochs: int = setting(
        0, "N_ep of V_t; 0 is the same as epochs", minimum=0, maximum=100, dynamic=True
    )
    step: str = setting(
        "auto",
        "plain: V - learning_rate * gradient (the paper's); rms: the strongest token moves by "
        "learning_rate times the RMS of the visual tokens; auto is the model's own",
        choices=("auto", "plain", "rms"),
        dynamic=True,
    )
    learning_rate: float = setting(
        0.0,
        "step size; 0 is the model's own (8 with plain steps)",
        minimum=0.0,
        maximum=1e6,
        dynamic=True,
    )
    temporal_learning_rate: float = setting(
        0.0,
        "step size of V_t; 0 is the same as learning_rate",
        minimum=0.0,
        maximum=1e6,
        dynamic=True,
    )


@dataclass(frozen=True)
class AssemblingConfig(Group):
    """Temporal-augmented assembling, TAS (paper, section 4.4)."""

    group_name = "assembling"
    enabled: bool = setting(
        True, "average the spatial map with that of the reversed frame order", dynamic=True
    )


@dataclass(frozen=True)
class SpanConfig(Group):
    """From frame scores to a time span."""

    group_name = "span"
    method: str = setting(
        "adaptive",
        "adaptive: a threshold on S_frame, all for a query without an action; "
        "top_k: first to last of the K best (paper); "
        "contiguous: grow from the peak to a fixed length (released code); change_points: the run "
        "that rises most clearly above the rest; window: all",
        choices=("adaptive", "top_k", "contiguous", "change_points", "window"),
        dynamic=True,
    )
    top_k: int = setting(
        7, "K of 20 frames for top_k, scaled to T", minimum=1, maximum=20, dynamic=True
    )
    length: int = setting(
        11, "frames of 20 for contiguous, scaled to T", minimum=1, maximum=20, dynamic=True
    )
    threshold: float = setting(
        0.2,
        "adaptive: share of the way from the floor to the peak of S_frame",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )


@dataclass(frozen=True)
class PresenceConfig(Group):
    """Whether the target is there at all."""

    group_name = "presence"
    enabled: bool = setting(True, "answer 'not found' when the evidence is thin", dynamic=True)
    threshold: float = setting(
        0.0,
        "smallest evidence that counts as present: log p(yes) - log p(no) before tuning, and "
        "track_weight times the logarithm of the best track's score; on top of the model's own",
        unit="nat",
        minimum=-1000.0,
        maximum=1000.0,
        dynamic=True,
    )
    track_weight: float = setting(
        -1.0,
        "how much the best track's score counts; -1 is the model's own, found by calibration",
        minimum=-1.0,
        maximum=1000.0,
        dynamic=True,
    )


@dataclass(frozen=True)
class ProposalConfig(Group):
    """Candidate tubes."""

    group_name = "proposals"
    source: str = setting(
        "classical",
        "where candidate tubes come from: OpenCV's people detector and motion; a people detector "
        "on each image; detector and tracker below, on what the query names; or a detector of "
        "yours on ~/detections",
        choices=("classical", "people_detector", "open_vocabulary", "external"),
    )
    people_detector: str = setting(
        "embedded",
        "people_detector: folder or hub id of an RT-DETR, RT-DETRv2 or D-FINE that knows the class "
        "'person'; 'embedded' is one of rendered people only",
    )
    min_frames: int = setting(
        3, "shorter tracks are dropped", unit="frames", minimum=1, maximum=100000, dynamic=True
    )
    min_height: float = setting(
        0.08,
        "classical: smallest height of a person, as a share of the image",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )
    detector: str = setting(
        "IDEA-Research/grounding-dino-tiny",
        "open_vocabulary: folder or hub id of a Grounding DINO or MM Grounding DINO",
    )
    tracker: str = setting(
        "facebook/sam2.1-hiera-tiny", "open_vocabulary: folder or hub id of a SAM 2 or EdgeTAM"
    )
    device: str = setting("auto", "people_detector, open_vocabulary: 'auto', 'cpu', 'cuda', ...")
    box_threshold: float = setting(
        0.4, "open_vocabulary: smallest score of a box (paper)", minimum=0.0, maximum=1.0
    )
    new_track_threshold: float = setting(
        0.7,
        "people_detector: smallest score of a box that begins a track; weaker ones only go on with "
        "tracks",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )
    text_threshold: float = setting(
        0.4,
        "open_vocabulary: smallest score of a word of the phrase (paper)",
        minimum=0.0,
        maximum=1.0,
    )
    track_every: int = setting(
        3,
        "open_vocabulary: each n-th buffered frame is tracked; boxes between are interpolated",
        unit="frames",
        minimum=1,
        maximum=1000,
        dynamic=True,
    )
    detect_every: int = setting(
        10,
        "open_vocabulary: each n-th tracked frame is searched for new objects (paper)",
        unit="frames",
        minimum=1,
        maximum=1000,
        dynamic=True,
    )
    max_objects: int = setting(
        20, "open_vocabulary: most objects that are tracked", minimum=1, maximum=1000, dynamic=True
    )
    merge_iou: float = setting(
        0.5,
        "open_vocabulary: objects whose masks overlap by as much are one",
        minimum=0.01,
        maximum=1.0,
        dynamic=True,
    )
    detections: str = setting(
        "auto",
        "external: message type of ~/detections, vision_msgs/Detection2DArray or "
        "stvg_ros/DetectionArray; auto is the first one where vision_msgs is installed",
        choices=("auto", "vision_msgs", "stvg_ros"),
    )
    slop_s: float = setting(
        0.05,
        "external: stamps of an image and its detections that differ by less belong together",
        unit="s",
        minimum=0.0001,
        maximum=10.0,
    )
    queue_size: int = setting(
        30, "external: images that wait for their detections", minimum=1, maximum=1000
    )


@dataclass(frozen=True)
class FollowConfig(Group):
    """Following the target after a tube is found (node only)."""

    group_name = "follow"
    enabled: bool = setting(
        False, "keep publishing the target's box on ~/target; ~/follow switches it while running"
    )
    lost_s: float = setting(
        1.5,
        "the target is lost when it has not been seen for so long",
        unit="s",
        minimum=0.05,
        maximum=3600.0,
        dynamic=True,
    )


@dataclass(frozen=True)
class PlaceConfig(Group):
    """Where the model is."""

    group_name = ""
    backend: str = setting(
        "local",
        "where the model runs: in this process, or on the server at remote.address",
        choices=("local", "remote"),
    )


@dataclass(frozen=True)
class RemoteConfig(Group):
    """How a client reaches the server with the model (`backend: remote`)."""

    group_name = "remote"
    address: str = setting(
        "http://127.0.0.1:8000", "URL of the server, with the path of the model's application"
    )
    token_file: str = setting(
        "", "file with this client's token; '' sends the environment's STVG_ROS_TOKEN, if set"
    )
    ca_file: str = setting(
        "", "certificate (PEM) that the server's must be signed by; '' is the system's"
    )
    jpeg_quality: int = setting(
        90, "JPEG quality of the frames sent; 0 sends PNG, without loss", minimum=0, maximum=100
    )
    timeout_s: float = setting(
        10.0,
        "a server that gives no sign of life for so long is unreachable",
        unit="s",
        minimum=0.1,
        maximum=600.0,
    )
    retries: int = setting(
        2, "further attempts of a command after the server broke off", minimum=0, maximum=100
    )
    backoff_s: float = setting(
        0.2, "pause before the first retry; doubled for each more", unit="s", minimum=0.0,
        maximum=60.0,
    )  # fmt: skip
    breaker_failures: int = setting(
        3, "failed attempts in a row after which the server is left alone", minimum=1, maximum=1000
    )
    breaker_s: float = setting(
        5.0, "for how long it is left alone: commands are answered at once", unit="s",
        minimum=0.0, maximum=3600.0,
    )  # fmt: skip
    fallback: str = setting(
        "fail",
        "without the server: answer 'failed: unreachable', or ground with model.path here",
        choices=("fail", "local"),
    )


@dataclass(frozen=True)
class ServingConfig(Group):
    """Limits of a server (`stvg-ros serve` only)."""

    group_name = "serving"
    max_queue: int = setting(
        16, "commands that may wait in a replica; one more is refused", minimum=1, maximum=10000
    )
    client_commands: int = setting(
        2, "commands of one client that may wait or run at once", minimum=1, maximum=10000
    )
    client_rate_hz: float = setting(
        60.0, "requests of one client, on average", unit="Hz", minimum=0.1, maximum=100000.0
    )
    command_timeout_s: float = setting(
        120.0, "a command that takes longer ends", unit="s", minimum=0.1, maximum=3600.0
    )
    body_timeout_s: float = setting(
        20.0, "a request must have arrived after so long", unit="s", minimum=0.1, maximum=600.0
    )
    max_body_bytes: int = setting(
        64 * 1024 * 1024, "size of a request", unit="bytes", minimum=1024, maximum=2**32
    )
    session_bytes: int = setting(
        256 * 1024 * 1024,
        "decoded frames of one session, and of one request",
        unit="bytes",
        minimum=1024,
        maximum=2**40,
    )
    store_bytes: int = setting(
        4 * 1024 * 1024 * 1024,
        "decoded frames of all sessions of a replica",
        unit="bytes",
        minimum=1024,
        maximum=2**44,
    )
    session_s: float = setting(
        60.0, "a session that nobody uses ends", unit="s", minimum=0.1, maximum=86400.0
    )


@dataclass(frozen=True)
class Config:
    """All groups together."""

    node: NodeConfig = field(default_factory=NodeConfig)
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    command: CommandConfig = field(default_factory=CommandConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    reattention: ReattentionConfig = field(default_factory=ReattentionConfig)
    assembling: AssemblingConfig = field(default_factory=AssemblingConfig)
    span: SpanConfig = field(default_factory=SpanConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    follow: FollowConfig = field(default_factory=FollowConfig)
    place: PlaceConfig = field(default_factory=PlaceConfig)
    remote: RemoteConfig = field(default_factory=RemoteConfig)
    serving: ServingConfig = field(default_factory=ServingConfig)

    @classmethod
    def from_flat(cls, values: Mapping[str, Value]) -> Config:
        """A configuration from `{"window.duration_s": 5.0, ...}`; absent names keep defaults.

        Raises:
            ConfigError: an unknown name, or a value that its setting refuses.
        """
        kinds = {item.name: cast(type[Group], item.default_factory) for item in fields(cls)}
        places = {
            setting_of(kind.group_name, item).name: (group, item.name)
            for group, kind in kinds.items()
            for item in fields(kind)  # type: ignore[arg-type]
        }
        groups: dict[str, dict[str, Value]] = {}
        for name, value in values.items():
            if name not in places:
                raise ConfigError(f"{name}: unknown setting; the README's tables list all of them")
            group, key = places[name]
            groups.setdefault(group, {})[key] = value
        return cls(**{group: kinds[group](**given) for group, given in groups.items()})  # type: ignore[arg-type]

    def flat(self) -> dict[str, Value]:
        """`{"window.duration_s": 10.0, ...}` with every setting."""
        return {
            setting_of(group.group_name, item).name: getattr(group, item.name)
            for group in (getattr(self, item.name) for item in fields(self))
            for item in fields(group)
        }


def settings() -> Iterator[Setting]:
    """Every setting, in the order of the groups."""
    for group in fields(Config):
        kind = cast(type[Group], group.default_factory)
        for item in fields(kind):  # type: ignore[arg-type]
            yield setting_of(kind.group_name, item)
