"""DVFS governors, one a file."""
