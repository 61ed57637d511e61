"""The precision computed in: what is asked for, else what the processor has instructions for."""

from __future__ import annotations

import pytest
import torch

from cnp_engine.runtime import autocast_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("has", "computes"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False}, None),
        ({}, None),
    ],
)
def test_the_processor_decides(
    has: dict[str, bool], computes: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert autocast_dtype("auto", CPU) is computes


@pytest.mark.parametrize(("has", "computes"), [(True, torch.bfloat16), (False, None)])
def test_an_older_torch_tells_of_one_of_them(
    has: bool, computes: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    assert autocast_dtype("auto", CPU) is computes


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken_anywhere(asked: str) -> None:
    assert autocast_dtype(asked, CPU) is {"float32": None, "bfloat16": torch.bfloat16}[asked]


def test_this_processor_is_known() -> None:
    assert autocast_dtype("auto", CPU) in (None, torch.bfloat16)
