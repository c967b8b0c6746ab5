"""Modules and regular expressions of which most calls of a companion use few: made when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import json as json
    import re as re
    from typing import AnyStr

    def pattern(text: AnyStr) -> re.Pattern[AnyStr]:
        """A regular expression, with its flags at its front: `(?ms)...`."""
else:

    class Module:
        """A module that is imported by the first look into it."""

        def __init__(self, name):
            self._name = name

        def __getattr__(self, attribute):
            self.__dict__.update(vars(__import__(self._name)))
            return self.__dict__[attribute]

    json, re = Module("json"), Module("re")

    class pattern:
        """A regular expression that is compiled by its first use."""

        def __init__(self, text):
            self._text = text

        def __getattr__(self, attribute):
            found = self.__dict__[attribute] = getattr(re.compile(self._text), attribute)
            return found
