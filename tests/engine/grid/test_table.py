"""Results, means, bars and tables of summaries with made-up figures."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Any, Literal

import pytest

from cnp_engine.events import Healed, LabelFree, Measured
from cnp_engine.export.summary import SummaryParts, summary
from cnp_engine.grid import table
from cnp_engine.grid.cells import Cell, cells
from cnp_engine.grid.grid import Grid, parse
from cnp_engine.grid.means import FIGURES, Group, groups, mean
from cnp_engine.grid.results import Result, of_summary
from tests.engine.export.runs import rate

TEXT = """
data = "demo"
clean = [100]
[models]
attacks = ["badnets", "wanet"]
widths = [16]
rates = [0.1, 0.0]
targets = [3]
train_seeds = [0, 1]
[bars]
asr = 0.05
ba_drop = 0.015
target_right = 1.0
false_alarms = 0.0
"""

Verdict = Literal["backdoored", "no_evidence"]


def small(text: str = TEXT) -> Grid:
    return parse(text, Path("/g"), "small")


def parts(
    verdict: Verdict = "backdoored",
    targets: tuple[int, ...] = (3,),
    asr: float = 0.02,
    ba: float = 0.93,
    ra: float = 0.9,
    pruned: int = 10,
) -> SummaryParts:
    return SummaryParts(
        seed=0, verdict=verdict, targets=targets, neurons=1000, pruned=pruned, success=rate(0.97),
        before=Measured(rate(0.94), rate(0.98, 900), rate(0.02, 900)),
        after=Measured(rate(ba), rate(asr, 900), rate(ra, 900)),
        label_free=LabelFree(rate(0.96, 300), rate(0.01, 300)),
        seconds={"total": 40.0}, peak_memory_bytes=2**30, device="cpu",
    )  # fmt: skip


def result(cell: Cell, made: SummaryParts, repaired: bool = True) -> Result:
    return of_summary(cell, json.loads(json.dumps(summary(made))), "ResNet-18 (x)", repaired)


def clean_parts(verdict: Verdict = "no_evidence") -> SummaryParts:
    return SummaryParts(
        seed=0, verdict=verdict, neurons=1000, before=Measured(rate(0.94)),
        targets=(1,) if verdict == "backdoored" else (), seconds={"total": 20.0},
    )  # fmt: skip


def everything(grid: Grid) -> list[Result]:
    """Two attacks and a clean twin, two trainings each: all well but wanet's second and a twin."""
    made = [parts(), parts(), parts(asr=0.04, ba=0.925), parts(targets=(5,), asr=0.2, ba=0.95)]
    twins = [clean_parts(), clean_parts("backdoored")]
    return [result(*pair) for pair in zip(cells(grid), [*made, *twins], strict=True)]


def only(found: list[Group]) -> Group:
    (group,) = found
    return group


def test_a_result_says_what_the_summary_says() -> None:
    one = result(cells(small())[0], parts())
    assert (one.verdict, one.targets, one.pruned, one.neurons) == ("backdoored", (3,), 10, 1000)
    assert one.after.asr == rate(0.02, 900)  # with its n and its interval
    assert one.label_free.residual == rate(0.01, 300)
    assert one.success == rate(0.97)
    assert one.ba_drop == pytest.approx(0.01)
    assert one.ra_gap == pytest.approx(0.03)
    assert one.fraction == 0.01
    assert (one.verdict_right, one.target_right) == (True, True)
    assert one.network == "resnet18, width 16"


@pytest.mark.parametrize(
    ("targets", "verdict", "right"),
    [
        ((3,), "backdoored", True),
        ((1, 3), "backdoored", True),
        ((1,), "backdoored", False),
        ((), "no_evidence", False),
    ],
)
def test_a_target_among_several_counts(
    targets: tuple[int, ...], verdict: Verdict, right: bool
) -> None:
    one = result(cells(small())[0], parts(verdict, targets))
    assert one.target_right is right
    assert one.verdict_right is (verdict == "backdoored")


