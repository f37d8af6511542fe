# SPDX-License-Identifier: Apache-2.0

"""Colours of clothes, hair and skin between the keypoints.

Each region is a grid of pixels stretched between points: the upper garment between shoulders and
hips, the lower one between hips and ankles, and so on. Where points are not seen there are no
pixels, and so no evidence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stvg_ros import colours
from stvg_ros.body import keypoints as body
from stvg_ros.body.logic import Array, below, both, exceeds, log_odds, within
from stvg_ros.body.track import BodyTrack, Looks
from stvg_ros.colours import NAMES, Light

REGIONS = ("upper", "lower", "hair", "face", "forearms", "shins")
UPPER, LOWER, HAIR, FACE, FOREARMS, SHINS = range(len(REGIONS))
_GRID = 10  # pixels of a side of a region
_FEWEST = 12  # pixels of a region that must be inside the image
_POINT_SEEN = 0.35
_LEAST_WIDTH = 0.3  # of a trunk seen from the side, in torsos
_LEG_WIDTH = 0.22
_HEAD = 0.2  # radius of a head, in torsos
_LARGE_HEAD_PX = 20.0  # radius from which on hair and its background are separated
_FRAMES = 3.0  # independent frames that a garment seen all the time is worth

# A garment of one colour has other ones in it (folds, bags, skin): shares and their standard
# deviation, from which on it has the colour. Calibrated on rendered people in five kinds of light.
_HAS, _HAS_NOISE = 0.33, 0.16
_HAS_TWO, _TWO_NOISE = 0.13, 0.08
_LIGHT_L, _DARK_L, _LIGHT_NOISE = 62.0, 38.0, 8.0
_PATTERN_L, _PATTERN_NOISE = 13.0, 4.0
# Other words for basic colours; the share of a basic colour that counts for the word.
_ALSO = {
    "turquoise": {"blue": 1.0, "green": 1.0},
    "beige": {"brown": 0.8, "white": 0.6, "yellow": 0.6, "gray": 0.3},
    "gold": {"yellow": 1.0, "brown": 0.7, "orange": 0.5},
    "silver": {"gray": 1.0, "white": 0.5},
    "blond": {"yellow": 1.0, "brown": 0.6, "orange": 1.0},
    "grey": {"gray": 1.0},
}
_DARK_KEPT = 0.8  # of black, for "dark blue" and other dark shades


def nothing_seen(frames: int) -> Looks:
    """Looks of frames in which nothing was measured."""
    return Looks(
        np.full((frames, len(REGIONS), len(NAMES)), np.nan, np.float32),
        np.full((frames, len(REGIONS), 3), np.nan, np.float32),
        np.full((frames, len(REGIONS)), np.nan, np.float32),
    )


def looks(
    image: NDArray[np.uint8],
    points_px: Array,
    visibility: Array,
    box_xyxy_px: Array,
    light: Light,
) -> Looks:
    """The colours of one person in one image.

    Args:
        image: `(h, w, 3)` RGB.
        points_px: `(17, 2)` in this image's pixels.
        visibility: `(17,)`.
        box_xyxy_px: `(4,)` in this image's pixels.
        light: of the image.
    """
    seen = nothing_seen(1)
    for region, places in _regions(points_px, visibility, box_xyxy_px).items():
        pixels = _pixels(image, places)
        if len(pixels) < _FEWEST:
            continue
        values = light.applied(pixels)
        seen.shares[0, region] = colours.shares(values).mean(axis=0)
        seen.lab[0, region] = np.median(values, axis=0)
        seen.contrast[0, region] = values[:, 0].std()
    return Looks(seen.shares[0], seen.lab[0], seen.contrast[0])


def _pixels(image: NDArray[np.uint8], places: Array) -> NDArray[np.uint8]:
    """The pixels at places `(N, 2)` that lie in the image, `(n, 3)`."""
    height, width = image.shape[:2]
    x, y = np.floor(places).astype(np.int64).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(image[y[inside], x[inside]], np.uint8)


def _regions(points: Array, visibility: Array, box: Array) -> dict[int, Array]:
    """The places of each region that can be seen, `(N, 2)`."""
    found: dict[int, Array] = {}

    def seen(*which: int) -> bool:
        return bool((visibility[list(which)] >= _POINT_SEEN).all())

    shoulders, hips = points[list(body.SHOULDERS)], points[list(body.HIPS)]
    torso = max(float(np.hypot(*(shoulders.mean(0) - hips.mean(0)))), 1.0)
    if seen(*body.SHOULDERS, *body.HIPS):
        top, bottom = (_widened(pair, torso) for pair in (shoulders, hips))
        found[UPPER] = _between(top, bottom, (0.1, 0.85), (0.12, 0.88))
    legs, shins, arms = [], [], []
    for side in (0, 1):
        hip, knee, ankle = body.HIPS[side], body.KNEES[side], body.ANKLES[side]
        if seen(hip, knee):
            legs.append(_along(points[hip], points[knee], _LEG_WIDTH * torso, (0.25, 0.95)))
        if seen(knee, ankle):
            shins.append(_along(points[knee], points[ankle], 0.12 * torso, (0.35, 0.8)))
        elbow, wrist = body.ELBOWS[side], body.WRISTS[side]
        if seen(elbow, wrist):
            arms.append(_along(points[elbow], points[wrist], 0.08 * torso, (0.2, 0.8)))
    for region, parts in ((LOWER, legs), (SHINS, shins), (FOREARMS, arms)):
        if parts:
            found[region] = np.concatenate(parts)
    face = [p for p in (body.NOSE, body.LEFT_EYE, body.RIGHT_EYE, *body.EARS) if seen(p)]
    if len(face) >= 3:
        head = points[face].mean(axis=0)
        found |= _head(head, shoulders.mean(axis=0), torso, float(box[1]))
    return found


def _head(head: Array, neck: Array, torso: float, box_top: float) -> dict[int, Array]:
    """Face and hair: about the middle of the face, and above it up to the top of the box."""
    up = (head - neck) / max(float(np.hypot(*(head - neck))), 1e-6)
    across = np.array([-up[1], up[0]])
    radius = _HEAD * torso
    # The crown by the box, where the person is upright; it is better known than the skull's size.
    crown = head[1] - box_top if up[1] < -0.8 else 2 * radius
    crown = float(np.clip(crown, 1.2 * radius, 2.6 * radius))
    low, high = 0.62 * crown, 0.95 * crown

    def patch(first: float, last: float, half: float) -> Array:
        v, u = np.meshgrid(np.linspace(first, last, _GRID), np.linspace(-half, half, _GRID))
        return np.asarray(head + v.reshape(-1, 1) * up + u.reshape(-1, 1) * across, np.float64)

    return {
        FACE: patch(-0.45 * radius, 0.3 * radius, 0.5 * radius),
        HAIR: patch(low, high, 0.5 * radius),
    }


def _widened(pair: Array, torso: float) -> Array:
    """Two points at least `_LEAST_WIDTH` apart, the one further left in the image first."""
    left, right = pair[np.argsort(pair[:, 0])]
    middle, half = (left + right) / 2, (right - left) / 2
    length = float(np.hypot(*half))
    least = _LEAST_WIDTH * torso / 2
    if length < least:
        half = np.array([least, 0.0])
    return np.stack([middle - half, middle + half])


def _between(
    top: Array, bottom: Array, down: tuple[float, float], across: tuple[float, float]
) -> Array:
    """A grid in the quadrilateral of two edges."""
    v, u = np.meshgrid(np.linspace(*down, _GRID), np.linspace(*across, _GRID))
    v, u = v.reshape(-1, 1), u.reshape(-1, 1)
    upper, lower = (edge[0] + u * (edge[1] - edge[0]) for edge in (top, bottom))
    return np.asarray(upper + v * (lower - upper), np.float64)


def _along(first: Array, last: Array, width: float, part: tuple[float, float]) -> Array:
    """A grid along a limb."""
    way = last - first
    across = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-6) * width / 2
    v, u = np.meshgrid(np.linspace(*part, _GRID), np.linspace(-0.7, 0.7, _GRID // 2))
    return np.asarray(first + v.reshape(-1, 1) * way + u.reshape(-1, 1) * across, np.float64)


def share_of(looked: Looks, region: int, colour: str) -> Array:
    """The share of a colour in a region, `(F,)`; NaN where it is not seen.

    Args:
        looked: looks of F frames.
        region: index of `REGIONS`.
        colour: a basic colour, another word for one, or either with "dark" or "light" before it.
    """
    shade, _, name = colour.rpartition(" ")
    parts = _ALSO.get(name, {name: 1.0})
    total = np.zeros(len(looked.shares))
    for basic, weight in parts.items():
        if basic in NAMES:
            total = total + weight * looked.shares[:, region, NAMES.index(basic)]
    if shade in ("dark", "navy", "deep"):
        dark = both(below(lightness(looked, region), 45, 8))
        total = total * dark + _DARK_KEPT * looked.shares[:, region, NAMES.index("black")]
    elif shade in ("light", "pale", "sky", "pastel"):
        bright = exceeds(lightness(looked, region), 55, 8)
        white = looked.shares[:, region, NAMES.index("white")]
        total = total * bright + 0.4 * white
    return np.asarray(np.clip(total, 0, 1), np.float64)


def lightness(looked: Looks, region: int) -> Array:
    """L* of a region, `(F,)`."""
    return np.asarray(looked.lab[:, region, 0], np.float64)


def knows(colour: str) -> bool:
    """Whether a word for a colour has a measure."""
    name = colour.rpartition(" ")[2]
    return name in NAMES or name in _ALSO or colour in ("dark", "light", "bright")


def wears(track: BodyTrack, region: int, colours_worn: tuple[str, ...]) -> Array:
    """The garment in a region has these colours, each of them: evidence for each frame."""
    looked = track.looks
    nats = np.zeros(len(track))
    several = len(colours_worn) > 1
    for colour in colours_worn:
        if colour in ("dark", "light", "bright"):
            nats = nats + light_or_dark(track, region, colour)
            continue
        share = share_of(looked, region, colour)
        at, noise = (_HAS_TWO, _TWO_NOISE) if several else (_HAS, _HAS_NOISE)
        nats = nats + log_odds(exceeds(share, at, noise))
    return nats / max(len(colours_worn), 1) if several else nats


def light_or_dark(track: BodyTrack, region: int, shade: str) -> Array:
    """The garment in a region is light or dark."""
    value = lightness(track.looks, region)
    if shade == "dark":
        return log_odds(below(value, _DARK_L, _LIGHT_NOISE))
    return log_odds(exceeds(value, _LIGHT_L, _LIGHT_NOISE))


def patterned(track: BodyTrack, region: int) -> Array:
    """The garment in a region has light and dark parts side by side."""
    contrast = np.asarray(track.looks.contrast[:, region], np.float64)
    return log_odds(exceeds(contrast, _PATTERN_L, _PATTERN_NOISE))


def bare(track: BodyTrack, region: int) -> Array:
    """The skin of the forearms or shins is seen: short sleeves, shorts, a skirt."""
    looked = track.looks
    covered = UPPER if region == FOREARMS else LOWER
    skin = is_skin(looked, region)
    # Clothes of the colour of skin are no bare limbs.
    differs = np.linalg.norm(looked.lab[:, region] - looked.lab[:, covered], axis=1)
    return log_odds(both(skin, exceeds(differs.astype(np.float64), 14, 6)))


def is_skin(looked: Looks, region: int) -> Array:
    """The probability that a region has the colour of skin, in white light."""
    lab = looked.lab[:, region].astype(np.float64)
    lightness_, a, b = lab.T
    hue, chroma = np.degrees(np.arctan2(b, a)), np.hypot(a, b)
    return both(within(hue, 25, 78, 8), within(chroma, 9, 48, 4), within(lightness_, 25, 92, 6))


def head_seen(track: BodyTrack) -> Array:
    """Weight of evidence from the head, `(F,)`: the hair of a small head blends with its ground.

    It grows with the number of the head's pixels.
    """
    return np.nan_to_num(np.clip(_HEAD * track.torso_px / _LARGE_HEAD_PX, 0, 1)) ** 2


def hair_is(track: BodyTrack, colour: str) -> Array:
    """The hair is light ("blond", "white", "gray", "light") or dark ("black", "brown", "dark").

    Blond is as light as skin, and yellower or paler than it.
    """
    lab = track.looks.lab[:, HAIR].astype(np.float64)
    lightness_, a, b = lab.T
    hue, chroma = np.degrees(np.arctan2(b, a)), np.hypot(a, b)
    light = exceeds(lightness_, 46, 8)
    seen = head_seen(track)
    shade, _, name = colour.rpartition(" ")
    name = name or shade
    if name in ("blond", "blonde", "light", "yellow", "gold"):
        return log_odds(both(light, exceeds(hue, 55, 12), within(chroma, 8, 60, 5)), seen)
    if name in ("white", "gray", "grey", "silver"):
        return log_odds(both(exceeds(lightness_, 40, 8), below(chroma, 14, 4)), seen)
    if name in ("black", "dark"):
        return log_odds(below(lightness_, 32 if name == "black" else 38, 8), seen)
    if name in ("brown", "brunette"):
        return log_odds(within(lightness_, 15, 48, 8), seen)
    if name in ("red", "orange", "ginger"):
        return log_odds(both(exceeds(chroma, 24, 6), within(hue, 20, 68, 6)), seen)
    return log_odds(exceeds(share_of(track.looks, HAIR, name), _HAS, _HAS_NOISE), seen)


def bald(track: BodyTrack) -> Array:
    """The top of the head has the colour of the face."""
    looked = track.looks
    skin = is_skin(looked, HAIR)
    apart = np.linalg.norm(looked.lab[:, HAIR] - looked.lab[:, FACE], axis=1).astype(np.float64)
    same = np.where(np.isfinite(apart), below(apart, 18, 7), 0.5)
    return log_odds(both(skin, same), head_seen(track))


def over_frames(nats: Array) -> float:
    """Evidence of a whole track for what lasts: the mean of its frames, times independent ones."""
    known = nats[nats != 0]
    if not len(known):
        return 0.0
    return float(known.mean() * min(_FRAMES, len(known)) / 1.5)
