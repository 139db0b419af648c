"""hwr-read, the slim distribution: it holds what it imports and no more, needs what it names, and reads as `scan`."""

import ast
import doctest
import importlib
import io
import json
import runpy
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import hwr_jax
from hwr_jax.cli import flags
from hwr_jax.core.errors import ConfigError
from hwr_jax.data import pages
from hwr_jax.inference import onnx_reader, packaged
from hwr_jax.inference.export import onnx_model as onnx_exporter
from hwr_jax.inference.export.graph import IR_VERSION, OPSET, Graph

ROOT = Path(__file__).parent.parent
READER = ROOT / "reader"
IMPORTED_AS = {"pillow": "PIL"}
ONLY = """\
import importlib.abc, sys

class Only(importlib.abc.MetaPathFinder):
    allowed = {"hwr_read", *sys.stdlib_module_names, *ALLOWED}

    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top not in self.allowed and not top.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"no module {name}", name=name)

sys.meta_path.insert(0, Only())
from hwr_read.__main__ import run
sys.exit(run())
"""


def build(folder, target, out):
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(READER, "wheel", tmp_path_factory.mktemp("slim"))


@pytest.fixture(scope="module")
def site(wheel):
    """The wheel, unpacked as an installation would."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "site")
    return wheel.parent / "site"


@pytest.fixture(scope="module")
def slim(site):
    """The package hwr_read of the wheel, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield importlib.import_module("hwr_read")
        for name in [name for name in sys.modules if name.partition(".")[0] == "hwr_read"]:
            del sys.modules[name]


@pytest.fixture
def hwr_read(slim, capsys, monkeypatch):
    """Returns run(*arguments): the exit code, standard output and standard error of the command, in this process."""
    program = importlib.import_module("hwr_read.__main__")
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hwr-read", *map(str, arguments)])
        code = program.run()
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def scan(capsys):
    """Returns run(*arguments): the same of `hwr scan`; of a wrong command line only the sentence."""

    def run(*arguments):
        verb = runpy.run_path(str(ROOT / "hwr_jax" / "scan.py"))
        try:
            code = verb["main"](flags.parse(["scan", *map(str, arguments)], verb["FLAGS"], arguments=True))
        except ConfigError as error:
            return 64, "", f"hwr_jax: {error}\n"
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def page(digits, tmp_path_factory):
    """A composed page of three lines, as a PNG file."""
    rng = np.random.default_rng(3)
    rows = rng.permutation(len(digits.test.label))[:15]
    glyphs, labels = np.asarray(digits.test.image[..., 0])[rows], np.asarray(digits.test.label)[rows]
    path = tmp_path_factory.mktemp("page") / "page.png"
    Image.fromarray(pages.compose(rng, glyphs, labels, [5, 5, 5], paper="ruled").grey).save(path)
    return path


def values(text):
    """The JSON of pages without their times."""
    return [{key: value for key, value in page.items() if key != "ms"} for page in json.loads(text)]