def test_of_a_clean_or_an_all_to_all_model_no_target_is_right() -> None:
    twin = next(one for one in cells(small()) if not one.model.truth.backdoored)
    assert result(twin, clean_parts()).target_right is None
    assert result(twin, clean_parts()).verdict_right is True
    assert result(twin, clean_parts("backdoored")).verdict_right is False
    assert result(twin, clean_parts()).ra_gap is None
    grid = small(TEXT.replace("targets", 'goals = ["all-to-all"]\ntargets'))
    one = result(cells(grid)[0], parts(targets=(8,)))
    assert (one.target_right, one.verdict_right) == (None, True)
    assert "| badnets, all-to-all |" in table.markdown(table.Bench(grid, [one]))
    assert table.as_json(table.Bench(grid, [one]))["rows"][0]["all_to_all"] is True


def test_where_nothing_was_pruned_the_backdoor_is_as_it_was() -> None:
    made = SummaryParts(
        seed=0, verdict="backdoored", targets=(3,), neurons=10, pruned=0,
        before=Measured(rate(0.94), rate(0.98)),
    )  # fmt: skip
    cell = cells(small())[0]
    assert result(cell, made).after.asr == rate(0.98)
    assert result(cell, made).ba_drop == 0.0
    assert result(cell, made, repaired=False).after.asr is None  # a verdict only


def test_a_network_nobody_named_is_called_as_it_was_recognised() -> None:
    grid = parse('data = "demo"\n[[model]]\nname = "m"\nfile = "m.pth"', Path("/g"), "g")
    (cell,) = cells(grid)
    described = "ResNet-18 for small images (3x3 stem), widths 8-16-32-64, 10 classes"
    found = of_summary(cell, dict(summary(clean_parts())), described, True)
    assert found.network == "ResNet-18 for small images, width 8"


def test_means_are_of_backdoored_models_and_false_alarms_of_clean_ones() -> None:
    group = only(groups(small(), everything(small())))
    figures = group.figures
    assert (group.cells, group.done, group.clean) == (6, 6, 100)
    assert figures["asr"].value == pytest.approx((0.02 + 0.02 + 0.04 + 0.2) / 4)
    assert figures["asr"].n == figures["asr"].asked == 4
    assert figures["ba_drop"].value == pytest.approx((0.01 + 0.01 + 0.015 - 0.01) / 4)
    assert figures["target_right"].value == 0.75
    assert figures["verdict_right"].value == 1.0
    assert (figures["false_alarms"].value, figures["false_alarms"].n) == (0.5, 2)
    worst = figures["asr"].worst
    assert worst is not None
    assert (worst.value, worst.cell) == (0.2, "wanet-resnet18-w16-r0.1-t3-s1-clean100-seed0")


def test_a_model_without_a_target_class_is_not_asked_for_one() -> None:
    grid = small(TEXT.replace("targets", 'goals = ["all-to-one", "all-to-all"]\ntargets'))
    rows = [result(cell, parts() if cell.model.truth.backdoored else clean_parts())
            for cell in cells(grid)]  # fmt: skip
    figures = only(groups(grid, rows)).figures
    assert (figures["asr"].asked, figures["target_right"].asked) == (8, 4)
    assert figures["target_right"].holds is True


def test_a_name_breaks_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('attack = "a | b"\ntarget = 3\n')
    text = 'data = "demo"\n[[model]]\nname = "m"\nfile = "m.pth"\nattack = "a.toml"\n'
    grid = parse(text, tmp_path, "g")
    lines = table.markdown(table.Bench(grid, [result(cells(grid)[0], parts())])).splitlines()
    assert any(line.startswith("| a \\| b | ") for line in lines)


def test_bars_hold_the_mean_and_count_the_cells_that_keep_them() -> None:
    figures = only(groups(small(), everything(small()))).figures
    assert {key: (found.holds, found.keeping) for key, found in figures.items() if found.bar
            is not None} == {
        "asr": (False, 3),  # mean 0.07
        "ba_drop": (True, 4),  # one is the bar exactly
        "target_right": (False, 3),
        "false_alarms": (False, 1),
    }  # fmt: skip
    assert figures["ra_gap"].holds is None
    assert figures["ra_gap"].keeping is None


