"""The pages for people: whatever a page names (a file, a heading, a config, a key, a command, a flag) exists."""

import importlib
import re
from pathlib import Path

import pytest

from hwr_jax.config import configs
from hwr_jax.studies import spec

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for place in ("", "docs", "docs/reference", "experiments", "reader", ".github")
    for path in (ROOT / place).glob("*.md")
)
PAGES += [*sorted((ROOT / "experiments").glob("*/*.md")), ROOT / "reader" / "README.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:href|src)=\"([^\"]+)\"")
PATH = re.compile(r"(?<![\w./-])((?:hwr_jax|scripts|tests|configs|experiments|docs)/[\w./-]*\w)")
CODE = re.compile(r"```.*?```", re.DOTALL)
KEYS = configs.flatten(configs.load(ROOT / "configs" / "base.py"))
COMMANDS = sorted(path.stem for path in (ROOT / "hwr_jax").glob("[a-z]*.py"))


def named(pattern, page):
    """What the pattern finds in a page, without repetition; not in messages, which may be about what does not exist."""
    return sorted(set(pattern.findall(re.sub(r"```console.*?```", "", page.read_text(), flags=re.DOTALL))))


def is_placeholder(path):
    """Whether a path has a part such as NAME, which stands for another."""
    return any(re.fullmatch(r"[A-Z]{2,}(\.\w+)?", part) for part in Path(path).parts)


def anchors(page):
    """The names of a page's headings in links, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_pages_are_found():
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "architecture.md", "quickstart.md", "LOG.md"} <= {
        page.name for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_resolves(page):
    links = [a or b for a, b in LINK.findall(CODE.sub("", page.read_text()))]
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert target.resolve().is_relative_to(ROOT), f"{page.name} links to {link}, outside of the repository"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_that_a_page_names_exists(page):
    paths = [path for path in named(PATH, page) if not is_placeholder(path)]
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_config_that_a_page_names_exists(page):
    for name in named(re.compile(r"--config=([\w./-]+(?::[\w.=+-]*\w)?)"), page):
        path = name if "/" in name else re.sub(r"^(\w+)", r"configs/\1.py", name)  # --config=cnn, the packaged one
        if not is_placeholder(path.partition(":")[0]):
            configs.load(ROOT / path)  # raises ConfigError where the file or the variant is missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_key_that_a_page_names_is_in_the_base_config(page):
    for key in named(re.compile(r"\bconfig\.([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)(?![\w(])"), page):
        if key not in ("json", "py"):  # config.json is a file
            assert key in KEYS or any(known.startswith(f"{key}.") for known in KEYS), f"{page.name} names config.{key}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_names_has_its_flags(page):
    for verb, arguments in re.findall(r"-m hwr_jax\.(\w+)([^\n#`|]*)", page.read_text()):
        assert verb in COMMANDS, f"{page.name} names hwr_jax.{verb}"
        known = importlib.import_module(f"hwr_jax.{verb}").FLAGS
        for flag in re.findall(r"--(\w+)(?![\w.])", arguments):
            assert flag in known or flag in ("help", "FLAG"), f"{page.name} gives --{flag} to hwr_jax.{verb}"


def test_the_architecture_lists_every_folder_of_the_package():
    table = re.findall(r"^\| `(\w+)/` \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(path.parent.name for path in (ROOT / "hwr_jax").glob("*/__init__.py"))


@pytest.mark.parametrize(
    ("page", "variants"), [("studies", {"none", "some", "half"}), ("quickstart", {"none", "half"})]
)
def test_the_example_of_a_study_is_a_study(page, variants, tmp_path):
    example = re.search(r"```python\n(.*?QUESTION.*?)```", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "study.py").write_text(example[1])
    assert set(spec.checked(tmp_path).variants) == variants
