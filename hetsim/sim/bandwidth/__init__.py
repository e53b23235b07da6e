"""Bandwidths that change with time, one kind a file."""
