"""Federated learning methods, one a file."""
