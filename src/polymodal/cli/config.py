"""``--config run.yaml``: a file whose values lie below the flags and above the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, ArgumentCollection
from cyclopts.token import Token

from polymodal.cli.errors import CommandError, check_known

if TYPE_CHECKING:
    from yaml import Node


MAPPINGS = {"set": "{beta: 2.5}", "network": "{series: recurrent}"}
"""Options that hold settings by name, with an example."""


def read_config(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give each option that the command line left open the value of the file, if it has one."""
    # What is not parsed is the program's own, and no option of anybody's.
    found = {one.name: one for one in arguments if one.parameter.parse is not False}
    config = found.get("--config")
    if config is None or not config.tokens:
        return
    path = Path(config.tokens[-1].value)
    known = [name.removeprefix("--") for name in found if name not in ("--config", "--json")]
    for key, value in read_mapping(path).items():
        key = str(key).replace("_", "-")
        argument = found[f"--{check_known(key, known, f'option in {path} named')}"]
        if value is None or (argument.tokens and key not in MAPPINGS):
            continue
        flags = list(argument.tokens)
        argument.tokens.clear()
        for word in _words(key, value, path):
            argument.append(Token(keyword=f"--{key}", value=word, source=str(path)))
        # A later setting wins, so the flags come after the file.
        for token in flags:
            argument.append(token)


def read_mapping(path: Path) -> Mapping[str, Any]:
    """The mapping in a YAML file.

    Raises:
        CommandError: If there is no such file, it is not a YAML mapping, or has a name twice.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        _check_names(yaml.compose(text, Loader=yaml.SafeLoader), path)
        read = yaml.safe_load(text)
    except FileNotFoundError:
        raise CommandError(f"No file {path}.") from None
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise CommandError(f"{path} cannot be read as YAML: {error}") from error
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise CommandError(
            f"{path} holds a {type(read).__name__}; expected options, one a line, such as "
            "`latent-dim: 32`."
        )
    return read


def _check_names(node: Node | None, path: Path) -> None:
    """Refuse a name that stands twice, of which YAML takes the last without a word."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    names: set[str] = set()
    for key, value in node.value:
        # `latent-dim` and `latent_dim` are one option.
        name = str(key.value).replace("_", "-")
        if name in names:
            line = key.start_mark.line + 1
            raise CommandError(f"{path}, line {line}: {name!r} stands twice; take one out.")
        names.add(name)
        if name in MAPPINGS:
            _check_names(value, path)


def parse_settings(pairs: list[str] | None, option: str = "--set") -> dict[str, Any]:
    """``["beta=2.5", ...]`` -> ``{"beta": 2.5, ...}``; values are YAML.

    Raises:
        CommandError: If one has no ``=``.
    """
    import yaml

    settings = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            such = MAPPINGS[option.removeprefix("--")].strip("{}").replace(": ", "=")
            raise CommandError(
                f"{option} expects key=value, such as {option} {such}; got {pair!r}."
            )
        try:
            settings[key.strip().replace("-", "_")] = _number_or(yaml.safe_load(value))
        except (RecursionError, yaml.YAMLError) as error:
            raise CommandError(f"{option} {pair}: the value is not YAML.") from error
    return settings


def _number_or(value: object) -> object:
    """YAML takes 1e-3, without a point, for a word; here it is a number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _words(key: str, value: object, path: Path) -> list[str]:
    if isinstance(value, bool):
        return [str(value).lower()]
    if key in MAPPINGS:
        if not isinstance(value, dict):
            raise CommandError(f"{path}: `{key}` must hold settings, such as {MAPPINGS[key]}.")
        return [f"{name}={_scalar(item)}" for name, item in value.items()]
    if isinstance(value, list):
        return [str(item) for item in value]
    return [str(value)]


def _scalar(value: object) -> str:
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True)
    return text.removesuffix("...\n").strip()
