"""When a device is there, one pattern a file."""
