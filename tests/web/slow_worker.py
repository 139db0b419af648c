"""What a pool starts in tests, in place of `hwr_jax.web.worker`: it does what the content of each picture says."""

import json
import os
import signal
import sys
import time

from hwr_jax.web import frames

stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
options = json.loads(sys.argv[1])
if options.get("ends"):
    sys.exit(66)
stdout.write(frames.packed({"ready": {"pid": os.getpid()}}, []))
stdout.flush()
while (message := frames.read(stdin)) is not None:
    head, contents = message
    made = []
    for i, ((name, _), content) in enumerate(zip(head["pictures"], contents, strict=True)):
        if content.startswith(b"exit"):
            os._exit(int(content[4:]))
        if content == b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if content == b"pages":
            page = json.dumps({"image": name, "page": 1}).encode()
            stdout.write(frames.packed({"items": [[i, True, len(page)]], "done": False}, [page]))
            stdout.flush()
            time.sleep(60)
        if content.startswith(b"sleep"):
            time.sleep(float(content[5:]))
        text = json.dumps(
            {"image": name, "together": len(contents), "pid": os.getpid(), "key": os.environ.get("HWR_API_KEY")}
        ).encode()
        made.append((i, content != b"bad", text))
    found = [[i, is_read, len(text)] for i, is_read, text in made]
    stdout.write(frames.packed({"items": found, "done": True}, [text for _, _, text in made]))
    stdout.flush()
