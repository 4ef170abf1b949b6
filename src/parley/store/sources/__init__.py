"""Places that have models: one module for each, imported on use."""
