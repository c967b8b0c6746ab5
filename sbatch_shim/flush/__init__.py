"""sarray-flush: claim, merge, submit, record, recover."""
