"""Selection policies, one a file: who takes part in a round."""