def test_a_bar_is_not_judged_while_a_cell_is_missing() -> None:
    grid = small()
    rows = [*everything(grid)[:-1], Result(cells(grid)[-1], "failed", "It fell over.")]
    figures = {one.key: mean(one, rows, 0.5) for one in FIGURES}
    assert figures["asr"].holds is True
    assert figures["false_alarms"].holds is None
    assert (figures["false_alarms"].n, figures["false_alarms"].asked) == (1, 2)
    none = mean(FIGURES[0], [Result(cells(grid)[0])], 0.5)
    assert (none.value, none.worst, none.holds) == (None, None, None)


def test_several_poison_rates_have_means_of_their_own_beside_the_same_clean_models() -> None:
    grid = small(TEXT.replace("[0.1, 0.0]", "[0.1, 0.01, 0.0]"))
    rows = [
        result(cell, parts(asr=0.9 if cell.model.truth.rate == 0.01 else 0.0))
        if cell.model.truth.backdoored
        else result(cell, clean_parts())
        for cell in cells(grid)
    ]
    found = groups(grid, rows)
    assert [group.rate for group in found] == [None, 0.01, 0.1]
    assert [group.figures["asr"].value for group in found] == [pytest.approx(0.45), 0.9, 0.0]
    assert [group.figures["false_alarms"].n for group in found] == [2, 2, 2]


def test_numbers_of_clean_images_and_networks_are_kept_apart() -> None:
    text = TEXT.replace("clean = [100]", "clean = [100, 1000]").replace("[16]", "[8, 16]")
    grid = small(text)
    rows = [result(cell, parts() if cell.model.truth.backdoored else clean_parts())
            for cell in cells(grid)]  # fmt: skip
    assert [(group.clean, group.network) for group in groups(grid, rows)] == [
        (1000, "resnet18, width 8"), (1000, "resnet18, width 16"),
        (100, "resnet18, width 8"), (100, "resnet18, width 16"),
    ]  # fmt: skip


@pytest.fixture(name="mixed")
def some_failed() -> table.Bench:
    grid = small()
    rows = everything(grid)
    rows[0] = Result(rows[0].cell, "failed", "It | fell\nover.", "resnet18, width 16")
    rows[-1] = Result(rows[-1].cell, network="resnet18, width 16")
    return table.Bench(grid, rows)


def split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_markdown_has_a_row_a_cell_a_line_a_group_and_the_bars(mixed: table.Bench) -> None:
    text = table.markdown(mixed)
    lines = text.splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert {len(split(line)) for line in tables} == {23, 16, 9}
    assert "4 of 6 cells done, 1 failed." in text
    assert "BA on 1,000, ASR and RA on 900" in text
    first, second = (split(line) for line in tables[2:4])
    assert first[:6] == ["badnets", "resnet18, width 16", "10 %", "100", "0", "0"]
    assert first[18] == "failed"
    assert second[9] == "2.00 (1.3 to 3.1)"  # ASR after, with its interval
    assert second[12:14] == ["1.00", "3.00"]
    assert second[17:22] == ["10 of 1,000 (1.00)", "backdoored, right", "3, right", "40.0", "1,024"]
    assert second[22] == "`badnets-resnet18-w16-r0.1-t3-s1-clean100-seed0`"
    assert "- `badnets-resnet18-w16-r0.1-t3-s0-clean100-seed0`: It | fell over.\n" in text
    means = split(next(line for line in tables if line.startswith("| 100 | resnet18")))
    assert means[3] == "4 of 6"
    assert means[9:12] == ["2 of 3, 1 missing", "3 of 3, 1 missing", "0 of 1, 1 missing"]
    bars = {split(line)[3]: split(line) for line in tables if len(split(line)) == 9}
    assert bars["ASR"][4:8] == ["at most 5.00", "8.67", "not all measured", "2 of 4"]
    assert "nan" not in text.lower().replace("final", "")


