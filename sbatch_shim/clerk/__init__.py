"""The clerk: a process that queues the calls of a burst, so that they need not start Python."""
