"""sarray and its verbs."""
