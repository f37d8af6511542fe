# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

from stvg_lab.runs.environment import PACKAGES, environment, folder_hash
from stvg_ros.build import checkpoint_folder
from stvg_ros.config import Config


def test_what_a_run_was_made_with(tmp_path: Path) -> None:
    found = environment("model", tmp_path, "a card")
    assert set(found["versions"]) == {"python", *PACKAGES}
    assert found["machine"]["gpu"] == "a card"
    assert found["model"] == {"path": "model", "sha256": folder_hash(tmp_path)}
    assert len(found["code"]["sha256"]) == 64
    assert environment("elsewhere", None, None)["model"]["sha256"] == ""


def test_the_hash_is_that_of_what_the_model_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(3_000_000))
    (tmp_path / "config.json").write_text("{}")
    first = folder_hash(tmp_path)
    (tmp_path / "README.md").write_text("words")
    assert folder_hash(tmp_path) == first
    (tmp_path / "config.json").write_text("{ }")
    assert folder_hash(tmp_path) != first


def test_the_files_of_the_model_are_where_it_runs() -> None:
    folder = checkpoint_folder(Config())
    assert folder is not None
    assert (folder / "config.json").is_file()
    assert checkpoint_folder(Config.from_flat({"backend": "remote"})) is None
