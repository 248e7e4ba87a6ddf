"""`keras-se export`: exports a model, and verifies each file."""

import os
from pathlib import Path
from typing import Any

import click
from rich.console import Group

from keras_se.cli.console import Output, progress, quiet
from keras_se.cli.debug_layers_option import check_debug_layers, errors_of, layer_notes, layer_table
from keras_se.cli.model_argument import MODEL_OPTIONS, SEEDS, load, model_options
from keras_se.cli.parity_table import parity_table
from keras_se.cli.preprocessing_option import preprocessing_from

# `keras_se.export` is imported inside the command: it imports TensorFlow, which takes seconds.


@click.command()
@click.argument("model")
@click.option("-o", "--output", "directory", default=".", show_default=True, help="An existing folder for the files.")
@click.option(
    "-f",
    "--format",
    "formats",
    multiple=True,
    help="saved_model, tflite, onnx or microcontroller; repeatable. Default: the first three.",
)
@click.option(
    "-q",
    "--quantize",
    multiple=True,
    help="none, float16, dynamic, int8, int16x8 or selective, for formats that support it; repeatable. Default: none.",
)
@click.option(
    "--calibration",
    type=click.Path(),
    help="For int8, int16x8 and selective: an .npy or .npz file of inputs, or a folder of images.",
)
@click.option("--samples", type=int, help="Number of images taken from the folder. Default: 100.")
@click.option("--calibration-seed", type=SEEDS, help="Seed that selects these images. Default: 0.")
@click.option(
    "--prepared-as",
    metavar="SOURCE",
    help="Preprocessing of the images, which a .keras file does not keep: an hf:// address or a folder of published "
    "weights, or a .json file with size, mean, std, interpolation and crop. It is also written to the metadata.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="PATTERN",
    help="For selective: the layers to keep, se (the default) or a regular expression for whole names; repeatable.",
)
@click.option("--keep-as", help="For selective: the type of the kept layers, float32 (the default) or int16.")
@click.option(
    "--io-dtype", default="float32", show_default=True, help="Type of the inputs and outputs of a TFLite file."
)
@click.option("--batch-size", type=int, help="A fixed batch size. Default: 1 for TFLite, any for other formats.")
@click.option("--opset", type=int, help="ONNX operator set, 13 to 18. Default: 17.")
@click.option("--layout", default="nhwc", show_default=True, help="Of images in an ONNX file: nhwc or nchw.")
@click.option(
    "--verification", "verification_data", type=click.Path(), help="An .npy or .npz file of inputs to verify on."
)
@click.option("--preprocessing", is_flag=True, help="Include the preprocessing: files take pixels from 0 to 255.")
@click.option(
    "--signature", "signatures", multiple=True, help="Further SavedModel signature: uint8 or encoded; repeatable."
)
@click.option("--labels", help="Labels for the metadata: a text file with a label per line, or imagenet.")
@click.option("--metadata-file", is_flag=True, help="Also write metadata of .tflite and .onnx files to .json files.")
@click.option("--report", is_flag=True, help="Write a report on the files, NAME_report.html.")
@click.option(
    "--evaluation",
    "evaluation_data",
    type=click.Path(),
    help="Labelled data for the report: an .npz file with x and y.",
)
@click.option("--no-optimize", is_flag=True, help="Convert the network without graph rewrites.")
@click.option("--debug-layers", is_flag=True, help="Also print the error of each layer of quantized TFLite files.")
@click.option("--force", "overwrite", is_flag=True, help="Replace files that exist.")
@model_options
@click.pass_obj
def export(
    output: Output,
    model: str,
    directory: str,
    formats: tuple[str, ...],
    quantize: tuple[str, ...],
    calibration: str | None,
    samples: int | None,
    calibration_seed: int | None,
    prepared_as: str | None,
    keep: tuple[str, ...],
    report: bool,
    no_optimize: bool,
    debug_layers: bool,
    **options: Any,
) -> None:
    """Export MODEL, and verify each file in its own runtime.

    Files are named after the model: NAME_saved_model, NAME.tflite, NAME_int8.tflite, NAME.onnx. In the table, `error`
    is the distance of a file's outputs from those of Keras, relative to their spread; `allowed` is the tolerance,
    several times the error that rounding the weights alone causes in this network. --debug-layers adds a table of
    layers, those with the largest errors first: their noise relative to float (SQNR), and the part of it that their
    inputs did not have (adds).
    """
    with quiet(output):
        from keras_se.export import DEFAULT_FORMATS, FORMATS, Images
        from keras_se.export import export as export_all
        from keras_se.export.data.calibration import calibration_sentence
        from keras_se.export.data.image_folder import SAMPLES
        from keras_se.export.export import planned, report_path
        from keras_se.export.modes import MODES

        # The other options are arguments of `export_all`, under the same names.
        build = {name: options.pop(name) for name in MODEL_OPTIONS}
        data: Any = calibration
        if calibration is not None and os.path.isdir(calibration):
            count = SAMPLES if samples is None else samples
            data = Images(calibration, samples=count, seed=calibration_seed or 0)
        elif samples is not None or calibration_seed is not None:
            raise ValueError(
                "--samples and --calibration-seed require a folder of images. "
                f"Received: --calibration {calibration or 'not given'}"
            )
        chosen = formats or DEFAULT_FORMATS
        modes = [None if mode.lower() == "none" else mode for mode in quantize] or [None]
        if debug_layers:
            check_debug_layers(chosen, quantize)
        with progress(output) as bar:
            task = bar.add_task(f"loading {model}", total=None)
            network, shape = load(output, model, build)
            if prepared_as is not None:
                network.preprocessing = preprocessing_from(prepared_as)

            def on_start(path: Path) -> None:
                bar.update(task, description=f"exporting {path.name}", total=total)
                bar.advance(task, 0 if bar.tasks[0].total is None else 1)

            known = [name for name in chosen if name in FORMATS], [mode for mode in modes if mode in MODES]
            total = len(planned(network.name, directory, *known)) + report
            artifacts = export_all(
                network,
                directory,
                chosen,
                quantize=modes,
                calibration_data=data,
                keep=keep or None,
                input_shape=shape,
                optimize=not no_optimize,
                report=report,
                on_start=on_start,
                **options,
            )
            bar.update(task, description="comparing layers")
            made = {"optimize": not no_optimize, "preprocessing": options["preprocessing"]}
            data = options["verification_data"] or data
            errors = errors_of(artifacts, network, data, **made) if debug_layers else {}
    notes = [f"{artifact.path.name}: {note}" for artifact in artifacts for note in artifact.notes]
    seen = [artifact.calibration for artifact in artifacts if artifact.calibration]
    notes += [calibration_sentence(summary) for summary in seen[:1]]
    if report:
        output.notes.append(f"Report: {report_path(network.name, directory)}")
    notes += [note for found in errors.values() for note in layer_notes(found)]
    documents = [artifact.to_dict() for artifact in artifacts]
    for document in documents:
        if document["path"] in errors:
            document["layer_errors"] = errors[document["path"]].to_dict()
    output.show(documents, Group(parity_table(artifacts), *map(layer_table, errors.values())), notes)
