"""The stages of a run, in the order METHOD section 3 gives them.

Each is a generator of events that returns its result, writes its artifact before the event that
announces it, and takes the artifact over where an earlier worker left one.
"""
