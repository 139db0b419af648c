"""All files of the page, with the network in JavaScript: for the server, and for a folder that any host can serve.

`page/` holds the files as they are written; `model.js` and `files.js` are made here. The page has the shipped network
alone: its forward pass is in page/reading/network.js. NumPy is imported when the files are made, and not before: most
servers are asked for no page.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.files import write_atomic

if TYPE_CHECKING:
    from hwr_jax.inference.light import LightReader

FOLDER = Path(__file__).parent / "page"
STAMP = "self.HWR.VERSION"
MADE = "files.js"  # lists the others: where it is, a folder holds the page
MODEL = "model.js"
READING = (  # in the order in which they use each other
    "grid", "resample", "filters", "shapes", "perspective", "sheet", "rules", "marks", "ink", "normalise", "page",
    "characters", "winograd", "network", "parting", "scan",
)  # fmt: skip
POLICY = (  # also in index.html, which has to hold from file:// too
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)
HEADERS = {  # for whoever serves the page; `frame-ancestors` is not allowed in a file
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def names() -> list[str]:
    """Returns the relative URLs of all files of the page."""
    return sorted([*_written(), MODEL, MADE])


def files() -> dict[str, bytes]:
    """Returns all files of the page by their relative URL. `index.html` is the page."""
    return dict(_files())


def is_page(folder: Path) -> bool:
    """Whether a folder holds a page that `write` has written, or begun."""
    try:
        return STAMP in (folder / MADE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def write(folder: Path) -> list[Path]:
    """Writes the page into a folder, which is made; returns the paths of its files.

    Raises:
      OSError: the folder cannot be written.
    """
    written = []
    for name, content in sorted(files().items(), key=lambda item: item[0] != MADE):  # first what says that it is ours
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
        written.append(path)
    return written


@functools.cache
def _files() -> dict[str, bytes]:
    from hwr_jax.inference import packaged

    found = {name: path.read_bytes() for name, path in _written().items()}
    found[MODEL] = model_js(packaged.model())
    found[MADE] = _files_js(found)
    return found


def _written() -> dict[str, Path]:
    paths = sorted(p for p in FOLDER.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {path.relative_to(FOLDER).as_posix(): path for path in paths}


def _files_js(found: dict[str, bytes]) -> bytes:
    """What the service worker keeps: every file but itself, and a name that changes with any of them."""
    content = hashlib.sha256(b"".join(name.encode() + found[name] for name in sorted(found))).hexdigest()[:16]
    kept = ["./", MADE, *sorted(found.keys() - {"sw.js"})]
    return (
        '"use strict";\nself.HWR = self.HWR || {};\n'
        f'{STAMP} = "{content}";\nself.HWR.READING = {json.dumps(READING)};\n'
        f"self.HWR.FILES = {json.dumps(kept)};\n"
    ).encode()


def model_js(model: LightReader) -> bytes:
    """Returns a script with the weights in half precision, in base64.

    Raises:
      ConfigError: several seeds; the page has room for one network.
    """
    import numpy as np

    if len(model.nets) != 1:
        raise ConfigError(f"the page holds one network, and this model has {len(model.nets)} seeds: use one of them")
    net = model.nets[0]
    arrays = [kernel.transpose(3, 0, 1, 2) for kernel in net.convolutions]
    arrays += [array for norm in net.norms for array in norm]
    values = np.concatenate([array.ravel() for array in [*arrays, *net.dense]]).astype("<f2")
    plan = {
        "classes": model.classes,
        "mean": model.facts["mean"],
        "std": model.facts["std"],
        "stages": model.stages,
        "blocks": model.blocks,
        "stride": model.stride,
        "convolutions": [(kernel.shape[0], *kernel.shape[2:]) for kernel in net.convolutions],
        "weights": base64.b64encode(values.tobytes()).decode(),
    }
    return f'"use strict";\nself.HWR_MODEL = {json.dumps(plan)};\n'.encode()
