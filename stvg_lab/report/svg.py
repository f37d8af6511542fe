# SPDX-License-Identifier: Apache-2.0

"""Small charts as inline SVG. The page sets the colours; shapes only have class names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from markupsafe import Markup


def tag(name: str, content: str = "", **attributes: float | str) -> str:
    """An element; in attribute names, _ becomes - and a trailing _ is removed."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def _svg(title: str, width: float, height: float, content: str, **attributes: str) -> Markup:
    described = tag("title", escape(title)) + content
    box = f"0 0 {_short(width)} {_short(height)}"
    return Markup(tag("svg", described, viewBox=box, role="img", **attributes))


def time_line(
    length_s: float,
    rows: Sequence[tuple[str, tuple[float, float] | None]],
    title: str,
    curve: Sequence[tuple[float, float]] = (),
) -> Markup:
    """Rows of spans on one time axis, over a curve. Scales to the page's width.

    Args:
        length_s: end of the axis, which starts at 0.
        rows: class name and span in seconds of each row; None draws an empty row.
        title: alternative text.
        curve: points in seconds and 0 to 1, drawn over the rows' height.
    """
    width, row_height = 1000.0, 16.0
    scale = width / max(length_s, 1e-9)
    height = row_height * len(rows)
    parts = [tag("rect", class_="track", width=width, height=height)]
    for row, (name, span) in enumerate(rows):
        if span is not None:
            start, end = (min(max(edge, 0.0), length_s) * scale for edge in span)
            # A very short span must remain visible.
            parts.append(
                tag(
                    "rect", class_=name, x=min(start, width - 4), y=row * row_height + 3,
                    width=max(end - start, 4), height=row_height - 6,
                )
            )  # fmt: skip
    if len(curve) > 1:
        points = " ".join(
            f"{_short(x * scale)},{_short((1 - y) * (height - 2) + 1)}" for x, y in curve
        )
        parts.append(tag("polyline", class_="curve", points=points))
    return _svg(title, width, height, "".join(parts), preserveAspectRatio="none", class_="line")


def interval(mean: float, low: float | None, high: float | None, title: str) -> Markup:
    """A mean with its interval, if any, on an axis from 0 to 1. Scales to the width of its cell."""
    parts = [
        tag("rect", class_="track", y=2, width=100, height=4),
        tag("rect", class_="bar", y=2, width=100 * mean, height=4),
    ]
    if low is not None and high is not None:
        width = 100 * (high - low)
        parts.append(tag("rect", class_="whisker", x=100 * low, y=3.25, width=width, height=1.5))
    return _svg(title, 100, 8, "".join(parts), preserveAspectRatio="none", class_="interval")


def histogram(values: Sequence[float], unit: str, title: str, bins: int = 24) -> Markup:
    """Histogram of values from 0 on, with an axis and a mark at the median.

    Raises:
        ValueError: no values, or one that is negative or not finite.
    """
    array = np.asarray(values, np.float64)
    if not len(array) or not np.isfinite(array).all() or array.min() < 0:
        raise ValueError("histogram: expected finite values from 0 on, one or more")
    width, height, base, left = 480.0, 200.0, 164.0, 34.0
    step = nice_step(float(array.max()) or 1.0, 6)
    end = step * max(1, math.ceil(float(array.max()) / step - 1e-9))
    counts, edges = np.histogram(array, bins=bins, range=(0.0, end))
    x_scale, y_scale = (width - left - 14) / end, (base - 22) / counts.max()
    parts = [tag("line", class_="axis", x1=left, x2=width - 14, y1=base, y2=base)]
    for count, edge in zip(counts, edges, strict=False):
        if count:
            parts.append(
                tag(
                    "rect", class_="bar", x=left + edge * x_scale + 0.75,
                    y=base - count * y_scale, width=end / bins * x_scale - 1.5,
                    height=count * y_scale,
                )
            )  # fmt: skip
    for tick in np.arange(0, end + step / 2, step):
        x = left + float(tick) * x_scale
        parts.append(tag("line", class_="axis", x1=x, x2=x, y1=base, y2=base + 5))
        parts.append(tag("text", f"{tick:g}", x=x, y=base + 19, text_anchor="middle"))
    label = tag("text", escape(unit), x=width - 14, y=base + 35, text_anchor="end")
    most = tag("text", f"{counts.max()}", x=left - 6, y=26, text_anchor="end")
    none = tag("text", "0", x=left - 6, y=base + 4, text_anchor="end")
    x = left + float(np.median(array)) * x_scale
    median = tag("line", class_="median", x1=x, x2=x, y1=12, y2=base)
    side = "end" if x > width / 2 else "start"
    shift = -5 if side == "end" else 5
    named = tag("text", "median", x=x + shift, y=14, text_anchor=side)
    return _svg(
        title, width, height, "".join([*parts, label, most, none, median, named]), class_="chart"
    )


def nice_step(length: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that divides `length` into `most` steps.

    Raises:
        ValueError: `length` is not positive.
    """
    if not 0 < length < math.inf:
        raise ValueError(f"length: expected more than 0, got {length}")
    power = 10.0 ** math.floor(math.log10(length / most))
    return next(
        power * factor for factor in (1, 2, 5, 10, 20) if length / (power * factor) <= most + 1e-9
    )
