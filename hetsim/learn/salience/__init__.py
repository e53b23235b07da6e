"""Which output channels of a model's layers matter most, and how to find out."""
