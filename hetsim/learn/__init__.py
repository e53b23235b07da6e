"""The learning plane: what is computed, lazily and reproducibly; it knows no clock."""
