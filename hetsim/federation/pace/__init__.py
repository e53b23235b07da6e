"""Paces, one a file: when the server waits and when it goes on."""
