"""The real CIFAR-10 zip: 20,000 training and 10,000 test images."""

from __future__ import annotations

import pytest
import torch

from cnp_engine.data.sources import DataSource, open_source
from cnp_engine.data.split import split
from tests.engine.data.pictures import CIFAR_ZIP

CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
pytestmark = pytest.mark.skipif(not CIFAR_ZIP.is_file(), reason="the shared data are not here")


@pytest.fixture(scope="module", name="source")
def real_source() -> DataSource:
    return open_source(str(CIFAR_ZIP), (32, 32))


def test_listing(source: DataSource) -> None:
    assert source.classes == CIFAR_CLASSES
    assert source.notices == ()
    for part, each in ((source.train, 2000), (source.test, 1000)):
        assert part is not None
        assert part.labels is not None
        assert part.labels.bincount().tolist() == [each] * 10


def test_a_thousand_clean_images_and_the_whole_test(source: DataSource) -> None:
    got = split(source, 1000, 0)
    assert (len(got.clean), len(got.optimise), len(got.select)) == (1000, 700, 300)
    assert got.test is not None
    assert len(got.test) == 10_000
    assert got.notices == got.clean.notices == ()
    # CIFAR-10's own mean over channels, to the third digit: colours and order are right.
    mean = got.test.images.float().mean((0, 2, 3)) / 255
    torch.testing.assert_close(mean, torch.tensor([0.4942, 0.4851, 0.4504]), atol=2e-3, rtol=0)
    again = split(source, 1000, 0)
    assert again.clean.names == got.clean.names
    assert again.test is not None
    assert torch.equal(again.test.images, got.test.images)
