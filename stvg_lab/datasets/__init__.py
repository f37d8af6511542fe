# SPDX-License-Identifier: Apache-2.0

"""Public data sets, read from the authors' published files; nothing is downloaded."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stvg_ros.errors import ConfigError

if TYPE_CHECKING:
    from stvg_lab.datasets.samples import Sample

QUERIES = ("declarative", "interrogative", "both")


@dataclass(frozen=True)
class DatasetEntry:
    """Description of a data set.

    Attributes:
        title: title for tables.
        module: module that reads it.
        splits: parts with annotations; the first is the one in papers.
        counts: published number of queries, by split.
        convention: name of the convention of its published scores.
        where: web pages of its authors.
    """

    title: str
    module: str
    splits: tuple[str, ...]
    counts: dict[str, int]
    convention: str
    where: str


_HCSTVG = "https://github.com/tzhhhh123/HC-STVG (annotations and videos, by its authors)"
DATASETS = {
    "hcstvg-v1": DatasetEntry(
        "HC-STVG v1", "hcstvg", ("test", "train"), {"test": 1160}, "stcat", _HCSTVG
    ),
    "hcstvg-v2": DatasetEntry(
        "HC-STVG v2", "hcstvg", ("val", "train"), {"val": 2000}, "stcat", _HCSTVG
    ),
    "vidstg": DatasetEntry(
        "VidSTG", "vidstg", ("test", "val", "train"), {"test": 10303}, "frames",
        "https://github.com/Guaranteer/VidSTG-Dataset (queries) and "
        "https://xdshang.github.io/docs/vidor.html (VidOR: boxes and videos)",
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class DataSet:
    """A split on disk.

    Attributes:
        about: description of the data set.
        split: name of the split.
        samples: all of its queries; those without a video are included and will fail.
        missing: names of files that were not found.
        notes: inconsistencies of the annotation that do not prevent scoring.
    """

    about: DatasetEntry
    split: str
    samples: tuple[Sample, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def convention(self) -> str:
        """The usual convention of its scores."""
        return self.about.convention

    def report(self, shown: int = 5) -> list[str]:
        """Report on queries, missing files and where they are published, and wrong annotations."""
        count = self.about.counts.get(self.split)
        published = f" of {count} published" if count else ""
        lines = [f"{self.about.title} {self.split}: {len(self.samples)} queries{published}"]
        problems = [sample.problem for sample in self.samples if sample.problem]
        for name, texts in (
            ("missing files (their queries fail)", self.missing),
            ("wrong annotations (these queries fail)", problems),
            ("odd annotations (scored as they are)", self.notes),
        ):
            if texts:
                lines.append(f"{len(texts)} {name}:")
                lines += [f"  {text}" for text in texts[:shown]]
                lines += [f"  ... and {len(texts) - shown} more"] if len(texts) > shown else []
        if self.missing:
            lines.append(f"published at {self.about.where}")
        return lines


class Reader(Protocol):
    """A module that reads data sets."""

    def read(
        self, name: str, about: DatasetEntry, root: Path, split: str, queries: str
    ) -> DataSet: ...


def open_dataset(name: str, root: Path, split: str | None = None, queries: str = "both") -> DataSet:
    """The queries of a split.

    Args:
        name: one of `DATASETS`.
        root: folder or zip file; files and zip files anywhere below a folder are found by name.
        split: None for the one in papers.
        queries: one of `QUERIES`, for VidSTG.

    Raises:
        ConfigError: an unknown split, or no such folder.
        AnnotationError: the annotation is missing or not of this data set.
    """
    about = DATASETS[name]
    split = split or about.splits[0]
    if split not in about.splits:
        raise ConfigError(
            f"--split: expected one of {', '.join(about.splits)} for {name}, got {split!r}"
        )
    reader: Reader = importlib.import_module(f"stvg_lab.datasets.{about.module}")
    return reader.read(name, about, root, split, queries)
