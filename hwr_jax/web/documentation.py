"""The page /docs: the OpenAPI document for people, one static page without a script."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from hwr_jax.web import openapi
from hwr_jax.web.limits import MIB, Limits

STYLE = """\
:root { color-scheme: light dark; --line: light-dark(#d0d4da, #3c4248); --code: light-dark(#f4f5f7, #23272c); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
h2 code { font-size: 1.1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: var(--code); padding: .75rem 1rem; border-radius: 6px; overflow-x: auto; margin: .5rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
"""

ICON = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M3 3h10L7 14" fill="none" stroke="#1f6fd1" \
stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"/></svg>
"""


def page(limits: Limits) -> str:
    """Returns the page as HTML."""
    document = openapi.document(limits)
    parts = [_operation(path, document) for path in document["paths"]]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<title>hwr_jax: the server</title>\n<link rel="icon" href="/docs.svg">',
            '<link rel="stylesheet" href="/docs.css">\n</head>\n<body>\n<main>',
            f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>",
            f'<p>{escape(document["info"]["description"])} For programs: <a href="/openapi.json">openapi.json</a>.</p>',
            "<pre>curl -H 'Content-Type: image/png' --data-binary @digit.png http://localhost:8000/v1/predict\n"
            "curl -F file=@page.jpg -F file=@more.tiff http://localhost:8000/v1/scan</pre>",
            *parts,
            "<h2>Limits</h2>",
            _table(("limit", "value"), _limits(limits)),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _operation(path: str, document: dict[str, Any]) -> str:
    [(method, one)] = document["paths"][path].items()
    parts = [f"<h2><code>{method.upper()} {escape(path)}</code></h2>", f"<p>{escape(one['summary'])}</p>"]
    if one.get("parameters"):
        rows = [(p["name"], _values(p["schema"]), p["description"]) for p in one["parameters"]]
        parts += ["<h3>Query</h3>", _table(("name", "value", "meaning"), rows)]
    if "requestBody" in one:
        parts += [
            "<h3>Body</h3>",
            f"<p>{', '.join(f'<code>{escape(k)}</code>' for k in one['requestBody']['content'])}</p>",
        ]
    parts += [
        "<h3>Answers</h3>",
        _table(("status", "meaning"), [(k, v["description"]) for k, v in one["responses"].items()]),
    ]
    [good] = one["responses"]["200"]["content"].values()
    if "example" in good:
        parts += ["<h3>Example</h3>", f"<pre>{escape(json.dumps(good['example'], indent=2))}</pre>"]
    return "\n".join(parts)


def _values(schema: dict[str, Any]) -> str:
    allowed = ", ".join(schema["enum"]) if "enum" in schema else f"{schema['minimum']} to {schema['maximum']}"
    return f"{allowed}; default: {schema['default']}"


def _limits(limits: Limits) -> list[tuple[str, str]]:
    return [
        ("request", f"{limits.body_bytes / MIB:g} MiB, {limits.files} files"),
        ("picture or page", f"{limits.pixels:,} pixels, {limits.picture_s:g} s"),
        ("pages read of a document", f"{limits.pages}"),
        ("pictures that wait", f"{limits.queue}, {limits.per_client} of one client"),
        ("headers, body", f"{limits.header_s:g} s, {limits.body_s:g} s to arrive"),
    ]


def _table(heads: tuple[str, ...], rows: list[Any]) -> str:
    top = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(one))}</td>' for one in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
