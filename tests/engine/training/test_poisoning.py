"""What the attacker changes in a batch, and that nothing else is changed."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from cnp_engine.attacks import AllToAll, BadNets, InputAware, Sinusoid, Warp, warp_field
from cnp_engine.attacks.input_aware import mask, normalised, trigger_net
from cnp_engine.attacks.making import NAMES
from cnp_engine.errors import DataMismatch, SettingInvalid
from cnp_engine.training import joint, poisoning
from cnp_engine.training.loop import Pictures
from cnp_engine.training.plan import ATTACKS, TrainingPlan
from cnp_engine.training.surrogate import perturbed

SIZE = (16, 16)
LABELS = torch.arange(40) % 4
INDEX = torch.arange(40)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images() -> Tensor:
    return torch.rand((40, 3, *SIZE), generator=_generator())


def test_the_names_are_those_of_the_attacks() -> None:
    assert set(ATTACKS) == set(NAMES)


def test_chosen_images_are_stamped_and_relabelled_and_no_others() -> None:
    chosen = torch.zeros(40, dtype=torch.bool)
    chosen[[3, 17, 30]] = True
    attack, images = BadNets(2), _images()
    order = torch.randperm(40, generator=_generator(1))
    fed = poisoning.Planted(attack, chosen).feed(images[order], LABELS[order], order, _generator())
    at = chosen[order]
    assert torch.equal(fed.images_BCHW[~at], images[order][~at])
    assert torch.equal(fed.labels_B[~at], LABELS[order][~at])
    assert torch.equal(fed.images_BCHW[at], attack.stamp(images[order][at]))
    assert fed.labels_B[at].tolist() == [2, 2, 2]
    assert fed.extra is None


def test_a_clean_label_attack_keeps_the_labels() -> None:
    chosen = LABELS == 1
    fed = poisoning.Planted(Sinusoid(1), chosen, keep_labels=True).feed(
        _images(), LABELS, INDEX, _generator()
    )
    assert torch.equal(fed.labels_B, LABELS)
    assert torch.equal(fed.images_BCHW[chosen], Sinusoid(1).stamp(_images()[chosen]))


def test_all_to_all_labels_are_the_next_class() -> None:
    chosen = torch.ones(40, dtype=torch.bool)
    fed = poisoning.Planted(AllToAll(BadNets(0), 4), chosen).feed(
        _images(), LABELS, INDEX, _generator()
    )
    assert torch.equal(fed.labels_B, (LABELS + 1) % 4)


def test_a_physical_trigger_is_moved_with_its_image() -> None:
    chosen = torch.ones(40, dtype=torch.bool)
    fed = poisoning.Planted(BadNets(2), chosen, move=True).feed(
        _images(), LABELS, INDEX, _generator()
    )
    still = BadNets(2).stamp(_images())
    assert not torch.allclose(fed.images_BCHW, still)
    assert fed.labels_B.eq(2).all()


def test_wanet_warps_a_share_and_twice_as_many_with_noise() -> None:
    many = 4000
    images = torch.rand((many, 3, *SIZE), generator=_generator())
    labels = torch.ones(many, dtype=torch.int64)
    warp = Warp(0, warp_field(SIZE, _generator()))
    fed = poisoning.Warped(warp, warp, 0.1).feed(images, labels, torch.arange(many), _generator(2))
    changed = (fed.images_BCHW != images).flatten(1).any(1)
    relabelled = fed.labels_B == 0
    assert bool((changed | ~relabelled).all())
    assert float(relabelled.float().mean()) == pytest.approx(0.1, abs=0.02)
    assert float(changed.float().mean()) == pytest.approx(0.3, abs=0.03)
    # interpolation rounds by the batch it is in
    torch.testing.assert_close(
        fed.images_BCHW[relabelled], warp.stamp(images[relabelled]), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("rate", "count"), [(0.1, 4), (0.25, 10), (1.0, 40)])
def test_a_rate_is_a_share_of_all_images(rate: float, count: int) -> None:
    plan = TrainingPlan("badnets", "demo", rate=rate)
    chosen = poisoning.choose(plan, LABELS, _generator())
    assert int(chosen.sum()) == count
    assert torch.equal(chosen, poisoning.choose(plan, LABELS, _generator()))


def test_a_clean_label_attack_takes_images_of_its_class_at_most_all() -> None:
    plan = TrainingPlan("sig", "demo", rate=0.1, targets=(3,))
    chosen = poisoning.choose(plan, LABELS, _generator())
    assert int(chosen.sum()) == 4
    assert LABELS[chosen].eq(3).all()
    every = poisoning.choose(dataclasses.replace(plan, rate=0.9), LABELS, _generator())
    assert torch.equal(every, LABELS == 3)


def test_what_leaves_no_image_or_is_no_class_is_refused() -> None:
    plan = TrainingPlan("badnets", "demo", rate=0.01)
    with pytest.raises(SettingInvalid, match="leaves none to poison"):
        poisoning.choose(plan, LABELS, _generator())
    with pytest.raises(DataMismatch, match="No training image has the label 9"):
        poisoning.choose(TrainingPlan("sig", "demo", targets=(9,)), LABELS, _generator())
    with pytest.raises(SettingInvalid, match="--target 4 is no class of data with 4 classes"):
        poisoning.check_targets((0, 4), 4)


def _input_aware() -> InputAware:
    return InputAware(2, trigger_net(3, _generator(1)), trigger_net(1, _generator(2)))


def test_input_aware_triggers_a_share_and_crosses_as_many() -> None:
    attack, images = _input_aware(), _images()
    poison = joint.Joint(attack, attack, 0.1)
    fed = poison.feed(images, LABELS, INDEX, _generator())
    changed = (fed.images_BCHW != images).flatten(1).any(1)
    assert changed.tolist() == [True] * 8 + [False] * 32
    assert fed.labels_B[:4].eq(2).all()
    assert torch.equal(fed.labels_B[4:], LABELS[4:]), "a crossed trigger keeps the right label"
    assert fed.extra is not None
    before = {k: v.clone() for k, v in attack.pattern_net.named_parameters()}
    masks = {k: v.clone() for k, v in attack.mask_net.state_dict().items()}
    torch.autograd.backward(fed.images_BCHW.sum() + fed.extra)
    poison.step()
    assert any(not torch.equal(v, before[k]) for k, v in attack.pattern_net.named_parameters())
    assert all(torch.equal(v, masks[k]) for k, v in attack.mask_net.state_dict().items())


def test_what_input_aware_has_learned_goes_on_elsewhere() -> None:
    def feeds(poison: joint.Joint, count: int) -> Tensor:
        for _ in range(count):
            fed = poison.feed(_images(), LABELS, INDEX, _generator())
            assert fed.extra is not None
            torch.autograd.backward(fed.images_BCHW.square().sum() + fed.extra)
            poison.step()
        return fed.images_BCHW.detach()

    first = _input_aware()
    poison = joint.Joint(first, first, 0.1)
    feeds(poison, 2)
    kept = {name: value.detach().clone() for name, value in poison.tensors().items()}
    wanted = feeds(poison, 2)
    second = InputAware(2, trigger_net(3, _generator(8)), trigger_net(1, _generator(9)))
    other = joint.Joint(second, second, 0.1)
    other.restore(kept)
    assert torch.equal(feeds(other, 2), wanted)


def test_masks_become_small() -> None:
    attack = _input_aware()
    pixels = (torch.rand((64, 3, *SIZE), generator=_generator()) * 255).to(torch.uint8)
    x = normalised(pixels.float() / 255, attack.mean, attack.std)
    with torch.no_grad():
        before = float(mask(attack.mask_net.train(), x).mean())
    pictures = Pictures(pixels, torch.zeros(64, dtype=torch.int64))
    steps = list(joint.learn_masks(attack, pictures, 40, 16, _generator()))
    with torch.no_grad():
        after = float(mask(attack.mask_net.train(), x).mean())
    assert after < before / 2
    assert steps[-1].done == steps[-1].total


def test_a_perturbed_image_stays_within_its_ball_and_is_harder() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 4)).eval()
    pixels = (_images() * 255).to(torch.uint8)

    @torch.no_grad()
    def loss(images: Tensor) -> float:
        return float(torch.nn.functional.cross_entropy(net(images.float() / 255), LABELS))

    hard = perturbed(net, pixels, LABELS, lambda x: x, eps=8 / 255, steps=5)
    assert hard.dtype == torch.uint8
    assert int((hard.int() - pixels.int()).abs().max()) <= 8
    assert loss(hard) > loss(pixels) + 0.2
