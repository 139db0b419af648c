"""The pages to look things up in are complete: every config key, environment variable, folder of the package, page."""

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

from hwr_jax import data
from hwr_jax.config import configs
from hwr_jax.data import find

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SITE = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
ELSEWHERE = {
    "SLURM_ARRAY_TASK_ID",
    "SLURM_SUBMIT_DIR",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "JAX_PLATFORMS",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "NETRC",
    "WANDB_ERROR_REPORTING",
    "MLFLOW_DISABLE_TELEMETRY",
}  # read by scripts of the shell, by JAX, by requests and by the trackers
NOT_FOR_USERS = {"PATH", "PYTHONPATH"}  # which scripts/run.py and the trackers hand on


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        for name in ("reference_tables", "check_site"):
            spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return lambda name: sys.modules[name]


def test_the_tables_of_keys_commands_and_exit_codes_are_up_to_date(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["reference_tables.py", "--check"])
    assert script("reference_tables").main() == 0, "run scripts/reference_tables.py"


def test_every_config_key_is_in_the_table_once_and_has_a_meaning():
    rows = re.findall(
        r"^\| `([\w.]+)` \| `.*?` \| (.*?) \| (.*?) \|$", (DOCS / "config-keys.md").read_text(), re.MULTILINE
    )
    assert sorted(key for key, _, _ in rows) == sorted(configs.flatten(configs.load(ROOT / "configs" / "base.py")))
    for key, allowed, meaning in rows:
        assert allowed, key
        assert len(meaning) > 3, key
        assert "the same" not in meaning.split(",")[0], key


def variables():
    """The names that the package, its set-up and the reader look for in the environment."""
    found = {find.variable(source) for source in data.SOURCES.values()} - {"HWR_DIGITS_DIR"}  # comes with scikit-learn
    for path in [*(ROOT / "hwr_jax").rglob("*.py"), *(ROOT / "reader").rglob("*.py"), ROOT / "scripts" / "run.py"]:
        tree = ast.parse(path.read_text())
        names = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript):
                owner, asked = node.value, node.slice
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                owner, asked = node.func.value, node.args[0]
            elif isinstance(node, ast.Compare):
                owner, asked = node.comparators[0], node.left
            else:
                continue
            if ast.unparse(owner) in ("os.environ", "env"):
                found |= {text for text in strings(asked, names) if re.fullmatch("[A-Z][A-Z0-9_]{3,}", text)}
    return found


def strings(node, names):
    """The constants that an expression may be."""
    if isinstance(node, ast.Attribute):
        return {"machine.THREADS": {"NPROC"}}.get(ast.unparse(node), set())
    if isinstance(node, ast.Name):
        value = names.get(node.id)
        if value is None:
            return {"KEY": {"HWR_API_KEY"}}.get(node.id, set())
        return strings(value, {})
    if isinstance(node, ast.IfExp):
        return strings(node.body, names) | strings(node.orelse, names)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_every_environment_variable_that_is_read_has_a_line_and_no_line_is_idle():
    read = variables() - NOT_FOR_USERS
    assert {"HWR_MNIST_DIR", "HWR_CACHE_DIR", "NPROC", "XLA_FLAGS", "SLURM_STEP_NUM_TASKS", "HWR_API_KEY"} <= read
    listed = set(re.findall(r"`([A-Z][A-Z0-9_]{4,})`", (DOCS / "environment.md").read_text()))
    assert listed == read | ELSEWHERE


def pages(nav):
    """The pages of a navigation, in its order."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in pages(part)]


def test_every_page_is_in_the_navigation_once_and_every_folder_of_the_package_has_one():
    listed = pages(SITE["nav"])
    assert len(listed) == len(set(listed))
    written = {path.relative_to(ROOT).as_posix() for place in (DOCS, DOCS / "reference") for path in place.glob("*.md")}
    assert {page for page in listed if re.fullmatch(r"docs/(reference/)?[\w-]+\.md", page)} == written
    sources = [path.with_suffix(".md").relative_to(ROOT).as_posix() for path in sorted(DOCS.glob("course/[0-9]*.py"))]
    assert [page for page in listed if page.startswith("docs/course/")] == ["docs/course/index.md", *sources]
    assert all((ROOT / page).is_file() for page in set(listed) - set(sources))
    folders = re.findall(r"^\| `(\w+)/` \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    reference = [Path(page).stem for page in listed if page.startswith("docs/reference/")]
    assert reference == ["index", *folders]
    for name in folders:
        assert f"::: hwr_jax.{name}\n" in (DOCS / "reference" / f"{name}.md").read_text()


def test_the_site_loads_no_font_and_is_built_with_what_the_lock_pins():
    assert SITE["theme"]["font"] is False
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    assert all("==" in line for line in extras)
    assert "\npython3 scripts/run.py scripts/check_site.py\n" in (ROOT / ".ci" / "run").read_text()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.fixture
def site(script, tmp_path, monkeypatch):
    """Returns problems(html): what the check says of a site of that page and another."""
    check = script("check_site")
    monkeypatch.setattr(check, "SITE", tmp_path)
    monkeypatch.setattr(check, "ROOT", tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<h1 id="top">Other</h1>')
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty.png").write_bytes(b"0")

    def problems(html, css=""):
        (tmp_path / "index.html").write_text(html)
        (tmp_path / "site.css").write_text(css)
        return list(check.problems())

    return problems


def test_the_check_lets_a_good_page_through(site):
    assert not site(
        '<a href="other/#top">a</a><a href="https://example.org/x">b</a><a href="#c"></a><p id="c">5 - 3 '
        '<code>- x</code></p><img src="picture.png"><img src="data:image/png;base64,"><a href="."></a>',
        css="a { background: url(data:image/svg+xml,x) }",
    )


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ('<a href="none/">a</a>', "links to none/, which is not there"),
        ('<a href="../../etc">a</a>', "which is not there"),
        ('<a href="other/#nowhere">a</a>', "links to other/#nowhere, where there is no such anchor"),
        ('<img src="empty.png">', "loads empty.png, which is no picture"),
        ('<img src="none.png">', "loads none.png, which is not there"),
        ('<script src="https://example.org/a.js"></script>', "loads https://example.org/a.js, from elsewhere"),
        ('<link rel="preconnect" href="https://fonts.example.org">', "from elsewhere"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "from elsewhere"),
        ("<p>What follows:\n- one\n- two</p>", "shows Markdown as it is: '- one"),
        ("<p>\n| a | b |</p>", "shows Markdown as it is"),
    ],
)
def test_the_check_finds(site, html, words):
    found = site(html)
    assert len(found) == 1
    assert words in found[0]


def test_the_check_finds_a_doctest_that_became_a_quotation(site, tmp_path):
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "index.html").write_text("<blockquote>import jax</blockquote>")
    assert site("<blockquote>a quotation</blockquote>") == [
        "reference/index.html has a quotation: a doctest that was not understood"
    ]


def test_the_check_finds_a_font_from_elsewhere_and_a_module_without_documentation(site, tmp_path):
    assert site("", css="@import url('https://fonts.example.org/x');") == [
        "site.css loads https://fonts.example.org/x, from elsewhere"
    ]
    (tmp_path / "hwr_jax" / "core").mkdir(parents=True)
    (tmp_path / "hwr_jax" / "core" / "new.py").write_text("")
    assert site("") == ["docs/reference/ has nothing about hwr_jax.core.new"]
