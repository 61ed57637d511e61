"""The overlay against float64 arithmetic, against plain BatchNorm to the bit, and as a guest."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnp_engine.algorithms.overlay import MaskedNetwork, Perturbation, answers, pruned_mask
from tests.engine.algorithms.nets import TINY_LAYERS, TinyNet, Untouched, generator, images, masked
from tests.engine.algorithms.reference import Reference, array, factors_of


def mask_and_noise(seed: int = 7) -> tuple[Tensor, Perturbation]:
    mask_N = torch.rand(12, generator=generator(seed))
    mask_N[:3] = torch.tensor([0.0, 1.0, 0.5])
    noise = torch.rand((2, 12), generator=generator(seed + 1)) - 0.5
    return mask_N, Perturbation(noise[0], noise[1])


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("use_mask", [False, True])
@pytest.mark.parametrize("use_xi", [False, True])
def test_features_and_logits_are_those_of_the_formula(
    statistics: bool, use_mask: bool, use_xi: bool
) -> None:
    module, x = TinyNet(), images(5)
    given, noise = mask_and_noise()
    mask_N = given if use_mask else None
    xi = noise if use_xi else None
    got = masked(module)(x, mask_N, xi, batch_statistics=statistics)
    mask = array(given) if use_mask else np.ones(12)
    pair = (array(noise.weight_N), array(noise.bias_N)) if use_xi else None
    wanted = Reference(module)(array(x), factors_of(mask, pair), statistics)
    np.testing.assert_allclose(array(got.features_BD), wanted.features, rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(array(got.logits_BK), wanted.logits, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("bgr", [False, True])
def test_normalisation_is_part_of_the_forward(bgr: bool) -> None:
    module, x = TinyNet(), images(3)
    mean, std = (0.5, 0.4, 0.3), (0.25, 0.2, 0.15)
    got = masked(module, mean=mean, std=std, bgr=bgr)(x)
    raw = array(x)[:, ::-1] if bgr else array(x)
    scaled = (raw - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(
        array(got.logits_BK), Reference(module)(scaled).logits, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("statistics", [False, True])
def test_an_open_mask_is_the_plain_module_to_the_bit(statistics: bool) -> None:
    module, x = TinyNet(), images(6)
    network = masked(module)
    plain = copy.deepcopy(module)
    plain.train(statistics)
    wanted = plain(x.contiguous(memory_format=torch.channels_last))
    for mask_N in (None, network.ones()):
        got = network(x, mask_N, batch_statistics=statistics)
        assert torch.equal(got.logits_BK, wanted)
    assert plain.bn1.num_batches_tracked is not None
    assert int(plain.bn1.num_batches_tracked) == statistics, "the plain module does drift"


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize(
    ("norm", "shape"), [(nn.BatchNorm2d(12), (5, 12, 3, 4)), (nn.BatchNorm1d(12), (5, 12))]
)
def test_one_batchnorm_equals_its_noisy_self_to_the_bit(
    norm: nn.BatchNorm2d | nn.BatchNorm1d, shape: tuple[int, ...], statistics: bool
) -> None:
    """A BatchNorm whose weight and bias were overwritten is what the overlay has to equal."""
    for number, value in enumerate((norm.weight, norm.bias)):
        value.data.uniform_(-2, 2, generator=generator(number))
    module = nn.Sequential(norm, nn.Flatten(), nn.Identity()).eval().requires_grad_(False)
    x = torch.randn(shape, generator=generator(4))
    mask_N, xi = mask_and_noise()
    network = MaskedNetwork(module, "2", [("0", 12)])
    replaced = network.overlay.parameters(mask_N, xi)
    noisy = copy.deepcopy(norm).train(statistics)
    noisy.weight.copy_(norm.weight * (mask_N + xi.weight_N))
    noisy.bias.copy_(norm.bias * (1 + xi.bias_N))
    with network.overlay.batch_statistics() if statistics else torch.no_grad():
        statistics_and_weights = replaced | (network.overlay.statistics() if statistics else {})
        got = torch.func.functional_call(module, statistics_and_weights, (x,))
    assert torch.equal(got, noisy(x).flatten(1))


@pytest.mark.parametrize("statistics", [False, True])
def test_no_call_touches_the_module(statistics: bool) -> None:
    module, x = TinyNet(), images(4)
    network, before = masked(module), Untouched(module)
    mask_N, xi = mask_and_noise()
    network(x, batch_statistics=statistics)
    output = network(x, mask_N.requires_grad_(), xi, batch_statistics=statistics)
    torch.autograd.grad(output.features_BD.sum(), [mask_N])
    answers(network, x, mask_N.detach())
    before.check()


def test_each_mode_comes_back_as_it_was() -> None:
    module, x = TinyNet(), images(4)
    module.bn2.train()
    network, before = masked(module), Untouched(module)
    network(x, network.ones(), batch_statistics=True)
    before.check()


def test_modes_come_back_when_the_call_fails() -> None:
    module = TinyNet()
    network, before = masked(module), Untouched(module)
    with pytest.raises(RuntimeError):
        network(torch.zeros(2, 5, 8, 8), network.ones(), batch_statistics=True)
    before.check()


def test_nobody_keeps_the_activations_of_a_call() -> None:
    """Two networks over one module, and a call that fails behind the head's entrance."""
    module, x = TinyNet(), images(2)
    entered: list[weakref.ref[Tensor]] = []

    def watch(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        entered.append(weakref.ref(inputs[0]))

    first, second = masked(module), masked(module)
    module.linear.register_forward_pre_hook(watch)
    second(x)
    linear, module.linear.weight = module.linear.weight, nn.Parameter(torch.zeros(3, 9))
    with pytest.raises(RuntimeError):
        first(x)
    module.linear.weight = linear
    gc.collect()
    assert len(entered) == 2
    assert [reference() for reference in entered] == [None, None]


def test_exact_is_float32_whatever_the_precision() -> None:
    module, x = TinyNet(), images(6)
    mask_N, _ = mask_and_noise()
    plain = masked(module)(x, mask_N)
    half = MaskedNetwork(module, "linear", TINY_LAYERS, autocast=torch.bfloat16)
    rough, exact = half(x, mask_N), half(x, mask_N, exact=True)
    assert torch.equal(exact.logits_BK, plain.logits_BK)
    assert not torch.equal(rough.logits_BK, plain.logits_BK)
    torch.testing.assert_close(rough.logits_BK, plain.logits_BK, rtol=0.1, atol=0.1)
    for output in (rough, exact):
        assert {output.features_BD.dtype, output.logits_BK.dtype} == {torch.float32}


def test_masks_lie_flat_in_layer_order() -> None:
    overlay = masked(TinyNet()).overlay
    assert overlay.neurons == 12
    table = {0: ("bn1", 0), 3: ("bn1", 3), 4: ("bn2", 0), 7: ("bn2", 3), 11: ("bn3", 3)}
    assert {flat: overlay.locate(flat) for flat in table} == table
    with pytest.raises(IndexError):
        overlay.locate(12)
    for flat, (layer, channel) in table.items():
        mask_N = torch.ones(12)
        mask_N[flat] = 0
        changed = {
            (name, int(index))
            for name, _ in TINY_LAYERS
            for index in torch.nonzero(overlay.parameters(mask_N)[f"{name}.weight"] == 0)
        }
        assert changed == {(layer, channel)}


def test_pruned_mask_closes_the_first_of_an_order() -> None:
    order_N = torch.tensor([2, 0, 3, 1])
    assert [pruned_mask(order_N, k).tolist() for k in (0, 1, 3, 4)] == [
        [1, 1, 1, 1], [1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0],
    ]  # fmt: skip


def test_answers_do_not_depend_on_the_batch_and_take_no_image() -> None:
    network, x = masked(TinyNet()), images(7)
    wanted = network(x).logits_BK.argmax(1)
    assert all(torch.equal(answers(network, x, batch=size), wanted) for size in (1, 3, 7, 250))
    none = answers(network, x[:0])
    assert none.shape == (0,)
    assert none.dtype == torch.int64
