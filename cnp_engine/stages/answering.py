"""Answer a slider: the model with exactly k neurons pruned, as the curve measures it."""

from __future__ import annotations

from cnp_engine import runtime
from cnp_engine.algorithms.metrics import measure
from cnp_engine.algorithms.overlay import pruned_mask
from cnp_engine.algorithms.pruning import Judge
from cnp_engine.errors import SettingInvalid
from cnp_engine.events import Evaluated, Measured
from cnp_engine.stages.material import Clock
from cnp_engine.stages.session import Session


def check(session: Session, k: int) -> None:
    """Raises SettingInvalid for a number of neurons that the network does not have."""
    if not 0 <= k <= session.neurons:
        raise SettingInvalid(
            f"{k} neurons cannot be pruned: the network has {session.neurons}.",
            f"Give a number from 0 to {session.neurons}.",
        )


class Answers:
    """Measures on the images that chose, and on the sample behind the curve's own figures."""

    def __init__(self, session: Session) -> None:
        material, truth = session.material, session.evidence.truth
        draws = runtime.generator(material.config.seed, "curve")
        self._session = session
        self._judge = Judge(material.network, material.select, session.triggers)
        self._order_N = session.scores.order_N.to(material.network.device)
        self._sample = (
            None if truth is None else truth.subset(material.config.sweep.measured_images, draws)
        )

    def evaluate(self, k: int) -> Evaluated:
        clock = Clock()
        network = self._session.material.network
        point = self._judge.point(k, self._order_N)
        measured = Measured()
        if self._sample is not None:
            mask_N = pruned_mask(self._order_N, k)
            measured = measure(network, self._sample, mask_N, exact=False)
        return Evaluated(k, point.label_free, measured, clock.seconds)
