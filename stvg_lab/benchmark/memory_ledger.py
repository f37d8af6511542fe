# SPDX-License-Identifier: Apache-2.0

"""Memory of a device and synchronisations of the host with it, counted for each operation.

On torch's meta device tensors have shapes without data, so a model of any size can be counted on
any machine. Values that the host reads from it are zero.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_aten = torch.ops.aten


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages of some tensors, each counted once."""
    return sum({each.untyped_storage()._cdata: _size(each) for each in tensors}.values())


class MemoryLedger:
    """Memory of a device during the context `followed`.

    Attributes:
        live_bytes: current memory, above the memory held before.
        peak_bytes: peak since the last `restart`.
        reads: number of host reads from the device, each of which waits for it.
        waits: number of copies to the device that the host waited for.
    """

    def __init__(self) -> None:
        self.live_bytes = self.peak_bytes = self.reads = self.waits = 0
        self._known: set[int] = set()

    def restart(self) -> int:
        """The peak so far; the next one starts from the current memory."""
        peak, self.peak_bytes = self.peak_bytes, self.live_bytes
        return peak

    def see(self, tensor: Tensor) -> None:
        """Counts the storage of a tensor once, until it is released."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        weakref.finalize(storage, self._freed, key, storage.nbytes())
        self.live_bytes += storage.nbytes()
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)

    def leave_out(self, tensors: Iterable[Tensor]) -> None:
        """Excludes these tensors and their views, which outlive the ledger."""
        self._known |= {each.untyped_storage()._cdata for each in tensors}

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live_bytes -= size


@contextmanager
def followed(ledger: MemoryLedger, device: torch.device) -> Iterator[None]:
    """Records operations on `device` in the ledger during the context.

    On the meta device, attention then uses the operations of an NVIDIA GPU.
    """
    library: Any = functional
    before = library.scaled_dot_product_attention
    if device.type == "meta":
        library.scaled_dot_product_attention = _attention
    try:
        with _Following(ledger, device.type):
            yield
    finally:
        library.scaled_dot_product_attention = before


class _Following(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the results of operations; answers host reads from the meta device."""

    def __init__(self, ledger: MemoryLedger, kind: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ledger, self._kind = ledger, kind

    def __torch_dispatch__(
        self, operation: Any, types: Any, given: tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        named = named or {}
        here = any(self._on(each) for each in tree_leaves((given, named)))
        away = operation is _aten._local_scalar_dense.default
        if operation is _aten._to_copy.default and named.get("device") is not None:
            there = torch.device(named["device"]).type == self._kind
            away = here and not there
            self._ledger.waits += there and not here and not named.get("non_blocking", False)
        if away and here:
            self._ledger.reads += 1
            if self._kind == "meta":
                zeros = torch.zeros(given[0].shape, dtype=named.get("dtype") or given[0].dtype)
                return zeros if operation is _aten._to_copy.default else zeros.item()
        result = operation(*given, **named)
        for each in tree_leaves(result):
            if self._on(each):
                self._ledger.see(each)
        return result

    def _on(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.device.type == self._kind


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if attn_mask is None:
        return _aten._scaled_dot_product_flash_attention(
            query, key, value, dropout_p, is_causal, scale=scale
        )[0]
    if attn_mask.dtype == torch.bool:
        # In the precision of the states, as the kernel expects a mask.
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)
    return _aten._scaled_dot_product_efficient_attention(
        query,
        key,
        value,
        attn_mask.expand(*query.shape[:-1], -1),
        compute_log_sumexp=query.requires_grad,
        scale=scale,
    )[0]


def _size(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
