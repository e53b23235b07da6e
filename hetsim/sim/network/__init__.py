"""Network technologies, one a file."""
