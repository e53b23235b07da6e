"""Data sets, one file each; a plug-in is a function of a folder that returns a `Dataset`."""
