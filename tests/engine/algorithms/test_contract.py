"""What decides has no way to be told the truth: neither a parameter, nor a name to say it with."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cnp_engine.algorithms import metrics

DECIDING = (
    "overlay",
    "target",
    "ranking",
    "class_search",
    "waves",
    "votes",
    "folding",
    "augment",
    "healing",
    "reversal",
    "contrastive",
    "scores",
    "pruning",
    "rates",
    "preview",
    "execution",
    "cuts",
    "prefix",
)
FORBIDDEN_WORDS = ("label", "truth", "attack", "poison", "test")
FORBIDDEN_HOMES = (
    "cnp_engine.attacks",
    "cnp_engine.data",
    "cnp_engine.models",
    "cnp_engine.stages",
    "cnp_engine.algorithms.metrics",
)


def module(name: str) -> Any:
    return importlib.import_module(f"cnp_engine.algorithms.{name}")


def callables(name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function and every method that the module itself defines, private ones too."""
    own = module(name)
    for key, value in vars(own).items():
        if getattr(value, "__module__", None) != own.__name__:
            continue
        if inspect.isclass(value):
            for method, function in vars(value).items():
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function):
                    yield f"{key}.{method}", function
        elif callable(value):
            yield key, value


def mentioned(hint: Any) -> Iterator[str]:
    """Names of all types inside an annotation."""
    for inner in typing.get_args(hint):
        yield from mentioned(inner)
    yield f"{getattr(hint, '__module__', '')}.{getattr(hint, '__qualname__', hint)}"


@pytest.mark.parametrize("name", DECIDING)
def test_no_parameter_could_carry_the_truth(name: str) -> None:
    seen = 0
    for where, function in callables(name):
        seen += 1
        for parameter in inspect.signature(function).parameters:
            assert not any(word in parameter.lower() for word in FORBIDDEN_WORDS), (
                f"{name}.{where}({parameter})"
            )
        for parameter, hint in typing.get_type_hints(inspect.unwrap(function)).items():
            for kind in mentioned(hint):
                assert not kind.startswith(FORBIDDEN_HOMES), f"{name}.{where}: {parameter}: {kind}"
                assert not any(word in kind.lower() for word in FORBIDDEN_WORDS)
    assert seen > 0


@pytest.mark.parametrize("name", DECIDING)
def test_no_name_of_the_module_comes_from_where_the_truth_lives(name: str) -> None:
    for key, value in vars(module(name)).items():
        if key.startswith("__"):
            continue
        home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
        assert not str(home).startswith(FORBIDDEN_HOMES), f"{name}.{key} is of {home}"
        assert not any(word in key.lower() for word in ("truth", "attack")), key


def test_the_checks_would_see_it() -> None:
    """Ground truth is found where it may be: in metrics."""
    parameters = inspect.signature(metrics.measure).parameters
    assert any(word in name for name in parameters for word in FORBIDDEN_WORDS)
    hints = typing.get_type_hints(inspect.unwrap(metrics.measure))
    assert any(
        kind.startswith(FORBIDDEN_HOMES) for hint in hints.values() for kind in mentioned(hint)
    )
    assert vars(metrics)["GroundTruth"].__module__.startswith(FORBIDDEN_HOMES)
