"""The command line: one file a verb, which parses, calls and prints."""

from polymodal.cli.app import main as main
