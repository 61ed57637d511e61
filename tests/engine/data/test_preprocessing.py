"""How a preprocessing is written, and what it does to an image."""

from __future__ import annotations

import pytest
import torch

from cnp_engine.data.preprocessing import KNOWN, parse_normalize
from cnp_engine.errors import SettingInvalid


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("suffix", ["", "-bgr", ":bgr"])
def test_every_name_is_understood(name: str, suffix: str) -> None:
    got = parse_normalize(f" {name.upper()}{suffix} ")
    assert got is not None
    assert (got.mean, got.std, got.bgr) == (KNOWN[name].mean, KNOWN[name].std, bool(suffix))
    assert parse_normalize(got.name) == got


@pytest.mark.parametrize("suffix", ["", "-bgr", ":bgr"])
def test_numbers_are_understood(suffix: str) -> None:
    got = parse_normalize(f"0.1,.2, 3e-1/0.5,1,2{suffix}")
    assert got is not None
    assert (got.mean, got.std, got.bgr) == ((0.1, 0.2, 0.3), (0.5, 1.0, 2.0), bool(suffix))
    assert parse_normalize(got.name) == got


def test_auto_is_left_to_the_images() -> None:
    assert parse_normalize("auto") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cifar-10", "Did you mean cifar10?"),
        ("imagnet", "Did you mean imagenet?"),
        ("bgr", "auto, none"),
        ("", "auto, none"),
        ("0.5,0.5/0.5,0.5", "0.49,0.48,0.45/"),
        ("0.5,0.5,0.5/0.5,0,0.5", "0.49,0.48,0.45/"),
        ("0.5,0.5,0.5/0.5,-1,0.5", "0.49,0.48,0.45/"),
        ("nan,0.5,0.5/1,1,1", "0.49,0.48,0.45/"),
        ("a,b,c/1,1,1", "0.49,0.48,0.45/"),
        ("0.5,0.5,0.5", "auto, none"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(SettingInvalid) as raised:
        parse_normalize(text)
    assert words in raised.value.todo


def test_the_formula() -> None:
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    got = parse_normalize("0.1,0.2,0.3/0.5,1,2:bgr")
    assert got is not None
    z = got(x)
    for network, channel, mean, std in ((0, 2, 0.1, 0.5), (1, 1, 0.2, 1.0), (2, 0, 0.3, 2.0)):
        torch.testing.assert_close(z[:, network], (x[:, channel] - mean) / std)
    assert torch.equal(x, before)
    none = parse_normalize("none")
    assert none is not None
    assert torch.equal(none(x), x)
    torch.testing.assert_close(KNOWN["255"](x), x * 255)
