"""Decoded images kept between runs: right when it works, silent when it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from cnp_engine.data.cache import Cache, cache_folder, cache_key
from cnp_engine.data.images import Decoded
from cnp_engine.data.readers import CACHED_FROM
from cnp_engine.data.sources import open_source
from tests.engine.data.pictures import folder_files, png, said, write_files

SIZE = (2, 2)


def _decoded(value: int, count: int = 4) -> Decoded:
    images = torch.full((count, 3, *SIZE), value, dtype=torch.uint8)
    return Decoded(images, torch.arange(count), (f"notice {value}",))


def test_what_is_put_is_got(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new" / "folder")
    assert cache.get("a", SIZE) is None
    cache.put("a", _decoded(7))
    got = cache.get("a", SIZE)
    assert got is not None
    assert torch.equal(got.images, _decoded(7).images)
    assert got.positions.tolist() == [0, 1, 2, 3]
    assert got.notices == ("notice 7",)
    assert cache.get("b", SIZE) is None
    assert cache.get("a", (2, 3)) is None
    assert not list(cache.folder.glob("*.part"))


@pytest.mark.parametrize("content", [b"", b"garbage", None], ids=["empty", "garbage", "cut"])
def test_a_damaged_file_is_ignored(tmp_path: Path, content: bytes | None) -> None:
    cache = Cache(tmp_path)
    cache.put("a", _decoded(1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-3] if content is None else content)
    assert cache.get("a", SIZE) is None


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for age, key in ((300, "old"), (200, "used"), (100, "young")):
        cache.put(key, _decoded(1, 50))
        moment = tmp_path.stat().st_mtime - age
        os.utime(tmp_path / f"images-{key}.safetensors", (moment, moment))
    size = (tmp_path / "images-old.safetensors").stat().st_size
    assert cache.get("old", SIZE) is not None
    Cache(tmp_path, limit=3 * size).put("new", _decoded(1, 50))
    assert {key for key in ("old", "used", "young", "new") if cache.get(key, SIZE)} == {
        "old",
        "young",
        "new",
    }


def test_what_would_fill_it_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=1000)
    cache.put("a", _decoded(1, 50))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    blocked = write_files(tmp_path, {"file": b""}) / "file"
    cache = Cache(blocked / "below a file")
    cache.put("a", _decoded(1))
    assert cache.get("a", SIZE) is None


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CNP_CACHE": "/c", "CNP_HOME": "/h"}, Path("/c")),
        ({"CNP_HOME": "/h"}, Path("/h/cache")),
        ({"XDG_CACHE_HOME": "/x"}, None),
    ],
)
def test_where_it_lies(
    variables: dict[str, str], expected: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CNP_CACHE")
    monkeypatch.delenv("CNP_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected or (expected is None and cache_folder().name == "cnp")


def test_the_key_tells_everything_apart() -> None:
    base = ("s" * 64, "train", (32, 32), range(5))
    keys = {
        cache_key(*base),
        cache_key("t" * 64, *base[1:]),
        cache_key(base[0], "test", *base[2:]),
        cache_key(*base[:2], (32, 33), base[3]),
        cache_key(*base[:3], range(6)),
        cache_key(*base[:3], [0, 1, 2, 4, 3]),
    }
    assert len(keys) == 6
    assert cache_key(*base) == cache_key(*base[:3], [0, 1, 2, 3, 4])


def test_a_second_opening_reads_the_cache_and_gives_the_same(
    tmp_path: Path, own_cache: Path
) -> None:
    tiny = {f"{i:04d}.png": png(i, 4, 4) for i in range(CACHED_FROM + 1)} | {"bad.png": b"x"}
    root = write_files(tmp_path / "d", tiny)
    source = open_source(str(root))
    assert source.train is not None
    source.train.take([0, 1])
    assert not own_cache.exists()
    first = source.train.take()
    (file,) = own_cache.iterdir()
    before = file.read_bytes()
    again = open_source(str(root))
    assert again.train is not None
    second = again.train.take()
    assert torch.equal(first.images, second.images)
    assert first.names == second.names
    assert said(second.notices, "bad.png (not an image)")
    assert first.notices == second.notices
    assert [path.read_bytes() for path in own_cache.iterdir()] == [before]


def test_another_size_or_content_is_decoded_anew(tmp_path: Path, own_cache: Path) -> None:
    root = write_files(tmp_path / "d", folder_files({"": CACHED_FROM}, size=(4, 4)))
    for size in ((4, 4), (5, 5)):
        source = open_source(str(root), size)
        assert source.train is not None
        assert source.train.take().images.shape[2:] == size
    assert len(list(own_cache.iterdir())) == 2
    (root / "000.png").write_bytes(png(12345, 4, 4))
    source = open_source(str(root), (4, 4))
    assert source.train is not None
    source.train.take()
    assert len(list(own_cache.iterdir())) == 3
