# SPDX-License-Identifier: Apache-2.0

"""The report in a real browser, wide, narrow, dark and on paper."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browser import chromium, console_errors, resize
from recordings import square_bag
from report_runs import COUNT, absent, failed, found, run_of

from stvg_lab.report import write_report


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    bag = square_bag(folder / "bag", COUNT)
    run = run_of(folder / "run", found(bag), failed(bag), absent(bag, "alarm", "found"))
    return write_report(run, folder / "report.html")[0]


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def shown(request: Any, page: Path, tmp_path_factory: Any) -> Iterator[tuple[Any, bool]]:
    with chromium(tmp_path_factory.mktemp("profile"), dark=request.param) as driver:
        driver.get(page.as_uri())
        yield driver, request.param


def screenshot(driver: Any) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(driver.get_screenshot_as_png(), np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize(("width", "columns"), [(1280, 4), (390, 2)])
def test_it_renders(shown: tuple[Any, bool], width: int, columns: int) -> None:
    driver, dark = shown
    resize(driver, width, 900)
    script = "return document.documentElement.scrollWidth"
    assert driver.execute_script(script) <= width
    for selector in ("h1", "table.means", "svg.interval", "svg.chart", ".spans svg", ".frames img"):
        found = driver.find_elements("css selector", selector)
        assert found, selector
        for element in found:
            size = element.rect
            assert size["width"] > 20 and size["height"] >= 8, selector
    decoded = "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
    assert driver.execute_script(decoded)
    frames = driver.find_element("css selector", ".frames")
    template = frames.value_of_css_property("grid-template-columns")
    assert len(template.split()) == columns
    picture = screenshot(driver)
    assert picture.shape[:2] == (900, width)
    corner = picture[5, 5].mean()
    assert corner < 60 if dark else corner > 230
    assert picture.std() > 10  # something is on it
    assert console_errors(driver) == []


def test_it_prints(shown: tuple[Any, bool]) -> None:
    driver, _ = shown
    pages = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert pages.startswith(b"%PDF")
    assert len(pages) > 10_000
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    script = "return getComputedStyle(document.body).backgroundColor"
    assert driver.execute_script(script) == "rgb(255, 255, 255)"
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
