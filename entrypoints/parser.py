"""Reads a command line, and says in one line what is wrong with it, without its values: each may be a secret."""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from entrypoints.nearest import nearest

_EXIT_USAGE = 2
_FLAG = re.compile(r"--[A-Za-z][\w-]*|-[A-Za-z]")


class Parser(ArgumentParser):
    """No flag may be abbreviated; one that is not known is named, with the nearest known one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self._given: Sequence[str] = ()

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> Namespace:  # type: ignore[override]
        """What is given, a command and its own arguments included; else the program ends with exit code 2."""
        return self.parse_known_args(args, namespace)[0]

    def parse_known_args(self, args: Sequence[str], namespace: Any = None) -> tuple[Namespace, list[str]]:  # type: ignore[override]
        """The same: nothing is left over."""
        self._given = args
        parsed, left_over = super().parse_known_args(args, namespace)
        if left_over:
            self.error("an argument too many")
        return parsed, left_over

    def error(self, message: str) -> NoReturn:
        for flag in self._flags():
            if flag not in self._option_string_actions:
                message = f"unknown flag {flag}{nearest(flag, self._option_string_actions)}"
                if commands := self._commands_with(flag):
                    message = f"{flag} is a flag of {' and '.join(commands)}, and goes behind the command"
                break
        else:
            message = re.sub("ignored explicit argument.*", "takes no value", message, flags=re.DOTALL)
            # A wrong command or action is named, unless it looks like a URL: that may hold a password.
            message = re.sub(r"[^\s='\"]*(:/|:\S*@).*", "...", message, flags=re.DOTALL)
        self.exit(_EXIT_USAGE, f"kv-updater: {message} ({self.prog} --help lists what is known)\n")

    def _commands_with(self, flag: str) -> list[str]:
        commands = [action.choices for action in self._actions if isinstance(action.choices, dict)]
        return [name for each in commands for name, parser in each.items() if flag in parser._option_string_actions]  # noqa: SLF001

    def _flags(self) -> Iterator[str]:
        """The flags that are given to this parser, without values: not those behind a command, which has its own."""
        arguments = iter(self._given)
        for argument in arguments:
            flag = _FLAG.match(argument)
            if argument == "--" or (flag is None and self._subparsers is not None):
                return
            if flag is not None:
                yield flag[0]
                action = self._option_string_actions.get(argument)
                if action is not None and action.nargs != 0:
                    next(arguments, None)
