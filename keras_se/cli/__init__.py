"""The `keras-se` command. Each command parses its arguments, calls the library and prints the result.

It may import everything; nothing imports it.
"""

import errno
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from keras_se.cli.commands.benchmark import benchmark
from keras_se.cli.commands.complexity import complexity
from keras_se.cli.commands.doctor import doctor
from keras_se.cli.commands.export import export
from keras_se.cli.commands.insert import insert
from keras_se.cli.commands.inspect import inspect
from keras_se.cli.commands.models import models
from keras_se.cli.commands.verify import verify
from keras_se.cli.console import FAILED, WRONG_INPUT, Output, is_expected, is_out_of_memory, print_error
from keras_se.version import __version__

WORK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
COMMANDS = (models, complexity, insert, export, verify, inspect, benchmark, doctor)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="keras-se")
@click.pass_context
def cli(context: click.Context) -> None:
    """Squeeze-and-excitation networks for Keras, and verified exports of them to devices.

    MODEL is a .keras file, the address of published weights (hf://timm/legacy_seresnet50.in1k, or a folder in that
    format), or the name of a builder (`keras-se models` lists them). A builder's network has random weights, which
    --seed fixes, unless --weights names others.
    """


for command in COMMANDS:
    cli.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0 for success, 1 if the work failed, 2 for invalid input."""
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
        if error.name == os.environ.get("KERAS_BACKEND"):
            return _fail(output, f"{error}. KERAS_BACKEND selects it: install it, or select another backend", FAILED)
        return _fail(output, f"{error}. Install the packages for exports: pip install 'keras-se[export]'", FAILED)
    except Exception as error:
        if is_out_of_memory(error):
            return _fail(output, "Out of memory. Try a smaller network, image or batch.", FAILED)
        if is_expected(error):
            return _fail(output, str(error), FAILED)
        raise


def _fail(output: Output, message: str, status: int) -> int:
    sentence = " ".join(message.split())
    print_error(output, sentence)
    if output.as_json:
        print(json.dumps({"error": sentence}))
    return status


def main() -> None:
    # On SIGTERM, an exit rather than an abort: unfinished files are cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    interrupts: list[bool] = []

    def interrupt(*_: Any) -> None:
        interrupts.append(True)
        raise KeyboardInterrupt

    # If TensorFlow is interrupted while it is imported, it raises other errors instead.
    signal.signal(signal.SIGINT, interrupt)
    try:
        status = run()
    except Exception:
        if not interrupts:
            raise
    sys.exit(128 + signal.SIGINT if interrupts else status)
