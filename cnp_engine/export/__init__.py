"""What a run leaves behind: files and a report, as text and bytes.

Knows the figures and the facts of a run. Must not know how they came about, and opens no file:
every function returns what `RunDirectory.write` is to write. Only ``pictures`` (and ``files``,
which gathers everything a pipeline calls) touch torch; the rest is light.
"""
