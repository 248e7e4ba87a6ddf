"""The import graph: each family of networks is a file that stands on the shared pieces, and on no other family."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import keras_se

PACKAGE = Path(keras_se.__file__).parent
MODELS = "keras_se.models"
FAMILIES = {
    *("densenet", "inception", "inception_resnet", "mobilenet", "mobilenet_v2", "mobilenet_v3"),
    *("preact_resnet", "resnet", "senet", "shufflenet", "vgg"),
}
# And what works on every network.
SHARED = {
    *("blocks", "branches", "builder", "excite", "inverted_residual", "network", "pyramid", "residual"),
    *("detection", "detection_decoding", "detection_loss", "detection_targets", "segmentation"),
}
LONGEST = 300


def files(folder: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted((PACKAGE / folder).glob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it, with the names that are taken from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def models_imported(path: Path) -> set[str]:
    """The files of `keras_se.models` that a file imports; `__init__` if it imports the package itself."""
    taken = [module.split(".")[2:] for module in imports(path) if within(module, (MODELS,))]
    return {names[0] if names and names[0] in files("models") else "__init__" for names in taken}


def test_every_file_is_a_family_or_shared() -> None:
    assert set(files("models")) == FAMILIES | SHARED | {"__init__"}


def test_every_builder_is_in_the_file_of_a_family() -> None:
    from keras_se import models

    builders = [getattr(models, name) for name in models.BUILDERS]
    assert {builder.__module__ for builder in builders} == {f"{MODELS}.{family}" for family in FAMILIES}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_family_imports_the_shared_pieces_and_no_other_family(family: str) -> None:
    path = files("models")[family]
    assert models_imported(path) <= SHARED
    assert {"builder", "excite", "network"} <= models_imported(path)
    own = [module for module in imports(path) if within(module, ("keras_se",))]
    assert [module for module in own if not within(module, (MODELS, "keras_se.layers"))] == []


@pytest.mark.parametrize("shared", sorted(SHARED))
def test_what_is_shared_imports_no_family(shared: str) -> None:
    assert models_imported(files("models")[shared]) <= SHARED


@pytest.mark.parametrize("name", sorted(files("models/generative")))
def test_what_makes_images_imports_the_shared_pieces_and_itself(name: str) -> None:
    own = [module for module in imports(files("models/generative")[name]) if within(module, ("keras_se",))]
    allowed = (f"{MODELS}.generative", "keras_se.layers", *(f"{MODELS}.{shared}" for shared in SHARED))
    assert [module for module in own if not within(module, allowed)] == []


@pytest.mark.parametrize("name", sorted(files("layers")))
def test_layers_import_layers_alone(name: str) -> None:
    own = [module for module in imports(files("layers")[name]) if within(module, ("keras_se",))]
    assert [module for module in own if not within(module, ("keras_se.layers",))] == []


@pytest.mark.parametrize("folder", ["layers", "models", "models/generative"])
def test_nothing_imports_what_stands_on_it(folder: str) -> None:
    above = tuple(
        f"keras_se.{name}" for name in ("export", "weights", "cli", "commands", "console", "catalog", "doctor")
    )
    above += ("tensorflow", "jax", "torch")
    # A builder's `weights` are found by what knows of all networks: it is imported when they are asked for.
    late = {("models", "builder"): ["keras_se.weights.resolve.filler"]}
    for name, path in files(folder).items():
        assert [module for module in imports(path) if within(module, above)] == late.get((folder, name), []), name


@pytest.mark.parametrize("folder", ["models", "models/generative"])
def test_no_file_is_long(folder: str) -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in files(folder).items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_the_imports_of_a_file_are_found(tmp_path: Path) -> None:
    path = tmp_path / "family.py"
    path.write_text(
        "import keras\nimport keras_se.models.families.resnet\nfrom keras_se.models import vgg, SEResNet\n"
        "def late():\n    from keras_se.models.families.senet import SENet\n    import keras_se.models_of_others\n"
    )
    assert models_imported(path) == {"resnet", "vgg", "senet", "__init__"}
