"""The data sheets: where each data set comes from, under which licence, how to cite it, and what is wrong with it.

`sources` has the sizes and classes. The citations and home pages are those of tensorflow-datasets, except those of
`digits`, which follow scikit-learn's description. tensorflow-datasets registers no licence for any of these sets: a
licence stands with the place that states it, and where none does, none is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hwr_jax.data.sources import SOURCES, Source


class Sheet(NamedTuple):
    """What a user of a data set has to know, in sentences. A family of TFDS (`Source.family`) has one."""

    title: str
    shows: str  # what one image is a picture of
    homepage: str
    licence: str
    origin: str
    citation: str  # BibTeX
    faults: tuple[str, ...]  # known ones


NO_LICENCE = "None is registered in tensorflow-datasets"

SHEETS = {
    "mnist": Sheet(
        title="MNIST",
        shows="one handwritten digit",
        homepage="http://yann.lecun.com/exdb/mnist/",
        licence=(
            f"{NO_LICENCE}, and the files come without one. Keras' documentation says: copyright of Yann LeCun and "
            "Corinna Cortes, Creative Commons Attribution-ShareAlike 3.0."
        ),
        origin=(
            "Forms of the Special Databases 1 (high-school students) and 3 (employees of the Census Bureau) of NIST, "
            "scaled to 20 x 20 pixels and centred by mass in 28 x 28."
        ),
        citation="""\
