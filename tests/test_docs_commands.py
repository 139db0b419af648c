"""Every command and every Python example in a page is run: here, by another test, or the page or NOT_RUN says why not.

A command is run here in a folder with a small trained run and a few pictures. `main` gets --summary, which checks the
flags, config and keys and builds the network, and the digits that are always there; other tests train.
"""

import contextlib
import fnmatch
import io
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from hwr_jax.core import files
from hwr_jax.models import registry
from hwr_jax.optim import optimizers

ROOT = Path(__file__).parent.parent
NAMES = ("README.md", "CONTRIBUTING.md", "docs/course/index.md", "experiments/README.md", "reader/README.md")
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").glob("*.md"))]
HELP = ROOT / "docs" / "commands.md"  # the help of every verb, with examples
KINDS = {"sh", "python", "console", "text", "yaml", "bibtex", "kotlin", "swift"}  # what is run: the first three
BLOCK = re.compile(
    r"(?P<why><!-- (?:not run:|run by) (?:.|\n)+? -->\n)?^```(?P<kind>\w+)\n(?P<text>(?:.|\n)*?)^```$", re.MULTILINE
)

# Commands (a pattern of the whole line) that another test runs, with the same flags or in a smaller size.
ELSEWHERE = {
    r"python -m pytest": "tests/test_packaging.py::test_ci_runs_the_test_command_of_the_readme",
    r"python -m hwr_jax.main --config=configs/cnn.py": (
        "tests/test_main.py::test_without_mnist_the_main_job_says_so_and_runs_on_digits"
    ),
    r"python -m hwr_jax.main --config=configs/crnn.py .*data.name=folder.*": (
        "tests/data/test_own_lines.py::test_a_run_learns_own_lines_and_is_evaluated_on_others"
    ),
    r"python -m hwr_jax.main --config=configs/finetune.py .*": (
        "tests/training/test_transfer.py::test_a_run_learns_own_pictures_of_some_classes_and_rehearses_the_old_data"
    ),
    r"python -m hwr_jax.main --config=experiments/\w+/study.py:\w+": (
        "tests/studies/test_study.py::test_a_variant_is_an_ordinary_config_and_its_trials_have_the_bits_of_the_main_job"
    ),
    r"python -m hwr_jax.evaluate .*--dataset=folder .*": (
        "tests/test_evaluate.py::test_words_match_digits_and_every_picture_counts"
    ),
    r"python -m hwr_jax.verify --workdir=\S+": (
        "tests/checks/test_reproduction.py::"
        "test_a_run_is_reproduced_to_the_bit_in_another_process_with_its_number_of_threads"
    ),
    r"python -m hwr_jax.verify .*--quick": (
        "tests/checks/test_reproduction.py::test_another_version_is_named_and_the_first_epoch_alone_is_quick"
    ),
    r"python -m hwr_jax.compare --format=csv runs/\* .*": (
        "tests/test_compare.py::test_csv_and_json_are_the_same_numbers_and_out_writes_both"
    ),
    r"python -m hwr_jax.benchmark --config=fast --parts=.*": (
        "tests/benchmarks/test_benchmark.py::test_it_measures_parts_and_keeps_those_of_an_earlier_call"
    ),
    r"python -m hwr_jax.benchmark .*--peers_dir=.*": (
        "tests/benchmarks/test_benchmark.py::test_pytorch_is_measured_in_turns_by_the_python_that_has_it"
    ),
    r"python -m hwr_jax.benchmark .*--parts=twin .*": (
        "tests/benchmarks/test_twin.py::test_the_faster_form_of_the_twin_counts_in_each_turn"
    ),
    r"python -m hwr_jax.evaluate --pages=FOLDER": (
        "tests/inference/test_page_scores.py::test_evaluate_says_how_well_pages_are_read"
    ),
    r"python -m hwr_jax.serve --workdir=.*": "tests/test_serve.py::test_a_run_is_served_with_its_own_model",
    r"python -m hwr_jax.doctor": "tests/checks/test_health.py::test_a_healthy_machine_has_nothing_bad",
    r"python -m hwr_jax.study .*--dry_run": (
        "tests/studies/test_study.py::test_a_dry_run_without_records_times_each_variant"
    ),
    r"python -m hwr_jax.study .*--engine=ray": (
        "tests/studies/test_ray_cluster.py::test_two_workers_one_of_them_killed_give_the_records_of_one_process"
    ),
    r"python -m hwr_jax.study .*--seeds=\d+": (
        "tests/studies/test_study.py::test_only_some_variants_and_more_seeds_are_added_to_what_is_there"
    ),
    r"python -m hwr_jax.study .*--report": (
        "tests/studies/test_committed.py::test_a_report_is_made_from_its_records_to_the_byte"
    ),
    r"python -m hwr_jax.study --study=\S+( --out=\S+)?": (
        "tests/studies/test_study.py::test_a_study_trains_every_variant_with_the_same_seeds_and_reports"
    ),
    r"python -m hwr_jax.search .*--minutes=\d+( --trials=\d+)?": (
        "tests/tuning/test_search.py::test_a_killed_search_resumes_and_its_running_trial_counts_as_interrupted"
    ),
    r"python -m hwr_jax.evaluate --workdir=runs/cnn": (
        "tests/test_main.py::test_evaluate_reproduces_the_test_numbers_to_the_digit"
    ),
    r"python -m hwr_jax.evaluate .*--split=validation --checkpoint=best": (
        "tests/test_main.py::test_evaluate_takes_split_checkpoint_and_seed"
    ),
    r"python -m hwr_jax.figures --workdir=\S+( --only=\S+)?( --dark)?": (
        "tests/test_figures.py::test_a_run_gets_every_figure"
    ),
    r"python -m hwr_jax.figures --workdir=\S+ --compare=.*": (
        "tests/test_figures.py::test_several_runs_share_the_figures_that_can_show_them"
    ),
    r"python -m hwr_jax.figures --workdir=\S+ --image=\S+": (
        "tests/test_figures.py::test_ones_own_picture_is_shown_as_the_model_sees_it"
    ),
    r"python -m hwr_jax.predict --workdir=runs/cnn .*": (
        "tests/test_main.py::test_predict_reads_pictures_in_three_formats"
    ),
    r"python -m hwr_jax.predict --workdir=runs/crnn .*": (
        "tests/data/test_own_lines.py::test_a_run_learns_own_lines_and_is_evaluated_on_others"
    ),
    r"python -m hwr_jax.export .*--format=onnx --quantize=int8 .*": (
        "tests/test_export.py::test_a_quantised_file_is_smaller_and_says_what_it_costs"
    ),
    r"python -m hwr_jax.export --format=onnx .*": (
        "tests/inference/export/test_making.py::test_the_default_model_is_the_same_in_onnx_and_small"
    ),
    r"python -m hwr_jax.export .*--format=safetensors .*": (
        "tests/test_export.py::test_one_seed_as_safetensors_and_stablehlo_in_one_folder"
    ),
    r"python -m hwr_jax.export --format=web .*": (
        "tests/test_export.py::test_the_page_is_written_to_a_folder_of_its_own"
    ),
    r"python -m hwr_jax.serve": "tests/test_serve.py::test_the_answer_is_the_json_of_the_verb",
    r"python -m hwr_jax.serve .*--api_key_file=.*": (
        "tests/test_serve.py::test_with_a_key_in_the_environment_requests_need_it"
    ),
    r"curl .*": "tests/test_serve.py::test_the_answer_is_the_json_of_the_verb",
    r"hwr-read .*": "tests/test_slim_reader.py::test_it_prints_what_scan_prints",
    r"python -c .*hwr_read.*": "tests/test_slim_reader.py::test_from_python_it_is_the_same",
    r"python scripts/launch_local.py .*": (
        "tests/distributed/test_processes.py::"
        "test_two_processes_train_the_same_parameters_and_one_reads_what_they_wrote"
    ),
    r"python scripts/serve_site.py": "tests/test_serve_site.py::test_a_page_is_shown_and_shown_anew_when_it_is_saved",
    r"pip install ./reader": "tests/test_slim_reader.py::test_with_its_dependencies_alone_it_reads_what_scan_reads",
}
# Commands that no test runs, and why.
NOT_RUN = {
    r"python -m pytest -m \w+": "the suite itself, which .ci/run starts",
    r"python (-m (ruff|ty|codespell_lib)|scripts/(course|check_site|docstrings|prose)\.py)( .*)?": "a step of .ci/run",
    r"\.ci/run": "what CI runs",
    r"tensorboard .*": "no part of hwr_jax, which only writes its files",
    r"python -m pip install .*": "installs packages into the environment that runs the tests",
    r"python -c .*secrets.*": "Python's own",
    r"podman .*": "needs a container engine; tests/web/test_deploy.py checks what goes into the image",
}


