"""The algorithms against independent float64 arithmetic, brute force, and tables by hand."""
