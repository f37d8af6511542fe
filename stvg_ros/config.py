# SPDX-License-Identifier: Apache-2.0

"""The configuration: the settings of all parts. Each group is defined in the package of its part.

The node's parameters (`window.duration_s`, ...), the command line's options and the docs' tables
are generated from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import cast

from stvg_ros.body.settings import BodyConfig
from stvg_ros.errors import ConfigError, bounded
from stvg_ros.identity.settings import IdentityConfig, MemoryConfig
from stvg_ros.method.settings import (
    AssemblingConfig,
    AttentionConfig,
    ConditionConfig,
    EvidenceConfig,
    PresenceConfig,
    ReattentionConfig,
    SamplingConfig,
    SpanConfig,
    SplitConfig,
)
from stvg_ros.models.settings import ModelConfig
from stvg_ros.node.settings import (
    DepthConfig,
    DiagnosticsConfig,
    FollowConfig,
    ImageConfig,
    NodeConfig,
    RerunConfig,
)
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.runtime.settings import CommandConfig
from stvg_ros.serving.settings import RemoteConfig, ServingConfig
from stvg_ros.setting import Group, Setting, Value, nearest, setting, setting_of
from stvg_ros.window import WindowConfig


@dataclass(frozen=True)
class PlaceConfig(Group):
    """Location of the model."""

    group_name = ""
    backend: str = setting(
        "local",
        "where the model runs: in this process, or on the server at remote.address",
        choices=("local", "remote"),
    )


@dataclass(frozen=True)
class Config:
    """All groups together."""

    node: NodeConfig = field(default_factory=NodeConfig)
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)
    rerun: RerunConfig = field(default_factory=RerunConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    command: CommandConfig = field(default_factory=CommandConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    reattention: ReattentionConfig = field(default_factory=ReattentionConfig)
    assembling: AssemblingConfig = field(default_factory=AssemblingConfig)
    span: SpanConfig = field(default_factory=SpanConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    conditions: ConditionConfig = field(default_factory=ConditionConfig)
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    body: BodyConfig = field(default_factory=BodyConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    follow: FollowConfig = field(default_factory=FollowConfig)
    place: PlaceConfig = field(default_factory=PlaceConfig)
    remote: RemoteConfig = field(default_factory=RemoteConfig)
    serving: ServingConfig = field(default_factory=ServingConfig)

    @classmethod
    def from_flat(cls, values: Mapping[str, Value]) -> Config:
        """A configuration from `{"window.duration_s": 5.0, ...}`; absent names keep defaults.

        Values are those of parameters and command lines, including sentinels.

        Raises:
            ConfigError: an unknown name, or a setting refuses its value.
        """
        kinds = {item.name: cast(type[Group], item.default_factory) for item in fields(cls)}
        places = {
            (known := setting_of(kind.group_name, item)).name: (group, item.name, known)
            for group, kind in kinds.items()
            for item in fields(kind)  # type: ignore[arg-type]
        }
        groups: dict[str, dict[str, Value | None]] = {}
        for name, value in values.items():
            if name not in places:
                raise ConfigError(
                    f"{bounded(name, 256)}: unknown setting{nearest(name, places)}; "
                    "docs/parameters.md lists all of them"
                )
            group, key, known = places[name]
            groups.setdefault(group, {})[key] = None if known.is_sentinel(value) else value
        return cls(**{group: kinds[group](**given) for group, given in groups.items()})  # type: ignore[arg-type]

    def flat(self) -> dict[str, Value]:
        """`{"window.duration_s": 10.0, ...}` with every setting, as `from_flat` takes it."""
        return {
            (known := setting_of(group.group_name, item)).name: known.outside(
                getattr(group, item.name)
            )
            for group in (getattr(self, item.name) for item in fields(self))
            for item in fields(group)
        }


def node_settings() -> Iterator[Setting]:
    """The settings that are node parameters: all except the limits of a server."""
    server = f"{ServingConfig.group_name}."
    return (item for item in settings() if not item.name.startswith(server))


def settings() -> Iterator[Setting]:
    """Every setting, in the order of the groups."""
    for group in fields(Config):
        kind = cast(type[Group], group.default_factory)
        for item in fields(kind):  # type: ignore[arg-type]
            yield setting_of(kind.group_name, item)
