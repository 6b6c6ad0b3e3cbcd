"""A page with one widget and the smallest host that can run it: state in, `render` called."""

from __future__ import annotations

import json
from typing import Any

_PAGE = """<!doctype html>
<html lang="en"{theme}><head><meta charset="utf-8"><title>Explorer</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{margin:0;padding:8px;background:{background}}}
main{{max-width:{width}px;margin:auto}} h1{{position:absolute;clip-path:inset(50%)}}</style>
<style>{css}</style></head><body><main><h1>Explorer</h1><div id="el"></div></main>
<script type="application/json" id="state">{state}</script>
<script type="application/json" id="module">{module}</script>
<script type="module">
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const state = read("state");
const handlers = new Map();
window.saves = 0;
window.model = {{
  get: (name) => state[name],
  set(name, value) {{
    if (Object.is(state[name], value)) return;
    state[name] = value;
    for (const handler of handlers.get(`change:${{name}}`) ?? []) handler();
  }},
  save_changes() {{ window.saves += 1; }},
  on(event, handler) {{ handlers.set(event, [...(handlers.get(event) ?? []), handler]); }},
  off(event, handler) {{
    handlers.set(event, (handlers.get(event) ?? []).filter((h) => h !== handler));
  }},
}};
const address = URL.createObjectURL(new Blob([read("module")], {{ type: "text/javascript" }}));
const module = await import(address);
const el = document.getElementById("el");
window.cleanup = await module.default.render({{ model: window.model, el }});
window.ready = true;
</script></body></html>
"""


def _embed(value: Any) -> str:
    return json.dumps(value).replace("<", "\\u003c")


def widget_page(widget: Any, theme: str | None = None, width: int = 760) -> str:
    """HTML that shows an anywidget with its current state, without kernel and network."""
    state = {k: v for k, v in widget.get_state().items() if not k.startswith("_")}
    return _PAGE.format(
        theme=f' data-theme="{theme}"' if theme else "",
        background="#14181e" if theme == "dark" else "#fff",
        width=width,
        css=widget._css,
        state=_embed(state),
        module=_embed(widget._esm),
    )
