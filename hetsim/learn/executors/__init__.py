"""Executors, one file each; a plug-in is a class with the methods of `base.Executor`."""
