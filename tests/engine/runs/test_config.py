"""RunConfig: who wins over whom, what is kept in run.toml, and what the digest tells apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from cnp_engine import settings
from cnp_engine.config import PRESETS, RunConfig
from cnp_engine.errors import SettingInvalid, SettingUnknown

INPUTS = {"model": "m", "data": "d"}
ALL = settings.catalogue(RunConfig)


def build(values: dict[str, Any] | None = None, *sets: str, **more: Any) -> RunConfig:
    return RunConfig.build({**INPUTS, **(values or {})}, sets, **{"env": {}, **more})


def test_the_earlier_of_two_sources_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "reference", {"clean": 40})
    file = tmp_path / "c.toml"
    file.write_text("preset = 'reference'\nclean = 50\n")
    env = {"CNP_CLEAN": "60", "CNP_HOME": "/x", "CNP_UNRELATED": "1"}
    cases: list[tuple[int, RunConfig]] = [
        (1000, build()),
        (40, build({"preset": "reference"})),
        (40, build(None, "preset=reference")),
        (40, build(env={"CNP_PRESET": "reference"})),
        (50, build(file=file)),
        (60, build(file=file, env=env)),
        (70, build({"clean": 70}, file=file, env=env)),
        (80, build({"clean": 70}, "clean=80", file=file, env=env)),
        (60, build({"clean": None}, env=env)),
    ]
    assert [config.clean for _, config in cases] == [clean for clean, _ in cases]


def test_the_process_environment_counts_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNP_SEED", "5")
    assert RunConfig.build(INPUTS).seed == 5


def test_a_mistake_names_the_default_of_the_preset() -> None:
    for preset, default in (("fast", "0.05"), ("reference", "0.2")):
        with pytest.raises(SettingInvalid, match=f"The default is {default}"):
            build({"preset": preset, "masks.lr": "x"})


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_names_settings_that_exist_and_can_be(preset: str) -> None:
    built = build({"preset": preset})
    for key, value in PRESETS[preset].items():
        assert built.values()[key] == value


def test_no_two_settings_share_an_environment_variable() -> None:
    names = [item.env for item in ALL.values()]
    assert len(set(names)) == len(names)
    assert "CNP_HOME" not in names


@pytest.mark.parametrize("key", list(ALL))
def test_every_setting_is_documented_and_its_default_is_allowed(key: str) -> None:
    item = ALL[key]
    assert item.help
    assert item.expects
    if not item.required:
        assert item.parse(item.default) == item.default
        assert item.parse(settings.show(item.default)) == item.default


@pytest.mark.parametrize(
    ("where", "how"),
    [("set", {}), ("file", {}), ("environment", {})],
)
def test_a_wrong_value_is_refused_wherever_it_comes_from(
    where: str, how: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "c.toml"
    file.write_text("seed = -1\n" if where == "file" else "")
    env = {"CNP_SEED": "-1"} if where == "environment" else {}
    with pytest.raises(SettingInvalid, match="seed cannot be -1"):
        build(None, *(["seed=-1"] if where == "set" else []), file=file, env=env)


@pytest.mark.parametrize(
    ("sets", "error", "says"),
    [
        ("sed=1", SettingUnknown, "Did you mean seed?"),
        ("target.step=1", SettingUnknown, "Did you mean target.steps?"),
        ("seed", SettingInvalid, "--set 'seed' has no value"),
        ("=3", SettingInvalid, "has no value"),
        ("target=3", SettingUnknown, "targets"),
        ("model=", SettingInvalid, "model cannot be"),
        ("target.families=none", SettingInvalid, "Give one of patch, blend, warp, wave"),
        ("target.families=patch,sticker", SettingInvalid, "one of patch, blend, warp, wave"),
    ],
)
def test_set_says_what_is_wrong(sets: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        build(None, sets)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"clean = ", "not TOML"),
        (b"[masks]\nlrr = 1", "masks.lr"),
        (b"\xff\xfe", "cannot be read"),
        (None, "No such file"),
    ],
)
def test_a_settings_file_that_is_wrong(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "c.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises((SettingInvalid, SettingUnknown), match=says):
        build(file=file)


@pytest.mark.parametrize("missing", list(INPUTS))
def test_the_inputs_have_to_be_given(missing: str) -> None:
    with pytest.raises(SettingInvalid, match=f"No {missing} is given"):
        RunConfig.build({key: v for key, v in INPUTS.items() if key != missing}, env={})


def test_toml_keeps_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    config = build({"targets": "1,2", "classes": 4, "attack": 'a "b" \\ ü.toml', "seed": 3})
    monkeypatch.setenv("CNP_SEED", "9")
    assert RunConfig.from_toml(config.to_toml()) == config
    for key in ALL:
        if config.values()[key] is not None:
            assert f"{key.rpartition('.')[2]} = " in config.to_toml()


@pytest.mark.parametrize(("enabled", "when"), [("true", "always"), ("false", "never")])
def test_settings_of_an_earlier_version_are_read(enabled: str, when: str) -> None:
    text = f'model = "m.pth"\ndata = "demo"\n[heal]\nenabled = {enabled}\nsteps = 100\n'
    text += "[target]\nbatch = 24\n"
    config = RunConfig.from_toml(text)
    assert (config.heal.when, config.heal.steps) == (when, 100)
    assert config.target.glance == config.target.batch == 24, "there was no first look then"
    moved = config.reversal.crop_under, config.target.shift, config.sweep.views
    assert moved == (0, 0, 0), "and no image was moved"


def test_the_digest_tells_every_setting_apart_and_nothing_else() -> None:
    base = build()
    assert build().digest() == base.digest()
    assert RunConfig.from_toml(base.to_toml()).digest() == base.digest()
    assert re.fullmatch("[0-9a-f]{64}", base.digest())
    several = [key for key, item in ALL.items() if len(get_args(item.hint)) != 1]
    changed = {key: build({key: _other(key, base)}).digest() for key in several}
    assert len({base.digest(), *changed.values()}) == len(several) + 1


def _other(key: str, base: RunConfig) -> Any:
    """A value of ``key`` that is allowed and is not its own."""
    item, now = ALL[key], base.values()[key]
    candidates: tuple[Any, ...] = ("other", "3", "0.3", "true", "false")
    candidates += ("fast", "reference", "verdict", "reversal", "votes", "adam", "sgd")
    candidates += tuple(re.findall(r"[\w-]+", item.expects))
    for raw in candidates:
        try:
            value = item.parse(raw)
        except SettingInvalid:
            continue
        if value != now:
            return value
    raise AssertionError(key)


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases = {
        "demo": "demo",
        "images": f"{tmp_path}/images",
        "cifar10:x": f"cifar10:{tmp_path}/x",
        "tiny-imagenet:/x": "tiny-imagenet:/x",
        "odd:name": f"{tmp_path}/odd:name",
    }
    for given, wanted in cases.items():
        assert build({"data": given}).absolute().data == wanted
    whole = build({"attack": "a.toml", "clean_dir": "c"}).absolute()
    assert (whole.model, whole.attack, whole.clean_dir, whole.trigger) == (
        f"{tmp_path}/m",
        f"{tmp_path}/a.toml",
        f"{tmp_path}/c",
        None,
    )
    assert whole.absolute() == whole
    for given, wanted in {
        "resnet18-cifar": "resnet18-cifar",
        "package.nets:make": "package.nets:make",
        "a/b.py:make": f"{tmp_path}/a/b.py:make",
    }.items():
        assert build({"arch": given}).absolute().arch == wanted


def test_describe_lists_every_setting_for_people() -> None:
    rows = {row.key: row for row in build({"seed": 4}).describe()}
    assert list(rows) == list(ALL)
    assert (rows["seed"].value, rows["seed"].default) == ("4", "0")
    assert (rows["arch"].value, rows["targets"].value) == ("none", "none")
    assert rows["model"].default == ""
