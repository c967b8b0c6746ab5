"""Calls in, arrays out: pure but for the links of log files."""
