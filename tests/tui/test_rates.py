"""Rates of a model or a pruning as ``cnp eval`` tells them: each with its own sample."""

from __future__ import annotations

from cnp_engine.actions import _rates
from cnp_engine.algorithms.rates import wilson
from cnp_engine.events import Measured
from cnp_tui.answers import _rate


def test_every_rate_has_the_number_of_its_own_images() -> None:
    """ASR and RA leave the target's own images out."""
    found = _rates(Measured(ba=wilson(981, 1000), asr=wilson(9, 900), ra=wilson(850, 900)))
    assert found["n"] == 1000
    assert found["counts"] == {"ba": 1000, "asr": 900, "ra": 900}
    assert _rate(found, "ba").endswith("n = 1000)")
    assert _rate(found, "asr") == "1.0 % (0.5 to 1.9, n = 900)"
    assert _rates(Measured(ba=wilson(1, 2)))["counts"] == {"ba": 2}
