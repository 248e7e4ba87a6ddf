"""Makes a builder from the function that builds a family's layers: one signature, one docstring, one set of checks.

The signature is that of `keras.applications`, with the family's options and those of SE. It is made at run time, so
`models/__init__.pyi` repeats it for editors and mypy; `make stub` writes that file.
"""

import difflib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter, Signature
from os import PathLike
from typing import Any

import keras

from keras_se.models._shared.excite import PLACEMENTS, excite, of_ratio
from keras_se.models._shared.network import network


def _parameters(function: Callable[..., Any], kind: Any) -> dict[str, Parameter]:
    return {p.name: p for p in inspect.signature(function).parameters.values() if p.kind is kind}


def _shared(
    include_top: bool = True,
    weights: str | PathLike[str] | keras.Model | None = None,
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    name: str | None = None,
    *,
    r: int | None = 16,
    se: Callable[[int], keras.layers.Layer | None] | None = None,
    placement: str = "standard",
) -> None:
    """The arguments that every builder takes."""


# The arguments of `keras.applications`, in its order, and those that this package adds.
APPLICATIONS = _parameters(_shared, Parameter.POSITIONAL_OR_KEYWORD)
EXCITATION = _parameters(_shared, Parameter.KEYWORD_ONLY)
# In the MobileNets of `keras.applications` these follow the image's shape and the width multiplier.
AFTER_WIDTH = ("include_top", "weights", "input_tensor", "pooling", "classes", "classifier_activation", "name")

ARGUMENTS = """\
include_top: Whether the network ends in its classifier.
weights: `None` (random); a `.weights.h5` file of this network, built with the same options (strides, padding, gates),
    since the file does not record them; published weights: a `.safetensors` or `.pth` file, a folder in the hub's
    format, or an address like `"hf://timm/legacy_seresnet50.in1k"` (see `keras_se.weights`); or `"imagenet"`, or a
    network of `keras.applications`, if it has this one. These two have no SE: `r` must be `None`, or the gate must be
    `keras_se.layers.twice_sigmoid`, with which SE changes nothing at first.
input_tensor: The output of `keras.Input` or of a layer, to build on; or `None`.
input_shape: (height, width, channels), of {smallest} pixels or more{more}, {size}x{size}x3 by default.
    Without the classifier, height and width are unknown by default. One or more channels.
pooling: Without the classifier: `None` (a feature map), `"avg"` or `"max"`.
classes: Positive integer, the number of classes.
classifier_activation: An activation, by name or as a function; `None` for logits.
name: The model's name.
r: Positive integer, the reduction ratio, or `None` for the plain network.
se: A callable, stage (1, 2, …) → a new layer or `None`, for any other excitation. It takes precedence over `r`.
placement: {placements}.
"""
RETURNS = """\
Returns:
    A functional `keras.Model`.

Raises:
    ValueError: for an argument out of its range.
    TypeError: for an unknown argument.
"""

# What other libraries call the arguments.
COMMON_NAMES = {
    "num_classes": "classes",
    "reduction": "r",
    "reduction_ratio": "r",
    "ratio": "r",
    "pretrained": "weights",
}


@dataclass(frozen=True)
class Settings:
    """A builder's defaults, and what else differs from one builder to the next.

    Attributes:
        name: Default name of the model.
        size: Default height and width of the image.
        min_size: The smallest height and width: a number, or a function of the family's options.
        classes: Default number of classes.
        r: Default reduction ratio.
        placements: The placements of SE that the network supports.
        layer: (reduction ratio, channels) → the network's standard excitation.
        positional: The positional arguments in their order: those of `keras.applications` and some of the family's
            options.
    """

    name: str
    size: int = 224
    min_size: int | Callable[..., int] = 32
    classes: int = 1000
    r: int = 16
    placements: tuple[str, ...] = PLACEMENTS
    layer: Callable[[int, int], keras.layers.Layer] = of_ratio
    positional: tuple[str, ...] = tuple(APPLICATIONS)


def builder(name: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., keras.Model]]:
    """Makes a builder from a function that builds a network's layers.

    The function takes (image, se, *, options) and returns (feature map, head): `se` is an `Excite`, and the head a
    function (feature map, classes, activation) → output. The builder takes the function's options, the arguments of
    `keras.applications`, and `r`, `se` and `placement`. Its docstring is the function's: the line `{arguments}` becomes
    the description of the arguments that all builders have, `{returns}` that of what they return and raise.
    """
    return lambda function: _make(function, Settings(name, **settings), function.__name__, function.__doc__ or "", {})


