"""As much of PromQL as it takes to see which metrics and labels an expression names; and promtool, where it is."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import need

_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_LABEL = re.compile(r"[a-zA-Z_]\w*")
_NAME = re.compile(r"(?<![\w.$])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_AGGREGATIONS = {"by", "without", "on", "ignoring", "sum", "max", "min", "count", "group", "avg", "topk", "quantile"}


@dataclass(frozen=True)
class Names:
    """What an expression names."""

    metrics: frozenset[str]
    labels: frozenset[str]


def named(expression: str) -> Names:
    """Functions and words of the language are left out."""
    text = _STRING.sub('""', expression)
    labels = {label for matchers in _MATCHERS.findall(text) for label in re.findall(r"(\w+)\s*[=!]", matchers)}
    text = _RANGE.sub("", _MATCHERS.sub("", text))
    labels |= {label for _, group in _GROUPING.findall(text) for label in _LABEL.findall(group)}
    text = _GROUPING.sub(" ", text)
    found = {name for name in _NAME.findall(text) if name.lower() not in _WORDS | _AGGREGATIONS}
    return Names(frozenset(found), frozenset(labels))


def promtool(*arguments: str | Path) -> str:
    """What it prints. Skips the test without it, and fails where it finds fault."""
    found = shutil.which("promtool")
    need(found, "promtool (the package prometheus has it)")
    done = subprocess.run([str(found), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_expressions(expressions: Sequence[str], folder: Path) -> None:
    """Promtool understands each of them."""
    rules = [{"record": f"expression:{number}", "expr": text} for number, text in enumerate(expressions)]
    path = folder / "expressions.yaml"
    path.write_text(json.dumps({"groups": [{"name": "expressions", "rules": rules}]}))
    promtool("check", "rules", path)
