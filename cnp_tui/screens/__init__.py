"""One module a screen; each shows snapshots of a run and asks through its link, nothing else."""
