# SPDX-License-Identifier: Apache-2.0

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stvg_ros.cli.main import main
from stvg_ros.cli.options import config_of
from stvg_ros.errors import ConfigError
from stvg_ros.io.video import write_video


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["ground", "a.mp4"], "query"),
        (["demo", "--seed", "-1"], "whole number of at least 0, got '-1'"),
        (["demo", "--rate", "0"], "a number of more than 0, got '0'"),
        (["demo", "--rate", "nan"], "a number of more than 0, got 'nan'"),
    ],
)
def test_wrong_arguments_give_one_line_and_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert said in error
    assert error.count("\n") == 1


def test_errors_of_the_run_give_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ground", str(tmp_path / "none.mp4"), "the dog"]) == 1
    assert "no such video file" in capsys.readouterr().err
    assert main(["ground", "x", "the dog", "--set", "span.method=magic"]) == 2
    assert "expected one of adaptive, " in capsys.readouterr().err
    assert main(["serve", "--host", "0.0.0.0", "--token-file", "x"]) == 2
    assert "so --certificate and --key are needed" in capsys.readouterr().err
    assert main(["serve", "--token-file", str(tmp_path / "none")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["serve", "--max-queue", "99999"]) == 2
    assert "serving.max_queue: expected a value from 1 to 10000" in capsys.readouterr().err
    assert main(["demo", "--video", "x.mp4"]) == 2
    assert "--query: say what to find" in capsys.readouterr().err


def test_part_without_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [np.zeros((32, 32, 3), np.uint8)] * 3, [0, 10**8, 2 * 10**8])
    assert main(["ground", str(path), "the dog", "--start", "5"]) == 1
    assert "no frames from 5 s to its end" in capsys.readouterr().err


def test_settings_take_their_types() -> None:
    pairs = ["span.top_k=3", "assembling.enabled=false", "window.duration_s=4"]
    config = config_of(argparse.Namespace(model="embedded", device="cpu", settings=pairs))
    assert (config.span.top_k, config.assembling.enabled) == (3, False)
    assert config.window.duration_s == 4.0
    for pair, said in (
        ("span.top_k=x", "expected int"),
        ("top", "NAME=VALUE"),
        ("a.b=1", "unknown"),
    ):
        with pytest.raises(ConfigError, match=said):
            config_of(argparse.Namespace(model="m", device="cpu", settings=[pair]))


OUTPUTS = {  # what a shell makes of the output, and the exit code
    "| true": {141, 0},  # whoever is first
    "| head -c 1": {141, 0},
    "> /dev/null": {0},
    "> /dev/full": {1},
    ">&-": {0},
    "< /dev/null": {0},
    "2>&-": {0},
    "> file": {0},
    ">> /dev/full": {1},
    "2>/dev/full": {0},
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_that_nobody_takes_gives_no_traceback(tmp_path: Path, output: str) -> None:
    command = (
        f"{sys.executable} -c 'import sys; from stvg_ros.cli.main import main; sys.exit(main())'"
    )
    script = f"set -o pipefail; {command} understand 'find the man in red' {output}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=250
    )
    assert done.returncode in OUTPUTS[output], done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert ("understand: No space left" in done.stderr) == (done.returncode == 1)


def test_no_command_waits_for_the_libraries_of_another() -> None:
    script = (
        "import sys; from stvg_ros.cli.main import modules, parser; parser(modules());"
        "print([name for name in ('torch', 'transformers', 'rclpy', 'ray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
