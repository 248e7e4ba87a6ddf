"""The `keras-se` command. It parses, calls the library and prints; what it can do, the library can."""

import difflib
import errno
import json
import os
import signal
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.filesize import decimal
from rich.table import Table

from keras_se.catalog import NETWORKS
from keras_se.console import Output, is_expected, progress, quiet
from keras_se.version import __version__

if TYPE_CHECKING:
    import keras

    from keras_se.export import Artifact

# `keras_se.export` is imported inside the commands that need it: it needs TensorFlow, which takes seconds to start.

FAILED = 1
WRONG_INPUT = 2
WORK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="keras-se")
@click.pass_context
def cli(context: click.Context) -> None:
    """Squeeze-and-excitation networks for Keras, and their way onto devices.

    MODEL is a .keras file; published weights, as an address like hf://timm/legacy_seresnet50.in1k or a folder in that
    format; or the name of a builder (`keras-se models` lists them). A builder's network has random weights unless
    --weights gives others; they are the same each time, by --seed.
    """


def model_options(command: Any) -> Any:
    """The options of commands that take a MODEL."""
    options = (
        click.option("-r", "r", metavar="INT|none", help="Reduction ratio of a builder's network, or none."),
        click.option("--classes", type=int, help="Classes of a builder's network."),
        click.option("--input-shape", metavar="H,W,C", help="Input shape of a builder's network, or where unknown."),
        click.option("--weights", help="Weights for a builder's network: a file, a folder or an hf:// address."),
        click.option("--seed", type=int, default=0, show_default=True, help="Of a builder's random weights."),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


# `run` reads it before anything else, so that a wrong command line is a document, too.
json_option = click.option("--json", is_flag=True, expose_value=False, help="Print one JSON document and nothing else.")


@cli.command()
@json_option
@click.pass_obj
def models(output: Output) -> None:
    """List the networks that have a builder, and what SE adds to each."""
    table = Table(title="Networks (r = 16, in MobileNetV3 4)", box=SIMPLE_HEAD, pad_edge=False)
    for header in ("builder", "input", "parameters", "SE adds", "GMACs", "SE adds", "reference"):
        left = header in ("builder", "input", "reference")
        table.add_column(header, justify="left" if left else "right", no_wrap=header != "reference")
    rows = []
    for network in NETWORKS:
        rows.append({"input_shape": [network.size, network.size, 3], **vars(network)})
        table.add_row(
            network.builder,
            f"{network.size}x{network.size}",
            f"{network.parameters:,}",
            f"{network.se_parameters / (network.parameters - network.se_parameters):.1%}",
            f"{network.macs / 1e9:.3f}",
            f"{network.se_macs / (network.macs - network.se_macs):.2%}",
            network.reference,
        )
    output.show(rows, table)


@cli.command()
@click.argument("model")
@click.option("--layers", is_flag=True, help="A row for each layer, not for each stage.")
@model_options
@click.pass_obj
def complexity(output: Output, model: str, layers: bool, **build: Any) -> None:
    """Count the parameters and multiply-accumulates of MODEL, and SE's share.

    Counted from the graph: convolutions, dense layers, and of SE its projections and the scaling. With --json every
    layer is listed.
    """
    with quiet(output):
        from keras_se.complexity import complexity as count

        network, shape = load(model, build)
        counted = count(network, shape)
    notes = [f"Not counted, since their kind is not known: {', '.join(counted.uncounted)}"] if counted.uncounted else []
    output.show(counted.to_dict(), counted.table(layers), notes)


@cli.command()
@click.argument("model")
@click.option("-o", "--output", "directory", default=".", show_default=True, help="An existing folder for the files.")
@click.option("-f", "--format", "formats", multiple=True, help="saved_model, tflite or onnx; repeatable. Default: all.")
@click.option(
    "-q",
    "--quantize",
    multiple=True,
    help="none, float16, dynamic, int8 or int16x8, of TFLite files; repeatable. Default: none.",
)
@click.option("--calibration", type=click.Path(), help="An .npy or .npz file of inputs, for int8 and int16x8.")
@click.option("--io-dtype", default="float32", show_default=True, help="Type of a TFLite file's inputs and outputs.")
@click.option("--batch-size", type=int, help="A fixed batch. Default: 1 for TFLite, any for the others.")
@click.option("--opset", type=int, help="ONNX operator set, 13 to 18. Default: 17.")
@click.option("--layout", default="nhwc", show_default=True, help="Of images in an ONNX file: nhwc or nchw.")
@click.option("--verification", type=click.Path(), help="An .npy or .npz file of inputs to verify on.")
@click.option("--preprocessing", is_flag=True, help="Files take pixels from 0 to 255, of published weights' networks.")
@click.option("--no-optimize", is_flag=True, help="Convert the network as it is.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@model_options
@click.pass_obj
def export(
    output: Output,
    model: str,
    directory: str,
    formats: tuple[str, ...],
    quantize: tuple[str, ...],
    calibration: str | None,
    io_dtype: str,
    batch_size: int | None,
    opset: int | None,
    layout: str,
    verification: str | None,
    preprocessing: bool,
    no_optimize: bool,
    force: bool,
    **build: Any,
) -> None:
    """Export MODEL, and verify each file in its own runtime.

    Files are named after the model: NAME_saved_model, NAME.tflite, NAME_int8.tflite, NAME.onnx. `error` is how far a
    file's outputs are from Keras', relative to their spread, and `allowed` what it may be: several times what
    rounding the weights alone does to this network.
    """
    with quiet(output):
        from keras_se.export import FORMATS
        from keras_se.export import export as export_all
        from keras_se.export.export import planned
        from keras_se.export.onnx import DEFAULT_OPSET

        chosen = formats or tuple(FORMATS)
        modes = [None if mode == "none" else mode for mode in quantize] or [None]
        with progress(output) as bar:
            task = bar.add_task(f"loading {model}", total=None)
            network, shape = load(model, build)

            def on_start(path: Path) -> None:
                bar.update(task, description=f"exporting {path.name}", total=total)
                bar.advance(task, 0 if bar.tasks[0].total is None else 1)

            total = len(planned(network.name, directory, [name for name in chosen if name in FORMATS], modes))
            artifacts = export_all(
                network,
                directory,
                chosen,
                quantize=modes,
                calibration_data=calibration,
                io_dtype=io_dtype,
                batch_size=batch_size,
                input_shape=shape,
                opset=DEFAULT_OPSET if opset is None else opset,
                layout=layout,
                optimize=not no_optimize,
                verification_data=verification,
                preprocessing=preprocessing,
                overwrite=force,
                on_start=on_start,
            )
    notes = [f"{artifact.path.name}: {note}" for artifact in artifacts for note in artifact.notes]
    output.show([artifact.to_dict() for artifact in artifacts], parity_table(artifacts), notes)


@cli.command()
@click.argument("file")
@click.argument("model")
@click.option("--data", type=click.Path(), help="An .npy or .npz file of inputs to compare on. Default: random.")
@click.option("--preprocessing", is_flag=True, help="FILE was exported with --preprocessing.")
@click.option("--samples", type=click.IntRange(1), default=8, show_default=True, help="How many random inputs.")
@model_options
@click.pass_obj
@click.pass_context
def verify(
    context: click.Context,
    output: Output,
    file: str,
    model: str,
    data: str | None,
    samples: int,
    preprocessing: bool,
    **build: Any,
) -> None:
    """Compare FILE, in its own runtime, with MODEL. Exit status 1 if it computes something else."""
    with quiet(output):
        from keras_se.export import verify as verify_file

        with progress(output) as bar:
            bar.add_task(f"verifying {Path(file).name}", total=None)
            network, _ = load(model, build)
            artifact = verify_file(file, network, data, samples, preprocessing=preprocessing)
    output.show(artifact.to_dict(), parity_table([artifact]), artifact.notes)
    if artifact.parity is None or not artifact.parity.passed:
        _print_error(output, f"{file} does not compute what {model} computes.")
        context.exit(FAILED)


def load(name: str, options: dict[str, Any]) -> "tuple[keras.Model, tuple[int, ...] | None]":
    """The model of a `.keras` file or a builder's name, and the input shape that was asked for, if any."""
    import keras

    import keras_se.models

    shape = _shape(options["input_shape"])
    keras.utils.set_random_seed(options["seed"])
    builders = [network.builder for network in NETWORKS]
    if name in builders:
        arguments = {key: options[key] for key in ("classes", "weights") if options[key] is not None}
        if options["r"] is not None:
            arguments["r"] = None if options["r"] == "none" else _integer("-r", options["r"])
        return getattr(keras_se.models, name)(input_shape=shape, **arguments), shape
    if name.startswith("hf://") or os.path.isdir(name):
        return _published(name, options, shape), shape
    if not name.endswith(".keras") and not os.path.exists(name):
        lowered = {builder.lower(): builder for builder in builders}
        near = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
        hint = f" The nearest are {', '.join(near)}." if near else ""
        raise ValueError(f"MODEL must be a .keras file or one of the builders. Received: {name!r}.{hint}")
    given = [f"--{key}" if key != "r" else "-r" for key in ("r", "classes", "weights") if options[key] is not None]
    if given:
        raise ValueError(f"{', '.join(given)} goes with a builder's name, not with a file. Received: MODEL={name!r}")
    return _read_keras_file(name), shape


def _published(address: str, options: dict[str, Any], shape: tuple[int, ...] | None) -> "keras.Model":
    from keras_se import weights

    given = [f"--{key}" if key != "r" else "-r" for key in ("r", "weights") if options[key] is not None]
    if given:
        raise ValueError(f"{', '.join(given)} goes with a builder's name, not with an address. Received: {address!r}")
    chosen = {"classes": options["classes"], "input_shape": shape}
    return weights.load(address, **{key: value for key, value in chosen.items() if value is not None})


def _read_keras_file(path: str) -> "keras.Model":
    import keras

    if not os.path.isfile(path):
        raise ValueError(f"MODEL must be a file that exists. Received: {path!r}")
    if not path.endswith(".keras") or not zipfile.is_zipfile(path):
        raise ValueError(f"MODEL must be a .keras file as Model.save writes it. Received: {path!r}")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # what is wrong inside a file raises anything
        # Keras names the cause last, after the configuration that it found it in.
        reason = str(error).split("Exception encountered: ")[-1].split(". ")[0].strip()[:200] or type(error).__name__
        raise ValueError(f"MODEL must be a .keras file that Keras can load. Received: {path!r} ({reason})") from error


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    return tuple(_integer("--input-shape", size) for size in text.replace("x", ",").split(","))


def _integer(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{option} must be made of whole numbers. Received: {text!r}") from None


def parity_table(artifacts: "Sequence[Artifact]") -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("file", "size", "error", "allowed", "cosine", "top-1", "verified"):
        table.add_column(header, justify="left" if header == "file" else "right", overflow="fold")
    for artifact in artifacts:
        parity = artifact.parity
        if parity is None:
            continue
        table.add_row(
            artifact.path.name,
            decimal(artifact.size),
            f"{parity.error:.1e}",
            f"{parity.tolerance:.1e}",
            f"{parity.cosine:.7f}",
            f"{parity.top1_agreement:.1%}",
            ("yes" if parity.conclusive else "inconclusive") if parity.passed else "NO",
        )
    return table


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0 done, 1 the work failed, 2 the input is wrong."""
    output = Output()
    output.as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        return cli.main(arguments, prog_name="keras-se", obj=output, standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        output.stderr.print(error.format_message(), markup=False, highlight=False)
        return WRONG_INPUT
    except click.ClickException as error:
        return _fail(output, error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail(output, "interrupted", 128 + signal.SIGINT)
    except (ValueError, OSError) as error:
        status = FAILED if isinstance(error, OSError) and error.errno in WORK_ERRNOS else WRONG_INPUT
        return _fail(output, str(error), status)
    except ModuleNotFoundError as error:
        return _fail(output, f"{error}. Install what exports need with: pip install 'keras-se[export]'", FAILED)
    except (RuntimeError, ImportError) as error:
        if is_expected(error):
            return _fail(output, str(error), FAILED)
        raise


def _fail(output: Output, message: str, status: int) -> int:
    sentence = " ".join(message.split())
    _print_error(output, sentence)
    if output.as_json:
        print(json.dumps({"error": sentence}))
    return status


def _print_error(output: Output, sentence: str) -> None:
    output.stderr.print(f"Error: {sentence}", markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    # A process that is asked to stop cleans up what it has not finished.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    interrupts = []

    def interrupt(*_: Any) -> None:
        interrupts.append(True)
        raise KeyboardInterrupt

    # Interrupted while it is imported, TensorFlow raises anything else instead.
    signal.signal(signal.SIGINT, interrupt)
    try:
        status = run()
    except Exception:
        if not interrupts:
            raise
    sys.exit(128 + signal.SIGINT if interrupts else status)
