"""Runs within the Cloud SDK's own Python: what its parsers say of build files and of commands.

Reads {"builds": [path], "commands": [[argument]]} from standard input and writes, for each of both,
a list of why each was refused: None where it is accepted. Nothing is run and nobody is asked.
"""

import io
import json
import sys

told = sys.stderr = io.StringIO()  # before the SDK is imported, which keeps what is there then

from googlecloudsdk import gcloud_main  # noqa: E402
from googlecloudsdk.api_lib.cloudbuild import cloudbuild_util, config  # noqa: E402
from googlecloudsdk.core import exceptions  # noqa: E402


def refused_build(path):
    """What Cloud Build's parser says of a file."""
    try:
        config.LoadCloudbuildConfigFromPath(path, cloudbuild_util.GetMessagesModule(), params={})
    except exceptions.Error as error:
        return str(error)
    return None


def refused_command(parser, arguments):
    """What gcloud's parser says of the words after `gcloud`."""
    told.seek(0)
    told.truncate()
    try:
        parsed = parser.parse_args(arguments)
        if parsed.CONCEPT_ARGS is not None:
            parsed.CONCEPT_ARGS.ParseConcepts()
    except exceptions.Error as error:
        return str(error)
    except SystemExit as ended:
        return told.getvalue().partition("\n\n")[0] or f"ended with {ended.code}"
    return None


def main():
    asked = json.load(sys.stdin)
    parser = gcloud_main.CreateCLI([])._CLI__parser
    json.dump(
        {
            "builds": [refused_build(path) for path in asked["builds"]],
            "commands": [refused_command(parser, command) for command in asked["commands"]],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    try:
        main()
    finally:
        sys.stderr = sys.__stderr__
