"""
What stands between the values that Slurm prints for us.

A job's name or comment may hold any character, control characters too. So each separator ends in letters that are new
in each run: nobody can have put them into a value, be it by accident or to show rows of their own making.
"""

import os

_NEW = os.urandom(4).hex()

# In front of a row, between its fields, and behind it.
START, FIELD, END = f"\x1d{_NEW}", f"\x1f{_NEW}", f"\x1e{_NEW}"
