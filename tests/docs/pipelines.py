"""The scripts of pipelines, out of the snippets in `examples/ci-integration.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.docs.pages import DOCS, Block, blocks

PAGE = DOCS / "examples" / "ci-integration.md"
_SCRIPTS = ("before_script", "script", "run")
_GROOVY = re.compile(r"\bsh (?:'''(.*?)'''|'([^'\n]*)')", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Script:
    """What a step runs, and the variables that the pipeline sets for it, as they are written."""

    text: str
    variables: Mapping[str, str]


def pipelines() -> list[Block]:
    """The page's snippets of whole pipelines."""
    return [block for block in blocks(PAGE) if block.language in ("yaml", "groovy")]


def scripts(pipeline: Block) -> list[Script]:
    """What a pipeline runs, in its order."""
    if pipeline.language == "yaml":
        return list(_within(yaml.safe_load(pipeline.text), {}))
    found = [long or short for long, short in _GROOVY.findall(pipeline.text)]
    # Groovy joins such lines, and the shell never sees it
    return [Script(text.replace("\\\n", ""), {}) for text in found]


def _within(node: Any, variables: Mapping[str, str]) -> Iterator[Script]:
    if isinstance(node, list):
        for item in node:
            yield from _within(item, variables)
    elif isinstance(node, dict):
        both = {**variables, **_set_by(node)}
        for key, value in node.items():
            if key in _SCRIPTS and not isinstance(value, dict):
                lines = value if isinstance(value, list) else [value]
                yield Script("\n".join(lines), both)
            else:
                yield from _within(value, both)


def _set_by(node: Mapping[Any, Any]) -> Mapping[str, str]:
    found = node.get("env", node.get("variables", {}))
    if isinstance(found, list):
        return {one["name"]: one["value"] for one in found}
    return dict(found)