def variant(
    family: Callable[..., keras.Model], title: str, doc: str, settings: dict[str, Any], **fixed: Any
) -> Callable[..., keras.Model]:
    """A builder with some options of another one fixed, as `SEResNet50` is of `SEResNet`.

    Args:
        family: A builder that `builder` made.
        title: The new builder's name.
        doc: Its description, in a sentence.
        settings: Where its `Settings` differ.
        **fixed: The options that it sets, and no longer takes.
    """
    function, base = family.definition  # type: ignore[attr-defined]
    options = [name for name in _parameters(function, Parameter.KEYWORD_ONLY) if name not in fixed]
    new = replace(base, positional=tuple(n for n in base.positional if n not in fixed), **settings)
    doc = f"{doc}\n\n    Args:\n        {{arguments}}\n"
    doc += f"        {', '.join(options)}: As in `{family.__name__}`.\n" if options else ""
    return _make(function, new, title, f"{doc}\n    {{returns}}\n    ", fixed)


def _make(
    function: Callable[..., Any], settings: Settings, title: str, doc: str, fixed: dict[str, Any]
) -> Callable[..., keras.Model]:
    every = _parameters(function, Parameter.KEYWORD_ONLY)
    free = {name: parameter for name, parameter in every.items() if name not in fixed}
    signature = _signature(free, settings)

    def build(*args: Any, **kwargs: Any) -> keras.Model:
        _check_names(title, kwargs, signature)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        options = fixed | {name: arguments[name] for name in free}
        load_weights = None
        if arguments["weights"] is not None:
            from keras_se.weights.resolve import weight_loader  # imported late: weights import models

            load_weights = weight_loader(arguments["weights"], title, options, arguments["include_top"])
        placed = excite(
            **{name: arguments[name] for name in EXCITATION}, placements=settings.placements, layer=settings.layer
        )
        return network(
            lambda image: function(image, placed, **options),
            **{name: arguments[name] for name in APPLICATIONS if name != "weights"},
            load_weights=load_weights,
            size=settings.size,
            min_size=_smallest(settings, options),
        )

    build.__name__ = build.__qualname__ = title
    build.__module__ = function.__module__
    build.__doc__ = _documented(doc, settings, {name: p.default for name, p in free.items()} | fixed)
    build.__signature__ = signature  # type: ignore[attr-defined]
    build.definition = (function, settings) if not fixed else None  # type: ignore[attr-defined]
    return build


def _signature(options: dict[str, Parameter], settings: Settings) -> Signature:
    parameters = {**APPLICATIONS, **options, **EXCITATION}
    defaults = {"classes": settings.classes, "name": settings.name, "r": settings.r}
    for name, default in defaults.items():
        parameters[name] = parameters[name].replace(default=default)
    keywords = [name for name in parameters if name not in settings.positional]
    return Signature(
        [
            *(parameters[name].replace(kind=Parameter.POSITIONAL_OR_KEYWORD) for name in settings.positional),
            *(parameters[name].replace(kind=Parameter.KEYWORD_ONLY) for name in keywords),
        ],
        return_annotation=keras.Model,
    )


def _check_names(title: str, given: dict[str, Any], signature: Signature) -> None:
    for name in given:
        if name not in signature.parameters:
            near = COMMON_NAMES.get(name) or next(iter(difflib.get_close_matches(name, signature.parameters)), None)
            hint = f" Did you mean {near}?" if near in signature.parameters else ""
            raise TypeError(f"{title} has no argument {name!r}.{hint} It takes: {', '.join(signature.parameters)}.")


def _smallest(settings: Settings, options: dict[str, Any]) -> int:
    return settings.min_size if isinstance(settings.min_size, int) else settings.min_size(**options)


def _documented(doc: str, settings: Settings, options: dict[str, Any]) -> str:
    known = {name: value for name, value in options.items() if value is not Parameter.empty}
    few, many = (_smallest(settings, {"depths": (1,) * stages, **known}) for stages in (1, 10))
    arguments = ARGUMENTS.format(
        size=settings.size,
        smallest=f"{few}x{few}",
        more=" (with many stages, more)" if many > few else "",
        placements=", ".join(f'`"{name}"`' for name in settings.placements),
    )
    for field, indent, text in (("{arguments}", 8, arguments), ("{returns}", 4, RETURNS)):
        doc = doc.replace(field, textwrap.indent(text, " " * indent).strip())
    return doc
