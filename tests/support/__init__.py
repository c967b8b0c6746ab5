"""What the tests share: the user at the login node, the two runs of a pipeline, faults, a simulator, a terminal."""
