"""Training networks with a planted backdoor, or their clean twins: models to try a defence on.

Knows attacks, images and networks; nothing of runs or of what a defence does.
"""
