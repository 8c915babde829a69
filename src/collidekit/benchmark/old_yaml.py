"""YAML of ROB and flowserv, in which a key may stand twice: the later one counts, as it did there, and is told."""

from pathlib import Path
from typing import Any

import yaml
from attrs import frozen

from collidekit.analysis.load import MOST_NODES, YamlLoader
from collidekit.errors import CollidekitError


@frozen
class OldYaml:
    """The content of a file, and a sentence for each key that stands twice."""

    content: dict[str, Any]
    warnings: list[str]


def read_old_yaml(path: Path) -> OldYaml:
    """Read a YAML file in which keys may stand twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CollidekitError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        root = yaml.compose(text, Loader=YamlLoader)
        warnings = list(_twice(root, path))
        content = yaml.load(text, Loader=YamlLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = " ".join(str(getattr(error, "problem", error)).split())
        raise CollidekitError(f"{path}:{mark.line + 1 if mark else 1}: not valid YAML ({said})") from None
    except (ValueError, RecursionError) as error:
        raise CollidekitError(f"{path}:1: not valid YAML ({error})") from None
    if not isinstance(content, dict):
        raise CollidekitError(f"{path}:1: has no lines of 'key: value'")
    return OldYaml(content, warnings)


def _twice(root: Any, path: Path) -> Any:
    """Yield what is to be said of keys that stand twice in one mapping."""
    todo, visited = [root], 0
    while todo:
        node = todo.pop()
        visited += 1
        if visited > MOST_NODES:
            raise CollidekitError(f"{path}:1: its aliases (*name) stand for more than {MOST_NODES} entries")
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
        elif isinstance(node, yaml.MappingNode):
            seen: dict[str, Any] = {}
            for key, value in node.value:
                todo.append(value)
                if key.value in seen:
                    before = seen[key.value]
                    yield (
                        f"{path}:{key.start_mark.line + 1}: {key.value!r} stands twice: {_shown(before)} in line "
                        f"{before.start_mark.line + 1} and {_shown(value)} here; YAML forbids that, flowserv used the later one, and so does this"
                    )
                seen[key.value] = value


def _shown(node: Any) -> str:
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
