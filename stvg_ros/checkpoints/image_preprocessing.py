# SPDX-License-Identifier: Apache-2.0

"""The parameters of an image processor, from preprocessor_config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.errors import ModelError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3}
_BILINEAR, _BICUBIC = 2, 3  # PIL's numbers
CLASS_VALUES: dict[str, dict[str, Any]] = {  # by the start of the class's name
    # Molmo2's for videos neither rescales nor normalises unless its file says so.
    "Molmo2Video": {**_HALF, "resample": _BILINEAR, "do_rescale": False, "do_normalize": False},
    "Molmo2": {**_HALF, "resample": _BILINEAR},
    "MiniCPMV4_6": _HALF,
    "Lfm2Vl": {**_HALF, "resample": _BILINEAR, "encoder_patch_size": 16},
}
FILES = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class ImagePreprocessing:
    """Resizing and normalising.

    Attributes:
        size: from the file: `height` and `width`, or `shortest_edge` and `longest_edge`, or
            `min_image_tokens` and `max_image_tokens`.
        crop: `(height, width)` of the centre crop, if the file asks for one.
        mean, std: of the three channels, after rescaling.
        rescale: factor from 8-bit levels to the range of mean and std.
        resample: PIL's number of the filter.
        patch, merge, pair: p, m, P of the families with patches in the preprocessor.
        pooling: rows and columns of patches that Molmo2 pools to a token.
        tile: side of the square that SmolVLM2's frames are stretched to, and whose area those of
            MiniCPM-V fill; 0 if the file has none.
        aspect_ratio: see `MllmSettings`; not in the file.
    """

    size: Mapping[str, int]
    crop: tuple[int, int] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rescale: float
    resample: int
    patch: int
    merge: int
    pair: int
    pooling: tuple[int, int] = (3, 3)
    tile: int = 0
    aspect_ratio: float = 0.0

    @classmethod
    def from_json(
        cls,
        values: Mapping[str, Any],
        source: str,
        mean: tuple[float, ...] = CLIP_MEAN,
        std: tuple[float, ...] = CLIP_STD,
    ) -> ImagePreprocessing:
        """Reads a preprocessor_config.json; `mean` and `std` are the defaults of both.

        Raises:
            ModelError: a value of the wrong type.
        """
        try:
            values = _completed(values)
            video = values.get("video_sampling") or {}  # of a file for images and videos
            size = video.get("video_size") or values.get("size") or {}
            size = {"shortest_edge": size} if isinstance(size, int) else dict(size)
            for key, name in (("min_pixels", "shortest_edge"), ("max_pixels", "longest_edge")):
                if values.get(key):
                    size[name] = values[key]
            size |= {name: values.get(name) for name in ("min_image_tokens", "max_image_tokens")}
            crop = values.get("crop_size") if values.get("do_center_crop") else None
            if isinstance(crop, int):
                crop = {"height": crop, "width": crop}
            mean, std = values.get("image_mean") or mean, values.get("image_std") or std
            if values.get("do_normalize") is False:  # RT-DETR still has a mean
                mean, std = (0.0,) * 3, (1.0,) * 3
            return cls(
                size={name: int(number) for name, number in size.items() if number is not None},
                crop=(int(crop["height"]), int(crop["width"])) if crop else None,
                mean=_triple(mean),
                std=_triple(std),
                rescale=(
                    1.0
                    if values.get("do_rescale") is False
                    else float(values.get("rescale_factor") or 1 / 255)
                ),
                resample=int(values.get("resample", _BICUBIC)),
                patch=int(values.get("encoder_patch_size") or values.get("patch_size", 14)),
                merge=int(values.get("merge_size") or 2),
                pair=int(values.get("temporal_patch_size", 2)),
                pooling=_pair(values.get("pooling_size") or (3, 3)),
                tile=int(
                    values.get("scale_resolution")
                    or (values.get("max_image_size") or {}).get("longest_edge", 0)
                ),
            )
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise ModelError(
                f"{source}: expected the numbers of an image processor, got {error!r}; "
                "download the checkpoint's file again"
            ) from error


def processor_values(files: CheckpointFiles) -> tuple[str, dict[str, Any]] | None:
    """The checkpoint's image processor file and its content; None if there is none.

    Raises:
        ModelError: as for `CheckpointFiles.json`.
    """
    for name in FILES:
        values = files.json(name)
        if values is not None:
            values = values.get("video_processor") or values.get("image_processor") or values
            if name != FILES[-1] or "size" in values or "image_mean" in values:
                return f"{files.source}/{name}", values
    return None


def preprocessing_of(
    files: CheckpointFiles,
    mean: tuple[float, ...] = CLIP_MEAN,
    std: tuple[float, ...] = CLIP_STD,
) -> ImagePreprocessing:
    """The numbers of a checkpoint's image processor; `mean` and `std` are the defaults of both.

    Raises:
        ModelError: there is no file of them, or as for `ImagePreprocessing.from_json`.
    """
    found = processor_values(files)
    if found is None:
        raise ModelError(
            f"{files.source}: no preprocessor_config.json; expected the image processor's numbers; "
            "download the checkpoint's file"
        )
    source, values = found
    return ImagePreprocessing.from_json(values, source, mean, std)


def _completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with those that the library's class adds to a file that lacks them."""
    kind = str(values.get("video_processor_type") or values.get("image_processor_type"))
    own = next((each for name, each in CLASS_VALUES.items() if kind.startswith(name)), {})
    return {**own, **{name: value for name, value in values.items() if value is not None}}


def _pair(values: Any) -> tuple[int, int]:
    rows, columns = values
    return int(rows), int(columns)


def _triple(values: Any) -> tuple[float, ...]:
    triple = tuple(float(value) for value in values)
    if len(triple) != 3:
        raise ValueError(f"expected three numbers for mean and std, got {triple}")
    return triple
