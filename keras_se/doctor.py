"""Lists what is installed, what conflicts, and what each missing extra would add."""

import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

DISTRIBUTION = "keras-se"
# The extras of setup.py that users install, and what each adds; the empty name stands for the package itself.
EXTRAS = (
    ("", "layers, networks, complexity"),
    ("tensorflow", "SavedModel files"),
    ("tflite", "TFLite files and C sources for microcontrollers"),
    ("onnx", "ONNX files"),
    ("report", "reports on exported files"),
    ("export", "all formats, and reports"),
    ("weights", "published weights, and images in folders"),
    ("torch", "weights in .pth and .bin files"),
    ("ethos-u", "verdicts of Arm's compiler for Ethos-U"),
)
# Pairs of packages that do not work together, with their versions and the consequence.
CONFLICTS = (
    ("tf2onnx", "<1.17", "numpy", ">=2", "tf2onnx before 1.17 cannot be imported with NumPy 2: no ONNX files."),
    ("tensorflow", "", "tensorflow-cpu", "", "They overwrite each other's files: uninstall one, reinstall the other."),
    ("tensorflow", "", "tf-nightly", "", "They overwrite each other's files: uninstall one, reinstall the other."),
    ("tensorflow", "", "keras", "<3", "TensorFlow with Keras 2 has no keras.ops, which every layer here requires."),
)


@dataclass(frozen=True)
class Package:
    """A package that keras_se uses.

    Attributes:
        name: Its name on PyPI.
        wanted: The versions that keras_se supports, as pip writes them: `>=2.20`.
        found: The installed version, or `None`.
        extras: The extras that require it; the empty name stands for keras_se without extras.
        fits: Whether the installed version is a supported one.
    """

    name: str
    wanted: str
    found: str | None
    extras: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return self.found is not None and SpecifierSet(self.wanted).contains(self.found, prereleases=True)


# Keras requires one of these.
BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Diagnosis:
    """The result of `diagnose`.

    Attributes:
        python, system, cores, backend: The machine, and the backend that Keras will use.
        packages: Every package that keras_se or one of its extras requires.
        extras: For each extra (the empty name: keras_se without extras), whether all its packages are installed.
        problems: A sentence for each problem.
    """

    python: str
    system: str
    cores: int
    backend: str
    packages: tuple[Package, ...]
    extras: Mapping[str, bool]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        packages = [{**asdict(package), "fits": package.fits} for package in self.packages]
        return {**asdict(self), "packages": packages, "extras": dict(self.extras)}


def diagnose(version: Callable[[str], str | None] | None = None, requires: list[str] | None = None) -> Diagnosis:
    """Compares the installed packages with those that keras_se uses, without importing them.

    Example:

    >>> from keras_se.doctor import diagnose
    >>> diagnose().extras[""]
    True

    Args:
        version: A function from a package's name to its installed version or `None`; this environment by default.
        requires: The requirements of keras_se; those in its metadata by default.
    """
    version = version or _installed
    packages = _packages(version, metadata.requires(DISTRIBUTION) or [] if requires is None else requires)
    extras = {
        extra: all(package.fits for package in packages if extra in package.extras)
        for extra, _ in EXTRAS
        if any(extra in package.extras for package in packages)
    }
    old = [
        f"{package.name} must be {package.wanted}. Found: {package.found}."
        for package in packages
        if package.found is not None and not package.fits
    ]
    missing = [f"{package.name} is missing." for package in packages if package.found is None and "" in package.extras]
    if not any(map(version, BACKENDS)):
        missing.append(f"Keras has no backend: install one of {', '.join(BACKENDS)}.")
    elif (chosen := os.environ.get("KERAS_BACKEND")) in BACKENDS and version(chosen) is None:
        missing.append(f"KERAS_BACKEND selects {chosen}, which is missing: install it, or select another.")
    return Diagnosis(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        backend=os.environ.get("KERAS_BACKEND", "as in keras.json, or tensorflow"),
        packages=packages,
        extras=extras,
        problems=(*missing, *old, *_conflicts(version)),
    )


def _packages(version: Callable[[str], str | None], requires: list[str]) -> tuple[Package, ...]:
    found: dict[str, tuple[str, list[str]]] = {}
    for requirement in map(Requirement, requires):
        for extra in _extras_of(requirement):
            _, extras = found.setdefault(requirement.name, (str(requirement.specifier), []))
            extras.append(extra)
    return tuple(
        Package(name, wanted, version(name), tuple(extras)) for name, (wanted, extras) in sorted(found.items())
    )


def _extras_of(requirement: Requirement) -> list[str]:
    """The extras that a requirement belongs to on this machine."""
    if requirement.marker is None:
        return [""]
    environment = {key: str(value) for key, value in default_environment().items()}
    # A marker that names an extra is false for every other extra.
    return [extra for extra, _ in EXTRAS if extra and requirement.marker.evaluate({**environment, "extra": extra})]


def _conflicts(version: Callable[[str], str | None]) -> list[str]:
    sentences = []
    for first, first_versions, second, second_versions, text in CONFLICTS:
        versions = version(first), version(second)
        wanted = SpecifierSet(first_versions), SpecifierSet(second_versions)
        if all(v is not None and w.contains(v, prereleases=True) for v, w in zip(versions, wanted, strict=True)):
            sentences.append(f"{first} {versions[0]} with {second} {versions[1]}: {text}")
    return sentences


def _installed(name: str) -> str | None:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
    return found if re.match(r"\d", found or "") else None
