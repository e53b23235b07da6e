"""Vocabulary of both planes: quantities, costs, Refs, names, traces. Standard library and NumPy."""
