"""What the server allows, each with its unit: one table for flags, code and documentation."""

from __future__ import annotations

from typing import NamedTuple

MIB = 2**20
KEY = "HWR_API_KEY"  # of the environment
NO_MEMORY = "reading it needs more memory than is allowed"


class Limits(NamedTuple):
    """The limits of a server. The defaults are those of the flags."""

    body_bytes: int = 32 * MIB  # of one request
    files: int = 64  # in one request
    pixels: int = 50_000_000  # of one picture or page
    pages: int = 20  # read of one document
    picture_s: float = 10.0  # until reading a picture, or a page, is given up
    header_s: float = 10.0  # until a request's headers must have arrived
    body_s: float = 30.0  # until its body must have arrived, and until a client must have taken some of its answer
    idle_s: float = 75.0  # that a connection is kept between two requests
    connections: int = 1000
    queue: int = 256  # pictures that wait
    per_client: int = 128  # pictures of one address that wait or are being read
    held_bytes: int = 256 * MIB  # of all pictures that wait or are being read
    memory_bytes: int = 2048 * MIB  # of a process that reads, beyond what it needs when it starts; 0: not limited
    drain_s: float = 30.0  # until requests are given up that were accepted before a signal
