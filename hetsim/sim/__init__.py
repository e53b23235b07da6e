"""The time plane: when things happen and how many joules they take. No tensor in it."""
