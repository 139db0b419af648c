"""What is printed, and served, of pictures of one character or one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwr_jax.pictures import normalise


def read_out(
    names: list[str], read: list[list[tuple[str, float]]], found: list[normalise.Normalised]
) -> list[dict[str, Any]]:
    """Returns {"image", "label", "confidence", "alternatives"} for each picture, the best alternative first; with
    "warnings" if something speaks against the reading."""
    rows = []
    for name, likely, picture in zip(names, read, found, strict=True):
        ranked = [{"label": label, "confidence": round(prob * picture.trust, 6)} for label, prob in likely]
        row = {"image": name, **ranked[0], "alternatives": ranked[1:]}
        rows.append(row | {"warnings": list(picture.doubts)} if picture.doubts else row)
    return rows
