"""What screens are put together from. A widget knows values, never a run, a file or a process."""
