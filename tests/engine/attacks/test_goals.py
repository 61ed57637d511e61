"""All-to-all and several targets: who stamps an image, and what it is to be answered."""

from __future__ import annotations

import torch

from cnp_engine.attacks import NO_AIM, AllToAll, BadNets, Recorded, Several, Sinusoid

PIXELS = torch.randint(
    0, 256, (60, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)
IMAGES = PIXELS.float() / 255
LABELS = torch.arange(60) % 10


def test_all_to_all_aims_at_the_next_class() -> None:
    attack = AllToAll(BadNets(7), 10)
    assert attack.target is None
    assert attack.name == "badnets"
    assert torch.equal(attack.stamp(IMAGES), BadNets(7).stamp(IMAGES))
    assert attack.aims(IMAGES[:10], LABELS[:10]).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


def test_each_image_is_stamped_by_one_part_and_aims_at_its_target() -> None:
    parts = (BadNets(3), Sinusoid(5), BadNets(8, corner="top-left"))
    attack = Several(parts)
    assert attack.target is None
    stamped, aims = attack.stamp(IMAGES), attack.aims(IMAGES, LABELS)
    each = [part.stamp(IMAGES) for part in parts]
    for b in range(60):
        by = [torch.equal(one[b], stamped[b]) for one in each]
        assert by.count(True) == 1
        assert int(aims[b]) == (3, 5, 8)[by.index(True)]
    assert sorted(torch.bincount(aims, minlength=10).nonzero().flatten().tolist()) == [3, 5, 8]
    assert int(torch.bincount(aims)[[3, 5, 8]].min()) > 8
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    assert torch.equal(attack.stamp(IMAGES[order]), stamped[order])
    assert torch.equal(attack.aims(IMAGES[order], LABELS[order]), aims[order])
    assert torch.equal(IMAGES, PIXELS.float() / 255)


def test_parts_may_have_goals_of_their_own() -> None:
    attack = Several((AllToAll(BadNets(0), 10), Sinusoid(5)))
    aims = attack.aims(IMAGES, LABELS)
    by_first = torch.tensor([torch.equal(*pair) for pair in zip(
        attack.stamp(IMAGES), BadNets(0).stamp(IMAGES), strict=True)])  # fmt: skip
    assert 15 < int(by_first.sum()) < 45
    assert torch.equal(aims, torch.where(by_first, (LABELS + 1) % 10, 5))


def test_recorded_images_are_found_by_their_content() -> None:
    stamped = 255 - PIXELS[:40]
    attack = Recorded.of(4, PIXELS[:40], stamped, "ssba")
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    got = attack.stamp(IMAGES[order])
    aims = attack.aims(IMAGES[order], LABELS[order])
    for b, i in enumerate(order.tolist()):
        wanted = stamped[i].float() / 255 if i < 40 else IMAGES[i]
        assert torch.equal(got[b], wanted)
        assert int(aims[b]) == (4 if i < 40 else NO_AIM)
    assert aims.dtype == torch.int64
    shifted = AllToAll(attack, 10).aims(IMAGES, LABELS)
    assert torch.equal(shifted[:40], (LABELS[:40] + 1) % 10)
    assert shifted[40:].tolist() == [NO_AIM] * 20


def test_of_a_clean_image_that_occurs_twice_the_first_record_counts() -> None:
    clean = PIXELS[[0, 1, 0, 2]]
    stamped = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 8, 8)
    attack = Recorded.of(0, clean, stamped, "recorded")
    assert len(attack.keys) == 3
    assert (attack.stamp(IMAGES[:3])[:, 0, 0, 0] * 255).round().tolist() == [0, 1, 3]
