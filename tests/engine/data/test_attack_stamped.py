"""BackdoorBench's folder of stamped test images, paired with the clean ones by index."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from cnp_engine.algorithms.metrics import GroundTruth, told
from cnp_engine.attacks import NO_AIM, AllToAll, Recorded
from cnp_engine.data.attack_file import load_attack, write_attack
from cnp_engine.data.images import LabelledImages
from cnp_engine.errors import AttackInvalid
from tests.engine.data.bombs import vast_png

SIZE, COUNT, TARGET = (8, 8), 60, 2
DRAWS = torch.Generator().manual_seed(0)
PIXELS = torch.randint(0, 200, (COUNT, 3, *SIZE), generator=DRAWS, dtype=torch.uint8)
LABELS = torch.randint(0, 5, (COUNT,), generator=DRAWS)
STAMPED = PIXELS.clone()
STAMPED[:, :, -3:, -3:] = 255
STAMPED[:, 0] += 1  # not what one pattern can express


def labelled(chosen: Tensor | None = None, pixels: Tensor = PIXELS) -> LabelledImages:
    chosen = torch.arange(COUNT) if chosen is None else chosen
    names = tuple(str(i) for i in chosen.tolist())
    return LabelledImages(pixels[chosen], LABELS[chosen], chosen, names)


def folder(root: Path, every: bool = False) -> Path:
    """record/bd_test_dataset/LABEL/INDEX.png, as prepro_cls_DatasetBD_v2 writes it."""
    for index, label in enumerate(LABELS.tolist()):
        if every or label != TARGET:
            place = root / "record" / "bd_test_dataset" / str(label)
            place.mkdir(parents=True, exist_ok=True)
            picture = STAMPED[index].permute(1, 2, 0).contiguous().numpy()
            Image.fromarray(picture).save(place / f"{index}.png")
    return root / "record"


def wrong(path: Path, test: LabelledImages | None, classes: int = 5) -> AttackInvalid:
    with pytest.raises(AttackInvalid) as raised:
        load_attack(path, SIZE, classes, test)
    assert raised.value.what.endswith(".")
    assert raised.value.todo.endswith(".")
    return raised.value


@pytest.mark.parametrize("inner", ["", "bd_test_dataset"])
def test_each_clean_image_has_its_stamped_one(tmp_path: Path, inner: str) -> None:
    attack = load_attack(folder(tmp_path) / inner, SIZE, 5, labelled())
    assert isinstance(attack, Recorded)
    assert (attack.target, attack.name) == (TARGET, "recorded")
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))
    got = (attack.stamp(PIXELS[order].float() / 255) * 255).round().byte()
    others = LABELS[order] != TARGET
    assert torch.equal(got[others], STAMPED[order][others])
    assert torch.equal(got[~others], PIXELS[order][~others])
    aims = attack.aims(PIXELS[order].float() / 255, LABELS[order])
    assert aims.tolist() == [TARGET if other else NO_AIM for other in others.tolist()]


def test_what_it_comes_to(tmp_path: Path) -> None:
    attack = load_attack(folder(tmp_path), SIZE, 5, labelled())
    measured = told(GroundTruth(PIXELS, LABELS, attack), LABELS, torch.full((COUNT,), TARGET))
    assert measured.asr is not None
    others = int((LABELS != TARGET).sum())
    assert (measured.asr.value, measured.asr.n, measured.asr_all) == (1.0, others, None)


def test_a_sample_of_the_test_in_any_order_is_enough(tmp_path: Path) -> None:
    chosen = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))[:30]
    attack = load_attack(folder(tmp_path), SIZE, 5, labelled(chosen))
    assert isinstance(attack, Recorded)
    assert len(attack.keys) == int((LABELS[chosen] != TARGET).sum())
    got = (attack.stamp(PIXELS[chosen].float() / 255) * 255).round().byte()
    others = LABELS[chosen] != TARGET
    assert torch.equal(got[others], STAMPED[chosen][others])


def test_attack_toml_says_what_the_folder_does_not(tmp_path: Path) -> None:
    record = folder(tmp_path, every=True)
    assert "lacks images of no class" in wrong(record, labelled()).what
    path = record / "attack.toml"
    trigger = '[trigger]\nfolder = "bd_test_dataset"\n'
    path.write_text(f'attack = "ssba"\ntarget = 4\n{trigger}')
    attack = load_attack(path, SIZE, 5, labelled())
    assert isinstance(attack, Recorded)
    assert (attack.name, attack.target, len(attack.keys)) == ("ssba", 4, COUNT)
    path.write_text(f'attack = "badnets"\ngoal = "all-to-all"\n{trigger}')
    shifted = load_attack(path, SIZE, 5, labelled())
    assert isinstance(shifted, AllToAll)
    aims = shifted.aims(PIXELS.float() / 255, LABELS)
    assert torch.equal(aims, (LABELS + 1) % 5)
    again = load_attack(write_attack(tmp_path / "again", shifted, {}), SIZE, 5)
    images = PIXELS.float() / 255
    assert torch.equal(again.stamp(images), shifted.stamp(images))


def test_test_images_in_another_order_are_refused(tmp_path: Path) -> None:
    record = folder(tmp_path)
    by_class = LABELS.argsort(stable=True)
    sorted_test = LabelledImages(
        PIXELS[by_class], LABELS[by_class], torch.arange(COUNT), labelled().names
    )
    error = wrong(record, sorted_test)
    assert "in another order" in error.what
    assert "--data" in error.todo


def test_other_images_of_the_same_classes_are_refused(tmp_path: Path) -> None:
    """Labels fit, as they do where two tools sort each class in a way of their own."""
    record = folder(tmp_path)
    moved = PIXELS.clone()
    for label in range(5):
        own = LABELS.eq(label).nonzero().flatten()
        moved[own] = PIXELS[own.roll(2)]
    assert "in another order" in wrong(record, labelled(pixels=moved)).what


def test_what_is_no_such_folder_is_refused(tmp_path: Path) -> None:
    record = folder(tmp_path)
    assert "say nothing without the clean ones" in wrong(record, None).what
    assert "lacks images of 6 classes" in wrong(record, labelled(), classes=10).what
    assert (
        "not those of these test images"
        in wrong(record, labelled(torch.tensor([], dtype=torch.int64))).what
    )
    (tmp_path / "empty").mkdir()
    assert "holds no stamped images" in wrong(tmp_path / "empty", labelled()).what
    some = next((record / "bd_test_dataset").glob("*/*.png"))
    Image.new("RGB", (9, 8)).save(some)
    assert "is 8x9, the images are 8x8" in wrong(record, labelled()).what
    for data in (b"\x89PNG", vast_png()):
        some.write_bytes(data)
        assert "is no PNG" in wrong(record, labelled()).what
    (record / "attack.toml").write_text(
        'attack = "ssba"\ntarget = 2\n[trigger]\nfolder = "nowhere"\n'
    )
    assert "nowhere is not there" in wrong(record / "attack.toml", labelled()).what
