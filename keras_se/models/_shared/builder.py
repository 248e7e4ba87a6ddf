"""The one signature of all builders: that of `keras.applications`, with the options of SE."""

import difflib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter, Signature
from typing import Any

import keras

from keras_se.models._shared.excite import PLACEMENTS, excite, of_ratio
from keras_se.models._shared.network import network

# What `keras.applications` takes, in its order, and what this package adds.
APPLICATIONS: dict[str, Any] = {
    "include_top": True,
    "weights": None,
    "input_tensor": None,
    "input_shape": None,
    "pooling": None,
    "classes": 1000,
    "classifier_activation": "softmax",
    "name": None,
}
# The MobileNets begin with the image's shape and their width, and go on with these.
AFTER_WIDTH = ("include_top", "weights", "input_tensor", "pooling", "classes", "classifier_activation", "name")
EXCITATION: dict[str, Any] = {"r": 16, "se": None, "placement": "standard"}

ARGUMENTS = """\
include_top: Whether the network ends in its classifier.
weights: `None` (random); a `.weights.h5` file of this network, whose options (strides, padding, gates) are yours to
    give again: it holds none; published ones, as a `.safetensors` or `.pth` file, a folder in the hub's format, or an
    address like `"hf://timm/legacy_seresnet50.in1k"` (`keras_se.weights` says more);
    `"imagenet"`, or a network of `keras.applications`, where it has this one. SE whose gate is
    `keras_se.layers.twice_sigmoid` then changes nothing at first; for another, `r` must be `None`.
input_tensor: What `keras.Input` or a layer returned, to build on; or `None`.
input_shape: (height, width, channels), of {smallest} pixels or more{more}, {size}x{size}x3 by default;
    without the classifier, of unknown size by default. One or more channels.
pooling: Without the classifier: `None` (a feature map), `"avg"` or `"max"`.
classes: Number of classes.
classifier_activation: What `keras.activations.get` takes; `None` for logits.
name: The model's name.
r: Positive integer, the reduction ratio, or `None` for the plain network.
se: A callable, stage (1, 2, …) → a new layer or `None`, for any other excitation. It wins over `r`.
placement: {placements}.
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
    """What differs between builders, beside the layers.

    Attributes:
        name: Of the model.
        size: Height and width of the image by default.
        min_size: The least height and width, a number or a function of the builder's own options.
        classes: Their number by default.
        r: The reduction ratio by default.
        placements: Where the network can have SE.
        layer: Its excitation, of a reduction ratio and a number of channels.
        positional: The positional arguments in their order: those of `keras.applications` and some of the
            builder's own.
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
    """Makes a builder of a function that builds a network's layers.

    The function takes (image, se, *, its own options) and returns (feature map, head): `se` is an `Excite`, and the
    head a function (feature map, classes, activation) → output. The builder takes the function's options, those of
    `keras.applications`, and `r`, `se` and `placement`. Its docstring is the function's, where the line
    `{arguments}` stands for the description of what all builders have.
    """
    return lambda function: _make(function, Settings(name, **settings), function.__name__, function.__doc__ or "", {})


def variant(
    base: Callable[..., keras.Model], title: str, doc: str, settings: dict[str, Any], **fixed: Any
) -> Callable[..., keras.Model]:
    """A builder with some options of another one fixed, as `SEResNet50` is of `SEResNet`.

    Args:
        base: What `builder` made.
        title: The new builder's name.
        doc: What it is, in a sentence.
        settings: Where its `Settings` differ.
        **fixed: The options, which it does not take any more.
    """
    function, old = base.family  # type: ignore[attr-defined]
    own = [name for name in _options(function) if name not in fixed]
    new = replace(old, positional=tuple(n for n in old.positional if n not in fixed), **settings)
    doc = f"{doc}\n\n    Args:\n        {{arguments}}\n"
    doc += f"        {', '.join(own)}: As in `{base.__name__}`.\n" if own else ""
    return _make(function, new, title, f"{doc}\n    Returns:\n        A functional `keras.Model`.\n    ", fixed)


def _make(
    function: Callable[..., Any], settings: Settings, title: str, doc: str, fixed: dict[str, Any]
) -> Callable[..., keras.Model]:
    own = {name: default for name, default in _options(function).items() if name not in fixed}
    changed = {"classes": settings.classes, "name": settings.name, "r": settings.r}
    signature = _signature({**APPLICATIONS, **own, **EXCITATION, **changed}, settings.positional)

    def build(*args: Any, **kwargs: Any) -> keras.Model:
        _check_names(title, kwargs, signature)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        options = fixed | {name: arguments[name] for name in own}
        fill = None
        if arguments["weights"] is not None:
            from keras_se.weights.resolve import weight_loader  # imported late: it knows all networks

            fill = weight_loader(arguments["weights"], title, options, arguments["include_top"])
        placed = excite(
            **{name: arguments[name] for name in EXCITATION}, placements=settings.placements, layer=settings.layer
        )
        return network(
            lambda image: function(image, placed, **options),
            **{name: arguments[name] for name in APPLICATIONS if name != "weights"},
            fill=fill,
            size=settings.size,
            min_size=_smallest(settings, options),
        )

    build.__name__ = build.__qualname__ = title
    build.__module__ = function.__module__
    build.__doc__ = doc.replace("{arguments}", _described(settings, {**own, **fixed}))
    build.__signature__ = signature  # type: ignore[attr-defined]
    build.family = (function, settings) if not fixed else None  # type: ignore[attr-defined]
    return build


def _options(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _signature(defaults: dict[str, Any], positional: tuple[str, ...]) -> Signature:
    keywords = [name for name in defaults if name not in positional]
    return Signature(
        [
            *(Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=defaults[name]) for name in positional),
            *(Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name]) for name in keywords),
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


def _described(settings: Settings, options: dict[str, Any]) -> str:
    known = {name: value for name, value in options.items() if value is not Parameter.empty}
    few, many = (_smallest(settings, {"depths": (1,) * stages, **known}) for stages in (1, 10))
    text = ARGUMENTS.format(
        size=settings.size,
        smallest=f"{few}x{few}",
        more=" (with many stages, more)" if many > few else "",
        placements=", ".join(f'`"{name}"`' for name in settings.placements),
    )
    return textwrap.indent(text, "        ").strip()
