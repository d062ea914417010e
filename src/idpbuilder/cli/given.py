"""What the user gave: the flag, else its variable, else the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from idpbuilder.cli.command import Flag
from idpbuilder.cli.values import boolean
from idpbuilder.errors import UsageError
from idpbuilder.push.asked import parsed

T = TypeVar("T")
D = TypeVar("D")


class Given:
    """The flags of one call, and the variables that stand in for those which are missing."""

    def __init__(
        self, flags: Mapping[str, Flag], values: Mapping[str, object], environ: Mapping[str, str]
    ) -> None:
        self._flags = flags
        self._values = values
        self._environ = environ

    def value(self, name: str, parse: Callable[[str], T], default: D, hint: str = "") -> T | D:
        """The parsed value of a flag or its variable; `hint` helps where `parse` has none.

        Raises UsageError, naming the flag or the variable, and the value.
        """
        flag = self._flags[name]
        text = self._values.get(name)
        if isinstance(text, str):
            return parsed(text, f"`{flag.long_name}`", parse, hint)
        text = self._environ.get(flag.variable) if flag.variable else None
        return parsed(text, flag.variable, parse, hint) if text else default

    def secret(self, name: str) -> str | None:
        """The value of a flag or its variable, as it is. Raises UsageError for an empty flag."""
        flag = self._flags[name]
        text = self._values.get(name)
        if text == "":
            raise UsageError(
                f"`{flag.long_name}` is empty", hint="give it a value, or leave it out"
            )
        if isinstance(text, str):
            return text
        return self._environ.get(flag.variable) or None

    def switch(self, name: str) -> bool:
        """Whether a flag is there, or its variable is true. Raises UsageError."""
        return self.has(name) or self.variable_switch(name)

    def has(self, name: str) -> bool:
        """Whether a flag without a value is there."""
        return bool(self._values.get(name))

    def is_set(self, name: str) -> bool:
        """Whether a flag with a value is there."""
        return self._values.get(name) is not None

    def variable_switch(self, name: str) -> bool:
        """Whether the flag's variable is true. Raises UsageError."""
        variable = self._flags[name].variable
        text = self._environ.get(variable) if variable else None
        return parsed(text, variable, boolean) if text else False
