"""
Dataclasses without the standard module, whose import and generated methods cost a companion half of its start.

A type checker sees the standard ones. At run time there is one `__init__` for all classes, and no code is generated.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from functools import cached_property as cached_property
else:

    class field:
        """What a field is by default; made anew for each object."""

        def __init__(self, default_factory):
            self.make = default_factory

    class cached_property:
        """A property that is computed once, and then stands in the object's own dict."""

        def __init__(self, compute):
            self.compute = compute
            self.__doc__ = compute.__doc__

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, one, owner=None):
            if one is None:
                return self
            found = one.__dict__[self.name] = self.compute(one)
            return found

    def dataclass(cls=None, *, frozen=False, eq=True):
        """The standard decorator, for the arguments that are used here."""
        if cls is None:
            return lambda given: dataclass(given, frozen=frozen, eq=eq)
        names = {}
        for base in reversed(cls.__mro__):
            if base is cls or "_names" in base.__dict__:
                own = dict(getattr(base, "__annotations__", {}))
                names.update((name, None) for name, kind in own.items() if not str(kind).startswith("ClassVar"))
        cls._names = tuple(names)
        cls._known = names.keys()
        cls._defaults = {name: getattr(cls, name) for name in names if hasattr(cls, name)}
        for name, default in cls._defaults.items():
            if isinstance(default, field) and name in cls.__dict__:
                delattr(cls, name)
        # A factory that was taken off a base is known by the base's table only.
        for base in cls.__mro__[1:]:
            for name, default in base.__dict__.get("_defaults", {}).items():
                cls._defaults.setdefault(name, default)
        cls.__init__ = fill
        cls.__repr__ = show
        after = getattr(cls, "__post_init__", None)
        cls._after = None if after is None else staticmethod(after)
        if eq:
            cls.__eq__ = same
            cls.__hash__ = code if frozen else None
        if frozen:
            cls.__setattr__ = cls.__delattr__ = refuse
        return cls

    def fill(self, *values, **named):
        state = self.__dict__
        names = self._names
        count = len(names)
        state.update(zip(names, values))
        if named:
            state.update(named)
        if len(state) != len(values) + len(named) or not named.keys() <= self._known:
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}")
        if len(state) < count:
            for name, default in self._defaults.items():
                if name not in state:
                    state[name] = default.make() if isinstance(default, field) else default
            if len(state) < count:
                raise TypeError(f"{type(self).__name__} takes {', '.join(names)}")
        if self._after is not None:
            self._after(self)

    def values_of(one):
        state = one.__dict__
        return [state[name] for name in one._names]

    def show(self):
        shown = (f"{name}={value!r}" for name, value in zip(self._names, values_of(self)))
        return f"{type(self).__name__}({', '.join(shown)})"

    def same(self, other):
        if type(other) is type(self):
            return values_of(self) == values_of(other)
        return NotImplemented

    def code(self):
        return hash(tuple(values_of(self)))

    def refuse(self, name, value=None):
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set")

    def replace(one, **changes):
        """A copy with other values."""
        return type(one)(**{**dict(zip(one._names, values_of(one))), **changes})
