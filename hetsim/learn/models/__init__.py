"""Models, one file each; a plug-in is a function of shape and classes that returns a module."""