def imports(path):
    """What a file imports when it runs, inside functions too: module names, of which the last part may be a name."""
    found, todo = [], [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        todo += ast.iter_child_nodes(node)
    return found


def test_the_list_names_the_modules_that_are_imported_and_no_other(hook):
    listed = {f"hwr_jax.{folder}.{name}" for folder, names in hook.MODULES.items() for name in names}
    reached, todo = set(), sorted((READER / "hwr_read").glob("*.py"))
    while todo:
        for name in imports(todo.pop()):
            parts = name.split(".")[:3]
            if parts[0] == "hwr_jax" and len(parts) == 3 and ".".join(parts) not in reached:
                reached.add(".".join(parts))
                todo.append(ROOT.joinpath(*parts).with_suffix(".py"))
            assert parts[0] != "hwr_jax" or len(parts) == 3, f"{name} is not in the slim package"
    assert reached == listed


def test_the_wheel_holds_these_files_and_the_model(wheel, site, hook):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    own = [f"hwr_read/{path.name}" for path in (READER / "hwr_read").glob("*.py")]
    assert sorted(names) == sorted([*own, *(f"hwr_read/{name}" for name in hook.taken())])
    model = "pretrained/model.safetensors"
    assert (site / "hwr_read" / model).read_bytes() == (ROOT / "hwr_jax" / model).read_bytes()
    for path in site.rglob("*.py"):
        assert not [name for name in imports(path) if name.startswith("hwr_jax")], path
    metadata = next(site.glob("*.dist-info/METADATA")).read_text()
    assert f"\nVersion: {hwr_jax.__version__}\n" in metadata
    assert next(site.glob("*.dist-info/licenses/LICENSE")).read_text() == (ROOT / "LICENSE").read_text()


def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    with tarfile.open(build(READER, "sdist", tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(next(tmp_path.glob("hwr_read-*/")), "wheel", tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()


def test_with_its_dependencies_alone_it_reads_what_scan_reads(site, page, scan, caches):
    project = tomllib.loads((READER / "pyproject.toml").read_text())["project"]
    needed = [name.partition(">")[0] for name in project["dependencies"]]
    code = ONLY.replace("ALLOWED", repr([IMPORTED_AS.get(name, name) for name in needed]))
    env = {**caches, "PYTHONPATH": str(site)}
    command = [sys.executable, "-c", code, "--format=json", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=page.parent, timeout=60)
    assert done.returncode == 0, done.stderr
    code, out, err = scan("--format=json", page)
    assert (code, values(done.stdout)) == (0, values(out))
    assert [len(line["text"]) for line in values(out)[0]["lines"]] == [5, 5, 5]
    assert done.stderr == err.replace("hwr_jax", "hwr_read")


@pytest.mark.parametrize("arguments", [["--format=csv"], ["--format", "text", "--reject_below=0.9"], ["--mode=line"]])
def test_it_prints_what_scan_prints(hwr_read, scan, page, arguments):
    (code, out, err), expected = hwr_read(page, *arguments), scan(page, *arguments)
    assert (code, err) == (expected[0], expected[2].replace("hwr_jax", "hwr_read"))
    if arguments == ["--mode=line"]:  # a table, which scan draws with rich
        assert [word for word in expected[1].split() if word[-1].isalnum()][-3:] == out.split()[-3:]
        assert "hwr_read 0" in out
    else:
        assert out == expected[1]


def test_copies_are_the_same_and_are_known_to_both(hwr_read, scan, page, tmp_path):
    for run, name in ((hwr_read, "slim"), (scan, "scan")):
        code, _, err = run(page, f"--annotate={tmp_path / name}", f"--debug={tmp_path / name}")
        assert (code, err) == (0, "")
    found, expected = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("slim", "scan"))
    assert found == expected
    assert len(found) == 7
    _, _, err = hwr_read("--format=json", tmp_path / "scan", page)
    assert f"hwr_read: {tmp_path / 'scan'}: skipped 7 copies that scan wrote earlier" in err


def test_it_reads_standard_input_and_pdf(hwr_read, scan, page, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(page.read_bytes())))
    expected = values(scan("--format=json", page)[1])[0]
    (found,) = values(hwr_read("--format=json", "-")[1])
    assert found == {**expected, "image": "standard input"}
    Image.open(page).save(tmp_path / "page.pdf", "PDF")
    documents = hwr_read("--format=json", tmp_path / "page.pdf"), scan("--format=json", tmp_path / "page.pdf")
    assert values(documents[0][1]) == values(documents[1][1])
    assert documents[0][0] == 0


def test_the_example_in_the_docstring_runs(slim):
    done = doctest.testmod(slim)
    assert (done.failed, done.attempted) == (0, 8)


def test_from_python_it_is_the_same(slim, page):
    found, expected = slim.scan(page), hwr_jax.scan(page)
    assert found._replace(ms=0) == expected._replace(ms=0)
    assert slim.load() is slim.load()
    images = np.stack([slim.digit_from_picture(page), hwr_jax.digit_from_picture(page)])
    np.testing.assert_array_equal(slim.load().predict(images), hwr_jax.load().predict(images))
    assert [one.text for one in slim.scan_pages(page)] == [expected.text]
    assert slim.__version__ == hwr_jax.__version__
    with pytest.raises(slim.DataError, match="not a picture that can be read"):
        slim.scan(b"no picture")


@pytest.mark.parametrize(
    "line",
    [
        "", "--fromat=json x", "--format", "--format=xml x", "--format --mode=page x", "--format = x", "--nomode x",
        "--format=json --format=csv x", "--reject_below=x x", "--reject_below=nan x", "--reject_below=-1 x",
        "--reject_below=2 x", "--annotate= x", "--debug=PAGE x", "--workdir= x", "--annotate=~nobody-here/x x",
    ],
)  # fmt: skip
def test_a_wrong_command_line_gets_the_sentence_of_scan(hwr_read, scan, page, line):
    arguments = line.replace("PAGE", str(page)).split()
    code, out, err = hwr_read(*arguments)
    assert (code, out) == (64, "")
    assert err == scan(*arguments)[2].replace("hwr_jax", "hwr_read")
    assert err.count("\n") == 1


@pytest.fixture
def released(tmp_path):
    """Returns made(name=edit): a copy of the model that comes with hwr_jax, in which `edit` has changed a file."""

    def made(**edits):
        shutil.copytree(packaged.FOLDER, tmp_path / "released")
        for name, edit in edits.items():
            path = tmp_path / "released" / f"{name}.json"
            path.write_text(edit(path.read_text()))
        return tmp_path / "released"

    return made


def test_another_released_model_is_read_with(hwr_read, scan, page, released):
    folder = released(environment=lambda text: text.replace('"name": "mnist"', '"name": "letters"'))
    code, out, err = hwr_read("--format=json", f"--workdir={folder}", page)
    assert (code, err) == (0, f"{folder}: trained on letters\n")
    assert values(out) == values(scan("--format=json", page)[1])


@pytest.fixture
def onnx_model(tmp_path):
    """Returns made(**record): a folder with a linear model in ONNX, and its record with other values."""

    def made(**record):
        graph = Graph()
        weights = {"kernel": np.random.default_rng(0).normal(0, 0.01, (784, 11)), "bias": np.zeros(11)}
        flat = graph.add("Flatten", onnx_reader.INPUT)
        graph.add("Softmax", graph.dense(flat, "Dense_0", weights), axis=-1, output=onnx_reader.OUTPUT)
        shapes = {onnx_reader.INPUT: ["N", 28, 28, 1], onnx_reader.OUTPUT: ["N", 11]}
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
        arrays = [numpy_helper.from_array(value, name) for name, value in graph.arrays.items()]
        content = helper.make_graph(graph.nodes, "linear", values[:1], values[1:], arrays)
        opset = [helper.make_opsetid("", OPSET)]
        own = {"form": onnx_reader.FORM, "reads": "characters", "facts": packaged.model().facts, **record}
        model = helper.make_model(content, opset_imports=opset, ir_version=IR_VERSION)
        (tmp_path / onnx_reader.NAME).write_bytes(onnx_exporter.with_metadata(model, own))
        return tmp_path

    return made


def test_an_exported_model_is_read_with(hwr_read, page, onnx_model):
    folder = onnx_model()
    code, out, err = hwr_read("--format=json", "--mode=line", f"--workdir={folder}", page)
    expected = hwr_jax.scan(page, model=onnx_reader.load(folder), mode="line").to_json()
    assert (code, err.splitlines()[0]) == (0, f"{folder}: trained on mnist")
    assert values(out) == values(json.dumps([expected]))


def test_without_onnxruntime_an_exported_model_is_refused(hwr_read, page, onnx_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    folder = onnx_model()
    code, _, err = hwr_read(f"--workdir={folder}", page)
    assert (code, err) == (64, f"hwr_read: {folder / 'model.onnx'} needs onnxruntime: pip install onnxruntime\n")


def test_a_model_of_lines_does_not_read_pages(hwr_read, page, onnx_model):
    code, _, err = hwr_read(f"--workdir={onnx_model(reads='strings', longest=5, beam=8)}", page)
    assert code == 64
    assert "this model reads lines, and a page is read character by character" in err


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("config", lambda text: text.replace('"resnet"', '"cnn"'), "config.model.name=cnn is not possible here: use "),
        ("config", lambda text: text[:-9], "its files do not fit together (JSONDecodeError: "),
        ("config", lambda text: "{}", "its files do not fit together (KeyError: "),
        ("config", lambda text: text.replace('"blocks": 1', '"blocks": 2'), "the weights have 7 normalisations, but "),
        ("environment", lambda text: "[]", "its files do not fit together (TypeError: "),
        ("environment", lambda text: text.replace(" 28,", " 32,"), "do not fit together (ValueError: images must be "),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_used_is_named(hwr_read, page, released, name, edit, words):
    folder = released(**{name: edit})
    code, out, err = hwr_read(f"--workdir={folder}", page)
    assert (code, out, err.count("\n")) == (64, "", 1)
    assert err.startswith(f"hwr_read: {folder}")
    assert words in err


def test_damaged_weights_and_a_missing_folder_are_named(hwr_read, page, released, tmp_path):
    weights = released() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    code, _, err = hwr_read(f"--workdir={weights.parent}", page)
    assert (code, err) == (74, f"hwr_read: {weights} is damaged (its sum is wrong): install hwr_read again, or export "
                               "the run again\n")  # fmt: skip
    code, _, err = hwr_read(f"--workdir={tmp_path / 'none'}", page)
    assert code == 64
    assert err.startswith(f"hwr_read: {tmp_path / 'none'} holds no released model: ")


def test_what_cannot_be_read_is_named_and_the_others_are_read(hwr_read, page, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    code, out, err = hwr_read("--format=json", tmp_path / "bad.png", tmp_path / "none.png", page)
    assert code == 66
    assert [one["image"] for one in json.loads(out)] == [str(page)]
    assert [line.count(":") >= 2 for line in err.splitlines()[1:]] == [True, True]
    assert "bad.png" in err
    assert "none.png: No such file" in err


def test_what_follows_two_hyphens_is_a_picture(hwr_read, page, monkeypatch):
    monkeypatch.chdir(page.parent)
    Path("--help").write_bytes(page.read_bytes())
    code, out, _ = hwr_read("--format=json", "--", "--help")
    assert (code, json.loads(out)[0]["image"]) == (0, "--help")


def test_the_help_and_the_version(hwr_read):
    code, out, err = hwr_read("--help")
    assert (code, err) == (0, "")
    assert out.startswith("usage: hwr-read [--FLAG=VALUE ...] PICTURE...\n")
    assert "  --reject_below=X            Write ? for a digit whose" in out
    assert hwr_read("--version", "x") == (0, f"hwr_read {hwr_jax.__version__}\n", "")


def test_a_defect_is_said_to_be_one_and_an_interruption_is_none(hwr_read, slim, page, monkeypatch):
    def fail(folder):
        raise AssertionError("broken")

    monkeypatch.setattr(slim, "load", fail)
    code, _, err = hwr_read(page)
    assert code == 70
    assert err.startswith("Traceback")
    assert err.endswith("hwr_read: internal error (this is a defect of hwr_read): AssertionError: broken\n")
    monkeypatch.setattr(slim, "load", lambda folder: signal.raise_signal(signal.SIGINT))
    assert hwr_read(page) == (130, "", "hwr_read: interrupted\n")
