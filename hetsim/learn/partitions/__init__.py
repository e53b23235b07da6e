"""Partitions, one file each; a plug-in is a frozen dataclass with `base.Partition`'s method."""
