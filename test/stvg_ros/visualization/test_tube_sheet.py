# SPDX-License-Identifier: Apache-2.0

"""Pictures of candidate tubes, and the command that makes them."""

import gzip
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_people import RED, scene, walk

from stvg_ros.cli.main import main
from stvg_ros.io.clip import file_clip
from stvg_ros.proposals.people.classical import ClassicalProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, SplitQuery
from stvg_ros.visualization.tube_sheet import colour_of, tube_sheet, tubes_at

FOLDERS = ("/usr/share/doc/opencv-doc/examples/data", "/usr/share/doc/opencv-doc/examples/cpp")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's video of people who walk."""
    for folder in map(Path, FOLDERS):
        if (folder / "vtest.avi").exists():
            return folder / "vtest.avi"
        if (folder / "vtest.avi.gz").exists():
            path = tmp_path_factory.mktemp("video") / "vtest.avi"
            with gzip.open(folder / "vtest.avi.gz") as packed, path.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
            return path
    pytest.skip("vtest.avi is not here: install Debian's package opencv-doc")


def still(count: int, interpolated: bool) -> CandidateTube:
    boxes = np.tile(np.array([100, 50, 150, 150], np.float32), (count, 1))
    yes = np.ones(count, np.bool_)
    return CandidateTube(1, boxes, yes, yes if interpolated else ~yes)


def test_boxes_are_drawn_where_the_tube_is_and_thinner_where_filled_in() -> None:
    clip, _ = scene((walk(20, 270), RED))
    plain = clip.frames[5].image
    assert np.array_equal(tubes_at(clip, [], 5), plain)
    sure, filled = (
        (tubes_at(clip, [still(40, interpolated)], 5) == colour_of(1)).all(axis=2).sum()
        for interpolated in (False, True)
    )
    assert sure > filled > 0
    assert np.array_equal(clip.frames[5].image, plain)


def test_the_sheet_has_the_asked_cells() -> None:
    clip, _ = scene((walk(20, 270), RED))
    assert tube_sheet(clip, [still(40, True)], 3, 2).shape == (480, 960, 3)
    assert len({colour_of(number) for number in range(20)}) == 20


def test_people_of_a_real_video_become_tubes_with_few_switches(people: Path) -> None:
    clip = file_clip(people, start_s=0.0, end_s=10.0, long_side_px=640, max_rate_hz=0.0)
    tubes = ClassicalProposer(ProposalConfig()).propose(
        clip, SplitQuery("the person", "the person", "walks", "rules")
    )
    assert 3 <= len(tubes) <= 8  # six to seven people, two of whom walk as one
    # The couple that comes in from the right is one tube as long as it is in view.
    couple = max(tubes, key=lambda tube: tube.boxes_xyxy_px[15, 2] * tube.present[15])
    assert couple.present[15:].all() and couple.interpolated.mean() < 0.2
    x_min, y_min, x_max, y_max = couple.boxes_xyxy_px[97]
    assert 480 < (x_min + x_max) / 2 < 600 and 130 < (y_min + y_max) / 2 < 250


def test_the_command_prints_tubes_and_draws_them(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tubes.png"
    given = ["tubes", str(people), "--end", "2", "--out", str(out), "--rows", "1"]
    given += ["--set", "proposals.source=classical"]
    assert main(given) == 0
    assert "tubes on 20 images by 'classical'" in capsys.readouterr().out
    assert cv2.imread(str(out)).shape[1] == 3 * 440
