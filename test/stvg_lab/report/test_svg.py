# SPDX-License-Identifier: Apache-2.0

import xml.etree.ElementTree as ElementTree

import pytest

from stvg_lab.report.svg import histogram, interval, nice_step, tag, time_line


def parsed(text: str) -> ElementTree.Element:
    """The element; it fails on what is not well-formed."""
    return ElementTree.fromstring(text)


def rectangles(text: str, name: str) -> list[tuple[float, float]]:
    """Left edge and width of the shapes of a class."""
    found = [item for item in parsed(text).iter("rect") if item.get("class") == name]
    return [(float(item.get("x", "0")), float(item.get("width", "0"))) for item in found]


def test_tag_escapes_and_shortens() -> None:
    assert tag("rect", x=1.0, class_="a") == '<rect x="1" class="a"/>'
    assert (
        tag("text", "5", text_anchor="end", x=2.346) == '<text text-anchor="end" x="2.35">5</text>'
    )
    assert tag("g", title='"<') == '<g title="&quot;&lt;"/>'


def test_time_line_puts_spans_to_scale() -> None:
    text = time_line(10, [("true", (2.0, 5.0)), ("found", None)], 'true & "so"', [(0, 0), (10, 1)])
    assert rectangles(text, "true") == [(200, 300)]
    assert rectangles(text, "found") == []
    element = parsed(text)
    assert element.findtext("title") == 'true & "so"'
    line = element.find("polyline")
    assert line is not None
    assert line.get("points") == "0,31 1000,1"


def test_time_line_shows_what_is_short_or_outside() -> None:
    assert rectangles(time_line(10, [("true", (10.0, 10.0))], "t"), "true") == [(996, 4)]
    assert rectangles(time_line(10, [("true", (-5.0, 50.0))], "t"), "true") == [(0, 1000)]
    assert rectangles(time_line(0, [("true", (0.0, 0.0))], "t"), "true") == [(0, 4)]


def test_interval() -> None:
    text = interval(0.5, 0.25, 0.75, "half")
    assert rectangles(text, "bar") == [(0, 50)]
    assert rectangles(text, "whisker") == [(25, 50)]


def test_histogram_counts_every_value() -> None:
    text = histogram([0.0, 0.1, 0.1, 2.0], "seconds", "times")
    bars = [item for item in parsed(text).iter("rect") if item.get("class") == "bar"]
    heights = [float(item.get("height", "0")) for item in bars]
    assert [round(height / max(heights) * 2) for height in heights] == [1, 2, 1]
    texts = [item.text for item in parsed(text).iter("text")]
    assert texts == ["0", "0.5", "1", "1.5", "2", "seconds", "2", "0", "median"]


@pytest.mark.parametrize("values", [[0.0], [3.0], [1e-6, 2e-6], [12345.0, 1.0]])
def test_histogram_of_any_size(values: list[float]) -> None:
    assert parsed(histogram(values, "s", "t")).get("role") == "img"


@pytest.mark.parametrize("values", [[], [float("nan")], [-1.0]])
def test_histogram_refuses(values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected finite values from 0 on"):
        histogram(values, "s", "t")


@pytest.mark.parametrize(
    ("length", "step"), [(1, 0.2), (0.6, 0.1), (7, 2), (6, 1), (30, 5), (31, 10), (130, 50)]
)
def test_nice_step(length: float, step: float) -> None:
    assert nice_step(length, 6) == pytest.approx(step)
    with pytest.raises(ValueError, match="more than 0"):
        nice_step(0, 6)