def blocks(page, *kinds):
    """The texts of a page's blocks of these kinds that are to be run."""
    return [m["text"] for m in BLOCK.finditer(page.read_text()) if m["kind"] in kinds and not m["why"]]


def examples(page):
    """The examples in a verb's help, without the remark behind two spaces."""
    lines = re.findall(r"^    (python .*)$", "\n".join(blocks(page, "text")), re.MULTILINE) if page == HELP else []
    return [re.sub(r"  +\(.*\)$", "", line) for line in lines]


def commands(page):
    """The commands of a page, each as one line without comment, as in an environment that has the package."""
    variables = {}
    for text in (*blocks(page, "sh"), *examples(page)):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                name, _, value = words.pop(0).partition("=")
                variables[f"${name}"] = value
            if words:
                words = ["python", *words[2:]] if words[:2] == ["python3", "scripts/run.py"] else words
                joined = " ".join(shlex.quote(word) if " " in word or ";" in word else word for word in words)
                yield re.sub(r"\$[A-Z]+", lambda found: variables[found[0]], joined)


ALL = sorted({re.sub("runs/(cnn5|mine)", "runs/cnn", command) for page in PAGES for command in commands(page)})
LONG = {r".*--corruptions": "exhaustive", r"own-(network|optimiser)\.md": "slow"}  # read 37,500 images; train


