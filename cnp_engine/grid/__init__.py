"""A bench as plain data: what a grid file asks for, and tables of what came of it. Light: no torch.

Knows summaries of runs; not how a run or a training is carried out.
"""
