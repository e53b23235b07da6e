"""The seam: a run as its server and its clients see it, between time and learning."""
