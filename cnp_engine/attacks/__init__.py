"""Known attacks as pure functions of an image batch: they measure and train, and decide nothing.

Reads no file: `cnp_engine.data.attack_file` builds these from an attack.toml or a trigger file.
"""

from cnp_engine.attacks.frequency import Additive, Fourier, low_frequency
from cnp_engine.attacks.goals import AllToAll, Several
from cnp_engine.attacks.input_aware import InputAware
from cnp_engine.attacks.protocol import NO_AIM, Attack
from cnp_engine.attacks.recorded import Recorded
from cnp_engine.attacks.reflection import Reflection
from cnp_engine.attacks.static import BadNets, Blend, FourCorners, NoiseBlend, Sinusoid, place
from cnp_engine.attacks.warp import Warp, warp_field

__all__ = [
    "NO_AIM",
    "Additive",
    "AllToAll",
    "Attack",
    "BadNets",
    "Blend",
    "FourCorners",
    "Fourier",
    "InputAware",
    "NoiseBlend",
    "Recorded",
    "Reflection",
    "Several",
    "Sinusoid",
    "Warp",
    "low_frequency",
    "place",
    "warp_field",
]
