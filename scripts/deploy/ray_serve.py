"""Reading on many machines with Ray Serve, which sends each request to a machine that has room.

    python -m pip install 'hwr_jax[serve]' 'ray[serve]'
    serve run --app-dir scripts/deploy ray_serve:digits
    curl --data-binary @digit.png http://localhost:8000/

Ray listens, without a key: keep it in a private network. A request beyond `max_queued_requests` is answered with 503.
"""

from __future__ import annotations

import numpy as np
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hwr_jax.core.errors import DataError
from hwr_jax.pictures import normalise

MOST_BYTES = 32 * 2**20


@serve.deployment(
    max_ongoing_requests=128,
    max_queued_requests=256,
    ray_actor_options={"num_cpus": 1},
    autoscaling_config={"min_replicas": 1, "max_replicas": 16, "target_ongoing_requests": 32},
)
class Digits:
    """Reads pictures of one digit each; those that wait are read together."""

    def __init__(self) -> None:
        import hwr_jax

        self.model = hwr_jax.load()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.0)
    async def read(self, pictures: list[bytes]) -> list[dict]:
        """Returns what is read in each picture, or {"error"}."""
        found, errors = {}, {}
        for i, picture in enumerate(pictures):
            try:
                found[i] = self.model.judged(normalise.normalised(picture))
            except DataError as error:
                errors[i] = {"error": str(error)}
        read = self.model.read(np.stack([one.image for one in found.values()])) if found else []
        rows = {i: _row(one, ranked) for (i, one), ranked in zip(found.items(), read, strict=True)} | errors
        return [rows[i] for i in range(len(pictures))]

    async def __call__(self, request: Request) -> Response:
        """Answers a request whose body is a picture."""
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > MOST_BYTES:
                return JSONResponse({"error": f"more than the {MOST_BYTES:,} bytes allowed"}, 413)
        found = await self.read(bytes(content))  # serve.batch takes one, and hands on many
        return JSONResponse(found, 422 if "error" in found else 200)


def _row(found: normalise.Normalised, ranked: list[tuple[str, float]]) -> dict:
    """Returns what is answered of a picture."""
    made = [{"label": label, "confidence": round(confidence * found.trust, 6)} for label, confidence in ranked]
    return {**made[0], "alternatives": made[1:], "warnings": list(found.doubts)}


digits = Digits.bind()
