"""Argument checks: each returns the checked value, or raises a `ValueError` that names the argument.

The messages have one form: `r must be a positive integer. Received: r=0`. Every package may import this module, which
imports NumPy but not Keras.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from keras_se._text import shown


def positive_integer(name: str, value: Any) -> int:
    return _integer(name, value, 1, "a positive integer")


def non_negative_integer(name: str, value: Any) -> int:
    return _integer(name, value, 0, "an integer of 0 or more")


def positive_integers(name: str, values: Any) -> list[int]:
    """A positive integer for each stage, at least one."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise invalid(name, "a list of positive integers, one for each stage", values)
    return [positive_integer(name, value) for value in values]


def positive_number(name: str, value: Any) -> float:
    if not (is_number(value) and 0 < value < math.inf):
        raise invalid(name, "a finite number greater than 0", value)
    return float(value)


def rate(name: str, value: Any) -> float:
    """A rate of dropout: from 0 to below 1."""
    if not (is_number(value) and 0 <= value < 1):
        raise invalid(name, "a number from 0 to below 1", value)
    return float(value)


def number_between(name: str, value: Any, least: float, most: float, *, whole: bool = False) -> Any:
    """A number within limits; an `int` if it must be whole."""
    if not _is_between(value, least, most, whole):
        noun = "whole number" if whole else "number"
        raise invalid(name, f"a {noun} {_limits(least, most)}", value)
    return int(value) if whole else value


def numbers_between(
    name: str, values: Any, count: int, least: float, most: float, *, whole: bool = False
) -> tuple[Any, ...]:
    """A list or tuple of so many numbers within limits, as a tuple."""
    given = tuple(values) if isinstance(values, tuple | list) else ()
    if len(given) != count or not all(_is_between(value, least, most, whole) for value in given):
        noun = "whole numbers" if whole else "numbers"
        raise invalid(name, f"{count} {noun} {_limits(least, most)}", values)
    return tuple(int(value) for value in given) if whole else given


def one_of(name: str, value: Any, allowed: Iterable[Any], condition: str = "") -> Any:
    """One of the allowed values. `condition` says where they are allowed: `" with quantize='int8'"`."""
    choices = list(allowed)
    if isinstance(value, np.integer):
        value = int(value)
    if isinstance(value, bool) or not any(isinstance(value, type(one)) and value == one for one in choices):
        wanted = ", ".join(map(repr, choices))
        raise invalid(name, f"{'one of ' if len(choices) > 1 else ''}{wanted}{condition}", value)
    return value


def invalid(name: str, wanted: str, value: Any) -> ValueError:
    """The error that every check here raises."""
    return ValueError(f"{name} must be {wanted}. Received: {name}={shown(value)}")


def is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _integer(name: str, value: Any, least: int, wanted: str) -> int:
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise invalid(name, wanted, value)
    return number


def _is_between(value: Any, least: float, most: float, whole: bool) -> bool:
    return is_number(value) and least <= value <= most and (not whole or value == int(value))


def _limits(least: float, most: float) -> str:
    return f"of {least} or more" if most == math.inf else f"from {least} to {most}"
