#!/usr/bin/env python3
"""Renders chat templates with jinja2, in the sandbox in which transformers runs them.

    ./jinja_render.py < {"template", "contexts": [...]} a line > ["text" or null, ...] a line

null where jinja2 raises an error.
"""
import json
import sys

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("render"), [], [], body).set_lineno(line)

    def render(self, caller):
        return caller()


def raise_exception(message):
    raise TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def main():
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    for line in sys.stdin:
        case = json.loads(line)
        texts = []
        for context in case["contexts"]:
            try:
                texts.append(environment.from_string(case["template"]).render(**context))
            except Exception:
                texts.append(None)
        print(json.dumps(texts))


if __name__ == "__main__":
    main()
