"""Images: where they come from, which of them a run may use, and how a network wants them.

Knows no run and no use for a label. `sources` opens, `split` draws, `normalize` preprocesses.
"""