@article{lecun2010mnist,
  title={MNIST handwritten digit database},
  author={LeCun, Yann and Cortes, Corinna and Burges, CJ},
  journal={ATT Labs [Online]. Available: http://yann.lecun.com/exdb/mnist},
  volume={2},
  year={2010}
}
""",
        faults=(
            "At least 15 test labels are wrong (Northcutt, Athalye & Mueller 2021, arXiv:2103.14749): errors below "
            "0.15 % mean little.",
            "The files do not say who wrote what, so accuracy for each writer is unknown.",
            "Its writers come from one country and from two groups.",
            "Clean, cut out and centred: photographs and scans are harder.",
        ),
    ),
    "fashion_mnist": Sheet(
        title="Fashion-MNIST",
        shows="one piece of clothing",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        licence=f"MIT, copyright 2017 Zalando SE (LICENSE in its repository). {NO_LICENCE}.",
        origin="Zalando's pictures of its articles, in grey, 28 x 28 pixels.",
        citation="""\
@article{DBLP:journals/corr/abs-1708-07747,
  author    = {Han Xiao and
               Kashif Rasul and
               Roland Vollgraf},
  title     = {Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
               Algorithms},
  journal   = {CoRR},
  volume    = {abs/1708.07747},
  year      = {2017},
  url       = {http://arxiv.org/abs/1708.07747},
  archivePrefix = {arXiv},
  eprint    = {1708.07747},
  timestamp = {Mon, 13 Aug 2018 16:47:27 +0200},
  biburl    = {https://dblp.org/rec/bib/journals/corr/abs-1708-07747},
  bibsource = {dblp computer science bibliography, https://dblp.org}
}
""",
        faults=(
            "It holds no handwriting: it is here to compare methods.",
            "Some classes overlap in meaning: T-shirt/top, Pullover, Coat and Shirt.",
        ),
    ),
    "kmnist": Sheet(
        title="Kuzushiji-MNIST",
        shows="one cursive hiragana from an old book",
        homepage="http://codh.rois.ac.jp/kmnist/index.html.en",
        licence=(
            'Creative Commons Attribution-ShareAlike 4.0 (README of its repository), with the attribution: "KMNIST '
            'Dataset" (created by CODH), adapted from "Kuzushiji Dataset" (created by NIJL and others), '
            f"doi:10.20676/00000341. {NO_LICENCE}."
        ),
        origin=(
            "Characters of the Kuzushiji Dataset, cut from scanned classical Japanese books; one for each row of "
            "hiragana."
        ),
        citation="""\
@online{clanuwat2018deep,
  author       = {Tarin Clanuwat and Mikel Bober-Irizar and Asanobu Kitamoto and Alex Lamb and Kazuaki Yamamoto and David Ha},
  title        = {Deep Learning for Classical Japanese Literature},
  date         = {2018-12-03},
  year         = {2018},
  eprintclass  = {cs.CV},
  eprinttype   = {arXiv},
  eprint       = {cs.CV/1812.01718},
}
""",  # noqa: E501  as registered
        faults=(
            "A class holds several forms of its character that do not look alike.",
            "Ten characters only: it reads no text.",
        ),
    ),
    "emnist": Sheet(
        title="EMNIST",
        shows="one handwritten character",
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        licence=f"{NO_LICENCE}, and its home page states none.",
        origin="Forms of NIST's Special Database 19, converted as MNIST's were.",
        citation="""\
@article{cohen_afshar_tapson_schaik_2017,
    title={EMNIST: Extending MNIST to handwritten letters},
    DOI={10.1109/ijcnn.2017.7966217},
    journal={2017 International Joint Conference on Neural Networks (IJCNN)},
    author={Cohen, Gregory and Afshar, Saeed and Tapson, Jonathan and Schaik, Andre Van},
    year={2017}
}
""",
        faults=(
            "The files hold the pictures transposed; hwr_jax loads them upright.",
            "`letters` counts a capital and its small letter as one class; `balanced` and `bymerge` do so for those "
            "that look alike.",
            "`byclass` and `bymerge` have unbalanced classes.",
            "Made from the same forms as MNIST: a test image of one may be a training image of the other, so neither "
            "is a test set for a model trained on the other.",
        ),
    ),
    "digits": Sheet(
        title="scikit-learn's digits",
        shows="one handwritten digit",
        homepage="https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits",
        licence="scikit-learn's description states none; the file comes with scikit-learn (BSD 3-Clause).",
        origin=(
            "The test set of UCI's Optical Recognition of Handwritten Digits (E. Alpaydin and C. Kaynak, 1998): 13 "
            "writers, 8 x 8 counts of ink, which hwr_jax enlarges to MNIST's conventions."
        ),
        citation="""\
@article{alpaydin1998cascading,
  author  = {E. Alpaydin and C. Kaynak},
  title   = {Cascading Classifiers},
  journal = {Kybernetika},
  year    = {1998}
}
""",
        faults=(
            "8 x 8 pixels: enlarged digits are blurred, and details are lost.",
            "hwr_jax draws the splits itself, and the 13 writers are in all of them: for other writers expect less.",
            "500 test images: two standard errors of an accuracy of 98 % are 1.3 points.",
        ),
    ),
}


def of(name: str) -> Sheet | None:
    """Returns the sheet of a data set of `SOURCES`; None: of another name, such as a user's own pictures."""
    return SHEETS[SOURCES[name].family] if name in SOURCES else None


def page() -> Iterator[str]:
    """Yields the lines of the page of all sheets, in Markdown."""
    for family, sheet in SHEETS.items():
        parts = [source for source in SOURCES.values() if source.family == family]
        yield from (f"## {sheet.title}", "", f"Each image shows {sheet.shows}.", "")
        yield from (
            "| `config.data.name` | classes | training | validation | test | pixels |",
            "|---|---|---|---|---|---|",
        )
        yield from map(_row, parts)
        yield from ("", f"- **Origin.** {sheet.origin} <{sheet.homepage}>")
        yield from (f"- **Licence.** {sheet.licence}", "- **Known faults.**")
        yield from (f"    - {fault}" for fault in sheet.faults)
        yield from ("", "```bibtex", *sheet.citation.splitlines(), "```", "")


def _row(source: Source) -> str:
    """Returns the sizes of a data set in words; by default, runs take the validation images from the training set."""
    height, width, _ = source.image_shape
    train = source.train_examples - source.validation_examples
    sizes = " | ".join(f"{n:,}" for n in (train, source.validation_examples, source.test_examples))
    return f"| `{source.name}` | {len(source.classes)} | {sizes} | {height} x {width} |"