def test_a_whole_bench_says_which_bars_hold_and_false_alarms_as_a_count() -> None:
    grid = small()
    lines = table.markdown(table.Bench(grid, everything(grid))).splitlines()
    bars = {split(line)[3]: split(line)[6] for line in lines if len(split(line)) == 9}
    assert (bars["ASR"], bars["BA drop"]) == ("NO", "yes")
    means = split(next(line for line in lines if line.startswith("| 100 | resnet18")))
    assert means[9:12] == ["3 of 4", "4 of 4", "1 of 2"]


def test_csv_has_a_line_a_cell_and_columns_for_n_and_interval(mixed: table.Bench) -> None:
    rows = list(csv.DictReader(io.StringIO(table.as_csv(mixed))))
    assert [row["state"] for row in rows] == ["failed", *["done"] * 4, "waiting"]
    assert rows[0]["error"] == "It | fell\nover."
    assert rows[0]["after_asr"] == rows[5]["seconds"] == ""
    second = rows[1]
    assert float(second["after_asr"]) == 0.02
    assert int(second["after_asr_n"]) == 900
    low, high = float(second["after_asr_low"]), float(second["after_asr_high"])
    assert low < 0.02 < high
    assert (second["true_targets"], second["targets"], second["target_right"]) == ("3", "3", "True")


def test_json_knows_no_nan_and_tells_every_cell_group_and_bar(mixed: table.Bench) -> None:
    found: dict[str, Any] = json.loads(json.dumps(table.as_json(mixed), allow_nan=False))
    assert (found["cells"], found["done"], found["failed"]) == (6, 4, 1)
    assert len(found["rows"]) == 6
    assert found["rows"][0]["rates"]["after_asr"] is None
    assert found["rows"][1]["rates"]["after_asr"]["n"] == 900
    figures = found["means"][0]["figures"]
    assert math.isclose(figures["asr"]["value"], (0.02 + 0.04 + 0.2) / 3)
    assert figures["asr"]["bar"] == 0.05
    assert figures["asr"]["holds"] is None
    json.dumps(table.as_json(table.Bench(small(), [Result(cell) for cell in cells(small())])))


def healing(kept: bool) -> SummaryParts:
    """Pruned to BA 93, ASR 2, and healed to BA 94, ASR 1."""
    rates = Measured(rate(0.94), rate(0.01, 900), rate(0.93, 900)) if kept else Measured()
    free = LabelFree(rate(0.98, 300), rate(0.0, 300))
    healed = Healed(10, 200, kept, LabelFree(), free, rates)
    return dataclasses.replace(parts(), healed=healed)


def test_healed_models_have_columns_means_and_bars_of_their_own() -> None:
    grid = small()
    rows = everything(grid)
    rows[0] = result(rows[0].cell, healing(kept=True))
    rows[1] = result(rows[1].cell, healing(kept=False))
    bench = table.Bench(grid, rows)
    assert [row.kept for row in rows[:3]] == [True, False, None]
    assert rows[0].after.ba == rate(0.93)  # pruning keeps its figures
    assert rows[0].in_the_end.after.ba == rate(0.94)
    assert rows[0].in_the_end.ba_drop == pytest.approx(0.0)
    assert rows[1].in_the_end.after.ba == rate(0.93)
    pruned, healed = only(bench.groups), only(bench.healed_groups)
    assert pruned.figures["ba_drop"].value == pytest.approx(0.00625)
    assert healed.figures["ba_drop"].value == pytest.approx(0.00375)
    text = table.markdown(bench)
    assert "## Means over attacks, healed" in text
    assert "## Bars, healed" in text
    head, first, second = (
        line.split(" | ")
        for line in text.splitlines()
        if line.startswith(("| attack", "| badnets"))
    )
    at = head.index("ASR healed")
    assert first[at].startswith("1.00 (")
    assert second[at] == "not kept"
    (line,) = [
        one
        for one in csv.DictReader(io.StringIO(table.as_csv(bench)))
        if one["healed_kept"] == "True"
    ]
    assert line["healed_asr"] == "0.01"


def test_a_grid_that_does_not_heal_says_nothing_of_it() -> None:
    bench = table.Bench(small(), everything(small()))
    assert "ealed" not in table.markdown(bench)
    assert bench.healed_groups == []
