"""Network families that are recognised from tensor names and shapes alone."""
