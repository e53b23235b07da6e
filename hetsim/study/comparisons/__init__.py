"""Comparisons with measurements and oracles, one a file; reports are built from their tables.

A comparison is a function called like its file. It is given the folder of measured data and its
settings, and returns tables: {"name": [{"column": value}, ...]}.
"""
