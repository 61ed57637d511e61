"""Known attacks as pure functions of an image batch: for measuring and for training, never deciding.

Reads no file: `cnp_engine.data.attack_file` builds these from an attack.toml or a trigger file.
"""

from cnp_engine.attacks.static import Attack, Blend, Sinusoid, badnets_patch

__all__ = ["Attack", "Blend", "Sinusoid", "badnets_patch"]
