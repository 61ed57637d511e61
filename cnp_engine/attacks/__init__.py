"""Known attacks as pure functions of an image batch: they measure and train, and decide nothing.

Reads no file: `cnp_engine.data.attack_file` builds these from an attack.toml or a trigger file.
"""

from cnp_engine.attacks.static import Attack, BadNets, Blend, NoiseBlend, Sinusoid

__all__ = ["Attack", "BadNets", "Blend", "NoiseBlend", "Sinusoid"]