def marked(cases, name):
    """The cases; the long ones with the mark that keeps them out of the default suite."""
    found = [[getattr(pytest.mark, m) for pattern, m in LONG.items() if re.fullmatch(pattern, name(c))] for c in cases]
    return [pytest.param(case, marks=marks) for case, marks in zip(cases, found, strict=True)]


HERE = [line for line in ALL if not any(re.fullmatch(pattern, line) for pattern in (*ELSEWHERE, *NOT_RUN))]
EXAMPLES = [(page, i) for page in PAGES for i in range(len(blocks(page, "python")))]
SUMMARY = ("--summary", "--config.data.name=digits", "--config.data.validation_examples=200")


@pytest.fixture(scope="module")
def place(two_seeds, caches, tmp_path_factory):
    """A folder like the clone of somebody who has trained, with a few pictures."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "none").mkdir()  # a cache without data; building our kernels there would take ten seconds
    (folder / "none" / "kernels").symlink_to(f"{caches['HWR_CACHE_DIR']}/kernels")
    for name in ("configs", "docs"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("cnn", "nesterov", "cnn20/0", "cnn20/1"):
        shutil.copytree(two_seeds[0], folder / "runs" / name)
    _of_seeds(folder / "runs" / "cnn20" / "1", [2, 3])
    digit = np.full((60, 60), 235, np.uint8)
    digit[14:46, 27:33] = 40  # a 1
    row = np.concatenate([digit, digit, digit], 1)
    for name in ("photo.jpg", "scan.png", "FOLDER/a.png", "FOLDER/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(digit).save(folder / name)
    for name in ("page.jpg", "code.png", "scans/1.png", "scans/2.png", "forms/1.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(row).save(folder / name)
    for name in ("letters.pdf", "faxes.tiff"):
        Image.fromarray(row).save(folder / name, save_all=True, append_images=[Image.fromarray(row)])
    shutil.copy(ROOT / "tests" / "fixtures" / "turned.heic", folder / "IMG_1.heic")
    (folder / "notes.txt").write_text("no picture\n")
    return folder


def _of_seeds(folder, seeds):
    """Makes a run one of other seeds, as a task of an array leaves it."""
    for name, change in (("config.json", {"seed": seeds[0]}), ("summary.json", {"seeds": seeds})):
        files.write_json(folder / name, {**files.read_json(folder / name), **change})
    with np.load(folder / "predictions.npz") as kept:
        np.savez(folder / "predictions.npz", **{**kept, "seeds": np.array(seeds)})


def test_every_command_is_run_or_has_a_reason_and_no_row_of_the_tables_is_idle():
    assert len(ALL) > 50, len(ALL)
    for pattern in (*ELSEWHERE, *NOT_RUN):
        assert any(re.fullmatch(pattern, line) for line in ALL), f"no page has a command like {pattern}"
    assert "python -m hwr_jax.scan --mode=line --debug=steps code.png" in HERE  # of the help alone
    assert any("scripts/course.py --out=course" in line for line in ALL)
    for line in HERE:
        assert re.match(r"python (-m hwr_jax\.(main|evaluate|predict|scan|compare) |-c )", line), (
            f"{line}: add what runs it to a table of this file, or <!-- not run: why --> to the page"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_block_of_a_page_escapes(page):
    found = [*BLOCK.finditer(page.read_text())]
    assert {m["kind"] for m in found} <= KINDS
    rest = BLOCK.sub("", page.read_text())
    assert not re.search(r"^\s*(```|~~~)", rest, re.MULTILINE), "a fence that is indented, unlabelled or left open"
    indented = re.search(
        r"^(    |\t)(\$ )?(python3?|hwr|hwr-read|pip|bash|curl|scripts/|\./|\.ci/).*$", rest, re.MULTILINE
    )
    assert not indented, f"{indented[0]}: a command stands in a block that begins with ```sh"
    for test in re.findall(r"<!-- run by (\S+?)(?:::\w+)? -->", page.read_text()):
        assert (ROOT / test).is_file(), test


def test_no_other_page_has_commands():
    chapters = re.compile(r"docs/course/\d\d_\w+\.md")  # made from their sources, which CI executes
    folders = ("docs", "experiments", "hwr_jax", "reader", "scripts", "tests", "configs")
    every = [*ROOT.glob("*.md"), *(path for name in folders for path in (ROOT / name).rglob("*.md"))]
    others = [path for path in every if path not in PAGES and not chapters.fullmatch(str(path.relative_to(ROOT)))]
    assert len(others) > 30, "reports and the pages of the reference"
    assert [
        path for path in others if re.search(r"^\s*```(sh|bash|shell|console)", path.read_text(), re.MULTILINE)
    ] == []


def test_the_steps_of_ci_are_in_it():
    steps = (ROOT / ".ci" / "run").read_text()
    (pattern,) = [pattern for pattern, why in NOT_RUN.items() if why == "a step of .ci/run"]
    lines = [line.split() for line in ALL if re.fullmatch(pattern, line)]
    assert len(lines) >= 6
    for words in lines:
        step = words[1 : 4 if words[2:3] == ["ruff"] else 3 if words[1] == "-m" else 2]
        assert f"python3 scripts/run.py {' '.join(step)}" in steps


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_the_tests_that_run_the_other_commands_exist(test):
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", marked(HERE, str))
def test_a_command_does_what_the_page_says(line, place, command, here, monkeypatch):
    words = shlex.split(line)
    words = words[: words.index(">")] if ">" in words else words
    if words[1] == "-c":
        monkeypatch.chdir(place)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(words[2], {})
        assert said.getvalue().strip() == "111"
        return
    verb = words[2].removeprefix("hwr_jax.")
    done = command(verb, *words[3:], *(SUMMARY if verb == "main" else []), cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_messages_of_the_faq_are_what_the_commands_print(place, command):
    seen = 0
    offline = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    for text in blocks(ROOT / "docs" / "faq.md", "console"):
        for line, said in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            words = shlex.split(line)
            env = dict(words.pop(0).split("=", 1) for _ in list(words) if "=" in words[0])
            if words[0] == "mkdir":
                (place / words[2]).mkdir(parents=True)
                continue
            done = command(words[2].removeprefix("hwr_jax."), *words[3:], cwd=place, env={**offline, **env})
            pattern = said.strip().replace("[", "[[]").replace("...", "*")
            assert fnmatch.fnmatchcase(done.stderr.strip(), pattern), f"{line} prints {done.stderr}"
            seen += 1
    assert seen >= 11


@pytest.mark.parametrize(
    "example", marked(EXAMPLES, lambda one: one[0].name), ids=lambda one: f"{one[0].relative_to(ROOT)}-{one[1]}"
)
def test_an_example_in_python_runs(example, place, here, monkeypatch):
    page, number = example
    monkeypatch.chdir(place)
    names = {"__name__": "example"}
    kept = mock.patch.dict(optimizers.OPTIMIZERS), mock.patch.dict(registry.MODELS)  # an example may add a row
    with contextlib.redirect_stdout(io.StringIO()), kept[0], kept[1]:
        exec(compile(blocks(page, "python")[number], str(page), "exec"), names)
    if "get_config" in names:
        names["get_config"]()


def test_a_task_of_a_slurm_array_trains_its_seed_in_its_folder(tmp_path):
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    line = ["bash", str(ROOT / "scripts" / "slurm_array.sbatch"), "runs/cnn20", "--config=configs/cnn.py"]
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "7"}
    done = subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == (
        ".venv/bin/python -m hwr_jax.main --config=configs/cnn.py --config.seed=7 --workdir=runs/cnn20/7\n"
    )
    del env["SLURM_ARRAY_TASK_ID"]
    done = subprocess.run(line, env=env, capture_output=True, text=True)
    assert done.returncode == 64
    assert "sbatch --array=0-19 scripts/slurm_array.sbatch FOLDER --config=configs/cnn.py" in done.stderr
