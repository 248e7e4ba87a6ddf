"""Packaging of keras-se. The folder `export` at the top is installed as the package `keras_se.export`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (here / "keras_se/version.py").read_text()).group(1)

# The lower bounds are versions that the tests passed with, together: `make test-lowest` runs them.
tensorflow = ["tensorflow>=2.20"]
tflite = [*tensorflow, "ai-edge-litert>=2.3", "ai-edge-quantizer>=0.10"]
onnx = [*tensorflow, "tf2onnx>=1.17", "onnx>=1.19", "onnxruntime>=1.23"]
report = ["jinja2>=3.1.2", "matplotlib>=3.10"]
export = [*tflite, *onnx, *report]
weights = ["huggingface_hub>=0.30", "pillow>=11.0", "safetensors>=0.5"]
ethos_u = ["ethos-u-vela>=5.2"]
demo = [*export, "pycocotools>=2.0.10", "scikit-learn>=1.6"]
test = [
    *demo,
    *weights,
    "hypothesis>=6.120",
    "jax>=0.10",
    "mypy>=2.4",
    "pytest>=8.3.5",
    "pytest-xdist>=3.6.1",
    "ruff>=0.17",
    "setuptools>=70",
]
# Other frameworks and tools that tests compare with: large, and most changes do not need them.
reference = [
    *test,
    *ethos_u,
    "openvino>=2026.4",
    # The kernels that run on boards, for the one platform that they are published for.
    "tflite-micro; sys_platform == 'linux' and platform_machine == 'x86_64'",
    "torch==2.13.0",  # the version of tests/support/timm_reference, too
]

setup(
    name="keras-se",
    version=version,
    description="Squeeze-and-excitation for Keras: layers, networks, and verified exports to devices",
    long_description=(here / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["keras_se*"], exclude=["keras_se.export*"]),
        *("keras_se.export", *(f"keras_se.export.{name}" for name in find_packages("export"))),
    ],
    # In a clone, keras_se/export is a symbolic link to export. Builds do not depend on the link.
    package_dir={"keras_se": "keras_se", "keras_se.export": "export"},
    package_data={
        "keras_se": ["py.typed", "models/__init__.pyi"],
        "keras_se.export.microcontroller": ["templates/*"],
        "keras_se.export.report": ["report.html.j2"],
        "keras_se.weights": ["imagenet_classes.txt"],
    },
    install_requires=["click>=8.1.8", "keras>=3.12", "numpy>=2.1", "packaging>=24.0", "rich>=14.0"],
    extras_require={
        "tensorflow": tensorflow,
        "tflite": tflite,
        "onnx": onnx,
        "report": report,
        "export": export,
        "weights": weights,
        "torch": ["torch>=2.13"],
        "ethos-u": ethos_u,
        "demo": demo,
        "test": test,
        "reference": reference,
    },
    entry_points={"console_scripts": ["keras-se=keras_se.cli:main"]},
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
