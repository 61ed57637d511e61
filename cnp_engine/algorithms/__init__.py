"""The science, METHOD sections 2 to 5: tensors in, values and progress out.

Nothing here opens a file, reads a clock or knows an attack. Long computations are generators:
they yield :class:`cnp_engine.events.Progress` and return their result (``result = yield from``).
"""
