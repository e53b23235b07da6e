"""The border: YAML files and options become checked values in SI units, or an error."""
