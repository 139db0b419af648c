"""Shows the documentation site while its pages are written: a page is built again when its file is saved.

    python scripts/serve_site.py [--port=8000]

The browser reloads by itself; Ctrl-C ends it. Where scripts/check_site.py would fail, it only warns. The chapters
of the course are shown once scripts/course.py has made their pages.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from check_site import ROOT, follow

EVERY_S = 1  # between two looks at the files


def serve(root: Path, port: int) -> int:
    """Serves the site of `root` at this port of this machine alone; returns the exit code, 130 after Ctrl-C."""
    with tempfile.TemporaryDirectory() as copy:
        has = follow(root, Path(copy), {})
        builder = subprocess.Popen(
            (sys.executable, "-m", "zensical", "serve", f"--dev-addr=localhost:{port}"), cwd=copy
        )
        try:
            while builder.poll() is None:
                time.sleep(EVERY_S)
                with contextlib.suppress(FileNotFoundError):  # saved just now, by moving another file here
                    has = follow(root, Path(copy), has)
        except KeyboardInterrupt:
            return 130
        finally:
            builder.terminate()
            builder.wait()
    return builder.returncode


def main() -> int:
    """Reads the flag and serves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    return serve(ROOT, parser.parse_args().port)


if __name__ == "__main__":
    sys.exit(main())
