"""How single values of a query are read, and refused."""

from collections.abc import Mapping
from typing import Final, TypeVar

LONGEST_NUMBER: Final = 5  # digits

Choice = TypeVar("Choice")


class BadQuery(ValueError):
    """A value that is refused with status 400; the text says which, what was expected and what
    came."""


def whole(given: Mapping[str, str], name: str, *, lowest: int, highest: int) -> int | None:
    """A whole number, None where the parameter is absent."""
    if (text := given.get(name)) is None:
        return None
    is_number = text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    if not (is_number and lowest <= int(text) <= highest):
        label = name.replace("_", " ").capitalize()
        raise BadQuery(
            f"{label} is invalid. Allowed range {lowest} to {highest}. Given {text[:40]}."
        )
    return int(text)


def choice(given: Mapping[str, str], name: str, choices: Mapping[str, Choice]) -> Choice:
    """The value that is chosen; the first where the parameter is absent."""
    text = given.get(name, next(iter(choices)))
    if text not in choices:
        raise BadQuery(f"{name} is one of {', '.join(choices)}. Given: {text[:40]}.")
    return choices[text]
