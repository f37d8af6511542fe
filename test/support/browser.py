# SPDX-License-Identifier: Apache-2.0

"""A headless Chromium for tests of pages; they skip where it is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--force-device-scale-factor=1",
)  # fmt: skip
PATIENCE_S = 60  # for a loaded machine


@contextmanager
def chromium(profile: Path, *, dark: bool = False) -> Iterator[Any]:
    """A WebDriver of its own empty profile."""
    pytest.importorskip("selenium", reason="needs selenium (requirements/development.txt)")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        pytest.skip("needs Chromium (Debian packages chromium and chromium-driver)")
    options = ChromeOptions()
    options.binary_location = str(programs[0])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service(str(programs[1])))
    try:
        media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        yield driver
    finally:
        driver.quit()


def resize(driver: Any, width: int, height: int) -> None:
    """Makes the page that large, also narrower than a window can be."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def console_errors(driver: Any) -> list[str]:
    """What the page wrote to the console as an error or a warning since the last call."""
    return [line["message"] for line in driver.get_log("browser") if line["level"] != "INFO"]
