"""Grid files: what they say, and that every slip of the pen has its sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnp_engine.errors import AttackInvalid, CnpError, SettingInvalid, SettingUnknown
from cnp_engine.grid.grid import Grid, beside, parse, read
from cnp_engine.grid.models import UNMIRRORED
from cnp_tui import planting

TOP = 'data = "demo"\n'
TRAINED = '[models]\nattacks = ["badnets", "wanet"]\n'
LISTED = '[[model]]\nname = "mine"\nfile = "mine.pth"\n'


def names(grid: Grid) -> list[str]:
    return [model.name for model in grid.models]


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    grid = parse(TOP + TRAINED, tmp_path, "small")
    assert (grid.name, grid.data, grid.clean, grid.seeds) == ("small", "demo", (1000,), (0,))
    assert names(grid) == ["badnets-resnet18-r0.1-t0-s0", "wanet-resnet18-r0.1-t0-s0"]
    assert grid.sets == {}
    assert set(grid.bars) == {1000}
    assert grid.bars[1000].asr is None


def test_every_list_is_an_axis_and_a_clean_twin_is_trained_once_for_all_attacks(
    tmp_path: Path,
) -> None:
    text = TOP + (
        '[models]\nattacks = ["badnets", "sig"]\narchitectures = ["resnet18", "vgg16_bn"]\n'
        "widths = [8, 16]\nrates = [0.1, 0.05, 0.0]\ntargets = [0, 3]\ntrain_seeds = [0, 1]\n"
    )
    grid = parse(text, tmp_path, "wide")
    found = names(grid)
    assert len(set(found)) == len(found) == 4 * (2 * 2 * 2 * 2 + 2)
    twins = [model for model in grid.models if not model.truth.backdoored]
    assert [twin.name for twin in twins[:2]] == ["clean-resnet18-w8-s0", "clean-resnet18-w8-s1"]
    assert len(twins) == 8
    assert all(twin.plan is not None and twin.plan.clean for twin in twins)
    one = next(m for m in grid.models if m.name == "sig-vgg16_bn-w16-r0.05-t3-s1")
    assert (one.truth.attack, one.truth.targets, one.truth.rate) == ("sig", (3,), 0.05)
    plan = one.plan
    assert plan is not None
    assert (plan.attack, plan.arch, plan.width, plan.rate) == ("sig", "vgg16_bn", 16, 0.05)
    assert (plan.targets, plan.seed, plan.data) == ((3,), 1, "demo")


def test_an_all_to_all_backdoor_has_no_target_and_is_trained_once_for_all(tmp_path: Path) -> None:
    text = TOP + TRAINED + 'goals = ["all-to-one", "all-to-all"]\ntargets = [0, 1]\n'
    grid = parse(text, tmp_path, "goals")
    assert [name for name in names(grid) if name.startswith("badnets")] == [
        "badnets-resnet18-r0.1-t0-s0",
        "badnets-resnet18-r0.1-t1-s0",
        "badnets-resnet18-r0.1-all-to-all-s0",
    ]
    whole = grid.models[2]
    assert whole.truth.backdoored
    assert whole.truth.targets == ()


def test_several_targets_may_be_of_one_model(tmp_path: Path) -> None:
    text = (
        TOP
        + TRAINED.replace(', "wanet"', "")
        + 'goals = ["all-to-one", "all-to-all"]\ntargets = [0, 2]\n'
    )
    grid = parse(text + "together = true\n", tmp_path, "together")
    assert [name for name in names(grid) if name.startswith("badnets")] == [
        "badnets-resnet18-r0.1-t0-2-s0", "badnets-resnet18-r0.1-all-to-all-s0",
    ]  # fmt: skip
    both = grid.models[0]
    assert both.plan is not None
    assert both.plan.targets == both.truth.targets == (0, 2)


def test_trainings_are_told_what_the_grid_says_of_all_of_them(tmp_path: Path) -> None:
    said = 'epochs = 3\nimages = 200\nbatch = 32\nlr = 0.05\nnormalize = "cifar10"\n'
    plain = parse(TOP + TRAINED, tmp_path, "g").models[0].plan
    told = parse(TOP + TRAINED + said + "flip = true\n", tmp_path, "g").models[0].plan
    assert plain is not None
    assert told is not None
    values = (told.epochs, told.images, told.batch, told.lr, told.normalize, told.flip)
    assert values == (3, 200, 32, 0.05, "cifar10", True)
    assert (plain.epochs, plain.images, plain.normalize) == (30, None, "none")
    assert not plain.flip  # signs of the demo
    assert UNMIRRORED == planting.UNMIRRORED


def test_models_that_exist_are_beside_the_grid_and_what_is_known_is_read(tmp_path: Path) -> None:
    attacks = {
        "one.toml": ('attack = "badnets"\ntarget = 5\npoison_rate = 0.1', (5,), 0.1),
        "several.toml": ("[[part]]\ntarget = 2\n[[part]]\ntarget = 4", (2, 4), None),
        "all.toml": ('attack = "badnets"\ngoal = "all-to-all"\nclasses = 4', (), None),
    }
    for name, (content, targets, rate) in attacks.items():
        (tmp_path / name).write_text(content)
        (model,) = parse(TOP + LISTED + f'attack = "{name}"\n', tmp_path, "g").models
        assert model.truth.backdoored
        assert (model.truth.targets, model.truth.rate) == (targets, rate)
        assert model.truth.all_to_all is (name == "all.toml")
        assert (model.file, model.attack_file) == (tmp_path / "mine.pth", tmp_path / name)
    (model,) = parse(TOP + LISTED, tmp_path, "g").models
    assert not model.truth.backdoored
    assert model.attack_file is None


@pytest.mark.parametrize("attack", ["trigger_info.th", "bd_test_dataset"])
def test_an_attack_that_another_tool_described_has_the_target_the_grid_names(
    attack: str, tmp_path: Path
) -> None:
    place = tmp_path / attack
    place.write_bytes(b"\x80") if place.suffix else place.mkdir()
    text = TOP + LISTED + f'attack = "{attack}"\n'
    (unknown,) = parse(text, tmp_path, "g").models
    (known,) = parse(text + "target = 3\n", tmp_path, "g").models
    assert unknown.truth.backdoored
    assert (unknown.truth.targets, known.truth.targets) == ((), (3,))


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("source", "demo", "demo"),
        ("source", "x.zip", "/g/x.zip"),
        ("source", "../x.zip", "/x.zip"),
        ("source", "cifar10:x", "cifar10:/g/x"),
        ("source", "/x.zip", "/x.zip"),
        ("file", "demo", "/g/demo"),
        ("factory", "resnet18", "resnet18"),
        ("factory", "pkg.mod:make", "pkg.mod:make"),
        ("factory", "own.py:make", "/g/own.py:make"),
    ],
)
def test_paths_count_from_the_grid(kind: str, text: str, wanted: str) -> None:
    assert beside(Path("/g"), text, kind) == wanted


def test_settings_of_every_run_may_be_dotted_or_in_tables(tmp_path: Path) -> None:
    dotted = parse(TOP + TRAINED + '[set]\n"masks.rounds" = 3\nclean_dir = "c"\n', tmp_path, "g")
    tables = parse(TOP + TRAINED + '[set]\nclean_dir = "c"\n[set.masks]\nrounds = 3', tmp_path, "g")
    assert dotted.sets == tables.sets == {"masks.rounds": 3, "clean_dir": str(tmp_path / "c")}


def test_bars_of_a_number_of_clean_images_win(tmp_path: Path) -> None:
    text = "clean = [100, 1000]\n" + TOP + TRAINED
    bars = parse(text + "[bars]\nasr = 0.02\npruned = 0.03\n[bars.100]\nasr = 0.05\n", tmp_path,
                 "g").bars  # fmt: skip
    assert (bars[100].asr, bars[100].pruned) == (0.05, 0.03)
    assert (bars[1000].asr, bars[1000].pruned) == (0.02, 0.03)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("data = ", SettingInvalid, "not TOML"),
        (TRAINED, SettingInvalid, "data is missing"),
        ("data = 3\n" + TRAINED, SettingInvalid, "data cannot be 3"),
        (TOP, SettingInvalid, "names no model"),
        ("sed = [1]\n" + TOP + TRAINED, SettingUnknown, "Did you mean seeds?"),
        ("quite = 1\n" + TOP + TRAINED, SettingUnknown, "Known are data, clean, seeds, models"),
        ("model = 3\n" + TOP, SettingInvalid, "Write [[model]]"),
        ("models = 3\n" + TOP, SettingInvalid, "Write [models]"),
        ("seeds = []\n" + TOP + TRAINED, SettingInvalid, "seeds is empty"),
        ("seeds = [1, 1]\n" + TOP + TRAINED, SettingInvalid, "seeds is named twice: 1"),
        ("seeds = [-1]\n" + TOP + TRAINED, SettingInvalid, "seeds cannot be -1"),
        ("clean = [0]\n" + TOP + TRAINED, SettingInvalid, "clean cannot be 0"),
        ('clean = ["many"]\n' + TOP + TRAINED, SettingInvalid, "clean cannot be many"),
        (TOP + "[models]\n", SettingInvalid, "models.attacks is missing"),
        (TOP + '[models]\nattacks = ["badnet"]', SettingUnknown, "Did you mean badnets?"),
        (TOP + '[models]\nattacks = ["zzz"]', SettingUnknown, "Known are badnets"),
        (TOP + TRAINED + "rate = [0.1]", SettingUnknown, "Did you mean models.rates?"),
        (TOP + TRAINED + "rates = [2.0]", SettingInvalid, "models.rates cannot be 2.0"),
        (TOP + TRAINED + "rates = [nan]", SettingInvalid, "models.rates cannot be nan"),
        (TOP + TRAINED + 'goals = ["some"]', SettingInvalid, "models.goals cannot be some"),
        (TOP + TRAINED + "epochs = 0", SettingInvalid, "models.epochs cannot be 0"),
        (TOP + TRAINED + "lr = 0", SettingInvalid, "--lr 0 trains nothing"),
        (TOP + TRAINED + "widths = [0]", SettingInvalid, "models.widths cannot be 0"),
        (TOP + '[models]\nattacks = ["sig"]\ngoals = ["all-to-all"]', SettingInvalid,
         "no all-to-all kind"),
        (TOP + '[[model]]\nfile = "x"', SettingInvalid, "model.name is missing"),
        (TOP + '[[model]]\nname = "x"', SettingInvalid, "model.file is missing"),
        (TOP + LISTED + 'attak = "x"', SettingUnknown, "Did you mean model.attack?"),
        (TOP + '[[model]]\nname = "../x"\nfile = "x"', SettingInvalid, "model.name cannot be"),
        (TOP + LISTED + LISTED, SettingInvalid, "A model is named twice: mine"),
        (TOP + LISTED + 'attack = "no.toml"', AttackInvalid, "No such file"),
        (TOP + TRAINED + "[set]\nmasks.round = 1", SettingUnknown, "Did you mean masks.rounds?"),
        (TOP + TRAINED + "[set]\nmasks.rounds = 0", SettingInvalid, "masks.rounds cannot be 0"),
        (TOP + TRAINED + "[set]\nclean = 10", SettingInvalid, "The grid says it with clean"),
        (TOP + TRAINED + "[set]\nseed = 1", SettingInvalid, "The grid says it with seeds"),
        (TOP + TRAINED + '[set]\nattack = "x"', SettingInvalid, "attack in a [[model]] table"),
        (TOP + TRAINED + "[bars]\nars = 0.1", SettingUnknown, "Did you mean bars.asr?"),
        (TOP + TRAINED + "[bars]\nasr = 2.0", SettingInvalid, "bars.asr cannot be 2.0"),
        (TOP + TRAINED + "[bars.100]\nasr = 0.1", SettingUnknown, "clean is 1000"),
        (TOP + TRAINED + "[bars.1000]\nars = 0.1", SettingUnknown, "Did you mean bars.1000.asr?"),
    ],
)  # fmt: skip
def test_a_grid_that_cannot_be_says_why(
    text: str, error: type[CnpError], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        parse(text, tmp_path, "g")
    assert says in str(caught.value)
    assert caught.value.what.endswith(".")
    assert caught.value.todo


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_is_no_grid(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingInvalid, match="cannot be read") as caught:
        read(path)
    assert caught.value.exit_code == 2


GRIDS = Path(__file__).parents[3] / "benchmarks" / "grids"


@pytest.mark.parametrize("path", sorted(GRIDS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_grid_that_comes_along_can_be_read(path: Path) -> None:
    assert read(path).models


def test_the_grid_of_two_cores_is_one() -> None:
    grid = read(GRIDS / "two_cores.toml")
    assert [model.truth.attack for model in grid.models] == [
        "badnets", "blended", "wanet", "input-aware", "lf", "sig", None,
    ]  # fmt: skip
    assert grid.clean == (100, 1000)
    assert (grid.bars[100].asr, grid.bars[1000].asr) == (0.05, 0.02)
