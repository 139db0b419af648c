"""Studies: every trial is trained once, whatever interrupts it, bit-identical to the main job; errors are sentences."""

import io
import json
import os
import shutil
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from configs import base
from hwr_jax.core import canvas, files, rng
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.core.types import Outputs
from hwr_jax.distributed import signals
from hwr_jax.studies import comparison, figures, live, local, report, results, scores, spec, tables, trial, verdict

STUDY = """
from configs import base, digits

QUESTION = "Which learning rate is best?"
VARIANTS = {
    "slow": {"optim.learning_rate": 2e-3},
    "fast": {"optim.learning_rate": 2e-2},
    "huge": {"optim.learning_rate": 1e30},
    "three": {"optim.learning_rate": 2e-2, "seeds": 3},
}
BASELINE = "slow"
SEEDS = 3


def get_config(variant: str = BASELINE):
    config = digits.get_config("smoke")
    config.model.name, config.model.hidden = "mlp", (32,)
    config.epochs = 2
    config.augment.update(shift_px=0.0, rotate_deg=0.0, scale=0.0, shear_deg=0.0)
    return base.override(config, VARIANTS, variant)
"""
TIMES = ("train_seconds", "compile_seconds", "seconds")


@pytest.fixture
def make(experiment):
    """Returns make(text): the path of study.py with it."""
    return lambda text=STUDY: experiment("study.py", text)


def untimed(folder):
    """The records without their seconds."""
    return [{k: v for k, v in r.items() if k not in TIMES} for r in files.read_json_lines(folder / results.FILE)]


@pytest.fixture(scope="module")
def finished(command, tmp_path_factory):
    """The folder of a whole study, and its output."""
    root = tmp_path_factory.mktemp("study")
    shutil.copytree("configs", root / "configs")
    folder = root / "experiments" / "rates"
    folder.mkdir(parents=True)
    (folder / "study.py").write_text(STUDY)
    done = command("study", f"--study={folder}", figures=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_study_trains_every_variant_with_the_same_seeds_and_reports(finished):
    folder, output = finished
    records = files.read_json_lines(folder / results.FILE)
    assert [(r["variant"], r["seed"]) for r in records] == [
        (v, s) for v in ("slow", "fast", "huge", "three") for s in range(3)
    ]
    text = (folder / "report.md").read_text()
    for words in ("**Which learning rate is best?**", "`huge` 3 of 3", "| `slow` (baseline) |", "curves.png"):
        assert words in text
    few = "No test is possible for `three` and `fast`: with 3 seeds no result can be significant among 2 comparisons; "
    assert few in text or few.replace("`three` and `fast`", "`fast` and `three`") in text
    assert "; 7 seeds are needed. `huge` always diverged. Best on validation: `" in text
    assert not (folder / "differences.png").exists()  # there is nothing to tell
    for name in ("curves.png", "time.png"):
        assert (folder / name).stat().st_size > 5_000
    assert "fast, seed 2: test accuracy" in output
    assert "huge, seed 0: diverged; " in output


def test_a_record_has_the_curve_and_the_errors_behind_its_scores(finished, digits):
    label = np.asarray(digits.test.label)
    for record in files.read_json_lines(finished[0] / results.FILE):
        if record["variant"] == "huge":
            assert "not finite" in record["diverged"]
            assert "test" not in record
            continue
        assert record["curve"]["epoch"] == [1, 2]
        assert len(record["curve"]["validation_accuracy"]) == len(record["curve"]["train_loss"]) == 2
        wrong = record["test_errors"]
        assert record["test"]["accuracy"] == (len(label) - len(wrong)) / len(label)
        assert all(label[i] != read for i, read in zip(wrong, record["test_errors_read"], strict=True))
        assert (
            record["curve"]["validation_accuracy"][-1] == record["validation"]["accuracy"]
            or record["variant"] == "three"
        )


def test_a_variant_is_an_ordinary_config_and_its_trials_have_the_bits_of_the_main_job(finished, command, tmp_path):
    folder, _ = finished
    done = command("main", f"--config={folder}/study.py:fast", "--config.seeds=3", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    summary = files.read_json(tmp_path / "run" / "summary.json")
    predictions = np.load(tmp_path / "run" / "predictions.npz")
    curves = [line for line in files.read_json_lines(tmp_path / "run" / "metrics.jsonl") if line["split"] == "train"]
    for i, record in enumerate(r for r in untimed(folder) if r["variant"] == "fast"):
        for split in ("validation", "test"):
            for name, value in record[split].items():
                assert value == summary[split][name]["per_seed"][i]
        wrong = np.flatnonzero(predictions["pred"][i] != predictions["label"])
        assert record["test_errors"] == wrong.tolist()
        assert record["curve"]["train_loss"] == [line["per_seed"]["loss"][i] for line in curves]


def test_an_ensemble_is_scored_by_the_mean_probability_of_its_members(finished, digits, here, optimised):
    """The members of a trial are other seeds than those of any other."""
    study = spec.load(finished[0] / "study.py")
    config = study.configs["three"].copy_and_resolve_references()
    config.seeds = 1
    compiled = trial.compile_config(config, digits, block=3, devices=1, log=print)
    seeds = [1, 1 + trial.MEMBERS_APART, 1 + 2 * trial.MEMBERS_APART]
    with signals.Signals() as handlers:
        alone = trial.train(compiled, [trial.Trial(config, seed) for seed in seeds], handlers)
    together = next(r for r in untimed(finished[0]) if (r["variant"], r["seed"]) == ("three", 1))
    assert together["curve"]["train_loss"] == pytest.approx(
        np.mean([r["curve"]["train_loss"] for r in alone], axis=0).tolist(), rel=1e-12
    )
    common = set.intersection(*(set(r["test_errors"]) for r in alone))
    assert any(together["test_errors"] != r["test_errors"] for r in alone)
    read = [dict(zip(r["test_errors"], r["test_errors_read"], strict=True)) for r in alone]
    agreed = {i for i in common if len({r[i] for r in read}) == 1}  # three that agree are not overruled
    assert agreed <= set(together["test_errors"])


@pytest.mark.exhaustive
def test_ensembles_that_differ_in_a_rate_alone_are_trained_at_once(digits, smoke, here):
    """By a program that was compiled for another rate, beside each other; alone, by one of their own."""
    small = {"epochs": 1, "seeds": 2, "model__name": "mlp", "model__hidden": (32,)}
    configs = [smoke(optim__learning_rate=rate, **small) for rate in (1e-3, 2e-2, 5e-3)]
    trials = [trial.Trial(config, 3) for config in configs[1:]]
    with signals.Signals() as handlers:
        compiled = trial.compile_config(configs[0], digits, block=2, devices=1, log=print)
        together = trial.train(compiled, trials, handlers)
        for one, found in zip(trials, together, strict=True):
            own = trial.compile_config(one.config, digits, block=1, devices=1, log=print)
            (alone,) = trial.train(own, [one], handlers)
            assert {k: v for k, v in found.items() if k not in TIMES} == {
                k: v for k, v in alone.items() if k not in TIMES
            }
    assert together[0]["curve"] != together[1]["curve"]


def test_the_mean_probability_decides(digits):
    label = np.array([0, 1])
    prob = [np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([[0.4, 0.6], [0.2, 0.8]])]
    each = [Outputs(np.zeros(2), p.argmax(1), p, p.max(1)) for p in prob]
    found = scores.ensemble(each, label)
    np.testing.assert_array_equal(found.pred, [0, 1])
    np.testing.assert_allclose(found.loss, -np.log([0.65, 0.6]))
    np.testing.assert_allclose(found.confidence, [0.65, 0.6])


@pytest.mark.exhaustive
def test_several_trials_at_once_are_those_of_one_by_one(finished, digits, here, optimised):
    study = spec.load(finished[0] / "study.py")
    names = ("fast", "huge", "three")
    jobs = [local.VariantJob(name, study.configs[name], [0, 1, 2]) for name in names]
    with signals.Signals() as handlers:
        found = list(local.run(jobs, lambda config: digits, handlers, block=2, devices=1, log=print))
    records = [{"variant": variant, **record} for variant, record in found]
    assert [{k: v for k, v in r.items() if k not in (*TIMES, "devices", "code")} for r in records] == [
        {k: v for k, v in r.items() if k not in ("devices", "code")}
        for r in untimed(finished[0])
        if r["variant"] in names
    ]


def test_a_trial_that_diverges_leaves_those_beside_it(digits, smoke, here):
    config = smoke(epochs=1, model__name="mlp", model__hidden=(32,))
    compiled = trial.compile_config(config, digits, block=3, devices=1, log=print)
    four, five, six = (trial.Trial(config, seed) for seed in (4, 5, 6))
    with signals.Signals() as handlers:
        expected = trial.train(compiled, [four, six], handlers)
        programs = compiled.programs
        bad = compiled._replace(programs=programs._replace(init=lambda seeds: poisoned(programs.init(seeds))))
        found = trial.train(bad, [four, five, six], handlers)
    assert "diverged" in found[1]
    assert found[1]["seed"] == 5
    for record, same in zip((found[0], found[2]), expected, strict=True):
        assert record["test"] == same["test"]


def poisoned(state):
    """The state with weights that are not finite in the row of seed 5, wherever it is."""
    keys = jax.random.key_data(state.key)
    bad = (keys == jax.random.key_data(rng.root(5))[None]).all(-1)

    def poison(x):
        return jnp.where(bad.reshape(-1, *[1] * (x.ndim - 1)), jnp.nan, x)

    return state._replace(params=jax.tree.map(poison, state.params))


def test_variants_that_differ_in_scalars_alone_are_compiled_once(finished, digits, here):
    records = files.read_json_lines(finished[0] / results.FILE)
    compiled = [(r["variant"], r["seed"]) for r in records if r["compile_seconds"]]
    assert compiled == [("slow", 0), ("three", 0)]  # fast and huge have the program of slow


def test_a_penalty_that_is_not_there_is_another_shape(smoke):
    shape = trial.shape_of(smoke())
    assert trial.shape_of(smoke(optim__learning_rate=0.5, optim__weight_decay=0.5)) == shape
    assert trial.shape_of(smoke(optim__weight_decay=0.0)) != shape
    assert trial.shape_of(smoke(optim__l2=1e-4)) != shape
    assert trial.shape_of(smoke(batch_size=16)) != shape
    scratch = {"model__name": "scratch", "over_seeds": "map"}
    assert trial.shape_of(smoke(optim__learning_rate=0.5, **scratch)) != trial.shape_of(smoke(**scratch))


def test_the_same_command_again_trains_nothing_and_the_report_is_the_same_to_the_byte(finished, command, tmp_path):
    folder, _ = finished
    before = (folder / results.FILE).read_bytes(), (folder / "report.md").read_bytes()
    done = command("study", f"--study={folder}/study.py")
    assert done.returncode == 0, done.stderr
    assert "nothing was trained" in done.stdout
    assert ((folder / results.FILE).read_bytes(), (folder / "report.md").read_bytes()) == before
    (folder / "report.md").unlink()
    done = command("study", f"--study={folder}/study.py", "--report")
    assert done.returncode == 0, done.stderr
    assert (folder / "report.md").read_bytes() == before[1]


def test_only_some_variants_and_more_seeds_are_added_to_what_is_there(finished, command, tmp_path):
    folder, _ = finished
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(folder / results.FILE, out)
    flags = (f"--study={folder}/study.py", f"--out={out}", "--only=fast,slow,fast", "--seeds=4")
    done = command("study", *flags, "--dry_run")
    assert done.returncode == 0, done.stderr
    assert "2 trials to train, about" in done.stdout
    assert "nothing was trained" in done.stdout
    assert len(files.read_json_lines(out / results.FILE)) == 12
    done = command("study", *flags)
    assert done.returncode == 0, done.stderr
    records = files.read_json_lines(out / results.FILE)
    assert [(r["variant"], r["seed"]) for r in records[12:]] == [("fast", 3), ("slow", 3)]
    assert "The study is incomplete" not in (out / "report.md").read_text()


def test_a_dry_run_without_records_times_each_variant(make, command):
    path = make(STUDY.replace('    "huge": {"optim.learning_rate": 1e30},\n', ""))
    done = command("study", f"--study={path}", "--only=slow,three", "--dry_run")
    assert done.returncode == 0, done.stderr
    assert "6 trials to train, about" in done.stdout
    assert not (path.parent / results.FILE).exists()


def test_a_killed_study_resumes_and_no_trial_is_twice_or_missing(finished, make, command, start):
    path = make()
    kills = 0
    for target in (1, 4, 8):
        process = start("study", f"--study={path}")
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if (path.parent / results.FILE).exists() and len(untimed(path.parent)) >= target:
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.005)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    with (path.parent / results.FILE).open("a") as file:
        file.write('{"variant": "three", "se')  # what a power cut may leave
    done = command("study", f"--study={path}")
    assert done.returncode == 0, done.stderr
    assert untimed(path.parent) == [
        {**r, "config_sha256": s["config_sha256"]}
        for r, s in zip(untimed(finished[0]), untimed(path.parent), strict=True)
    ]
    assert len(untimed(path.parent)) == 12


def test_a_signal_ends_a_study_with_its_code_and_keeps_what_is_done(make, start):
    path = make(STUDY.replace("config.epochs = 2", "config.epochs = 60"))
    process = start("study", f"--study={path}")
    assert "slow, seed 0: test accuracy" in process.first_line()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"stopped: finished trials are in {path.parent / results.FILE}; run the same command again to resume" in err
    assert "Traceback" not in err
    assert len(untimed(path.parent)) >= 1


def test_a_file_is_no_folder_for_results(make, command, tmp_path):
    (tmp_path / "out").write_text("x")
    done = command("study", f"--study={make()}", f"--out={tmp_path / 'out'}")
    assert done.returncode == 74
    assert f"--out={tmp_path / 'out'} is a file: name a folder" in done.stderr


def test_two_processes_do_not_write_the_same_results(finished, command):
    with results.locked(finished[0]):
        done = command("study", f"--study={finished[0]}", "--seeds=9")
    assert done.returncode == 74
    assert f"another process is writing the results in {finished[0]}: wait for it to finish" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('QUESTION = "Which learning rate is best?"', "", "has no QUESTION: see hwr_jax/studies/spec.py"),
        ("best?", "best", "is not a question: end it with a ?"),
        ('BASELINE = "slow"', 'BASELINE = "none"', "BASELINE='none' is not a variant: use one of slow, fast"),
        ("SEEDS = 3", "SEEDS = 1", "SEEDS=1 gives no interval: use 2 or more"),
        ("SEEDS = 3", "SEEDS = '3'", "SEEDS='3' must be of type int"),
        ("SEEDS = 3", 'METRIC = "luck"', "METRIC='luck' is not known: use one of accuracy, loss"),
        ("SEEDS = 3", 'AXIS = "optim.name"', "config.optim.name='adamw' of slow must be a number > 0"),
        ("SEEDS = 3", 'AXIS = "optim.rate"', "there is no config.optim.rate: did you mean"),
        ("SEEDS = 3", 'FIT = "power_law"', "FIT='power_law' is not possible: use power_law with an AXIS"),
        ("SEEDS = 3", 'SERIES = {"a": ["slow"]}', "SERIES need an AXIS, and cannot be combined with a FIT"),
        (
            "SEEDS = 3",
            'AXIS = "epochs"; SERIES = {"a": ["slow", "x"]}',
            "SERIES['a']=['slow', 'x'] must be a list of variants",
        ),
        ("SEEDS = 3", 'AXIS = "epochs"', "slow and fast are both at config.epochs=2: put them into different"),
        ("SEEDS = 3", 'AXIS = "epochs"; SERIES = {"a": [["slow"]]}', "must be a list of variants"),
        ("SEEDS = 3", 'METRIC = "cer"', "study.py:slow: METRIC='cer' is undefined for digits"),
        ("SEEDS = 3", 'CONTRASTS = [(["slow"], "fast")]', "in CONTRASTS must be a tuple of two variants"),
        ("SEEDS = 3", 'CONTRASTS = [("slow", "x")]', "('slow', 'x') in CONTRASTS must be a tuple of two variants"),
        ('"slow": {"optim', '"a b": {"optim', "a variant cannot be named 'a b': use letters"),
        ("2e-3", "2e-3, 'optim.momentun': 1", "cannot be loaded"),
        ("1e30", "-1.0", "study.py:huge: config.optim.learning_rate=-1.0 is out of range: use"),
        ("1e30}", "1.0, 'nonfinite.policy': 'rollback'}", "config.nonfinite.policy=rollback of huge needs checkpoints"),
        ("config.epochs = 2", "return config", "get_config('fast') has config.optim.learning_rate=0.002, not 0.02"),
        ("base.override", "base.overide", "AttributeError: module 'configs.base' has no attribute 'overide'"),
    ],
)  # fmt: skip
def test_a_wrong_study_is_explained_in_a_sentence(make, old, new, words):
    assert old in STUDY
    with pytest.raises(ConfigError) as caught:
        spec.checked(make(STUDY.replace(old, new)))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "--study is missing: name one"),
        (("--study=none.py",), "--study=none.py is not a file: name one, such as experiments/"),
        (("--study={}", "--only=adam"), "--only=adam is not a variant: use some of slow, fast, huge, three"),
        (("--study={}", "more"), "unexpected argument 'more': flags are written --name=value"),
        (("--study={}", "--seeds=-1"), "--seeds=-1 is not possible: use"),
        (("--study={}", "--report"), "has no results.jsonl: train the study first, without --report"),
        (("--study={}", "--engine=ray", "--devices=2"), "--devices=2 needs --engine=local"),
    ],
)
def test_a_wrong_flag_is_explained_in_a_sentence(make, command, flags, words):
    done = command("study", *(f.format(make()) for f in flags))
    assert done.returncode == 64
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def spoil(folder, change):
    lines = files.read_json_lines(folder / results.FILE)
    files.write_json_lines(folder / results.FILE, change(lines))


def of_fast(lines, **changes):
    """All records of a variant made with other data or weights, as of a study that was resumed between two variants."""
    return [{**line, **changes} if line["variant"] == "fast" else line for line in lines]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda lines: [*lines, lines[0]], RunFolderError, "line 13: a second record of slow, seed 0"),
        (lambda lines: [{**lines[0], "config_sha256": "0"}, *lines[1:]], ConfigError, "1 records of slow (the first"),
        (lambda lines: [{**lines[0], "variant": "other"}, *lines[1:]], ConfigError, "records of other, which"),
        (lambda lines: [{"variant": "slow"}, *lines[1:]], RunFolderError, "line 1, is not a record of a study"),
        (lambda lines: [{**lines[0], "dataset": {"sha256": "0"}}, *lines[1:]], ConfigError, "2 different versions"),
        (lambda lines: [{**lines[0], "init_from": {"sha256": "0"}}, *lines[1:]], ConfigError, "2 different initial"),
        (lambda lines: of_fast(lines, dataset={"sha256": "0"}), ConfigError, "slow, fast with 2 different versions"),
        (lambda lines: of_fast(lines, init_from={"sha256": "0"}), ConfigError, "slow, fast with 2 different initial"),
    ],
)  # fmt: skip
def test_records_that_do_not_fit_are_refused(finished, tmp_path, change, kind, words):
    study = spec.load(finished[0] / "study.py")
    shutil.copy(finished[0] / results.FILE, tmp_path)
    assert len(results.read(study, tmp_path)) == 12
    spoil(tmp_path, change)
    with pytest.raises(kind) as caught:
        results.read(study, tmp_path)
    assert words in str(caught.value)


def test_a_study_that_was_changed_is_not_mixed_with_its_old_records(finished, command, tmp_path, make):
    path = make(STUDY.replace("2e-2}", "3e-2}"))
    shutil.copy(finished[0] / results.FILE, path.parent)
    before = (path.parent / results.FILE).read_bytes()
    done = command("study", f"--study={path}")
    assert done.returncode == 64
    assert "3 records of fast (the first with seed 0) whose config differs" in done.stderr
    assert (path.parent / results.FILE).read_bytes() == before


def test_the_environment_of_a_record_is_that_of_the_run(finished):
    record = files.read_json_lines(finished[0] / results.FILE)[0]
    assert set(record["versions"]) == {"jax", "jaxlib", "flax", "optax"}
    assert record["dataset"]["name"] == "digits"
    assert json.dumps(record)


def test_the_grid_has_every_combination():
    found = base.grid(
        width={"narrow": {"model.dense": 8}, "wide": {"model.dense": 64}}, rate={"low": {"a": 1}, "high": {"a": 2}}
    )
    assert found == {
        "narrow-low": {"model.dense": 8, "a": 1},
        "narrow-high": {"model.dense": 8, "a": 2},
        "wide-low": {"model.dense": 64, "a": 1},
        "wide-high": {"model.dense": 64, "a": 2},
    }


# What the records say, on records made here.


def synthetic(make, differences, *, errors=None, metric="accuracy", seeds=10, spread=0.001, diverged=()):
    """A study with the variants base, a, b, ... and records of accuracy 0.99 + noise of the seed + difference."""
    names = ["base", *differences]
    text = (
        "from configs import base, digits\n"
        'QUESTION = "Is it?"\nBASELINE = "base"\n'
        f"SEEDS = {seeds}\nMETRIC = {metric!r}\n"
        f"VARIANTS = {{name: {{'optim.learning_rate': 0.1 * (i + 1)}} for i, name in enumerate({names})}}\n"
        "def get_config(variant: str = BASELINE):\n"
        "    return base.override(digits.get_config('smoke'), VARIANTS, variant)\n"
    )
    study = spec.load(make(text))
    chance = np.random.default_rng(0)
    noise = chance.normal(0, 0.01, seeds)
    records = []
    for name in names:
        own = chance.normal(0, spread, seeds)
        for seed in range(seeds):
            value = 0.9 + noise[seed] + (differences[name] + own[seed] if name != "base" else 0.0)
            wrong = (errors or {}).get(name, [0])
            records.append(
                {
                    "variant": name, "seed": seed, "config_sha256": "", "test_sha256": "t",
                    "dataset": {"name": "digits", "sha256": "x", "examples": {"test": 500}},
                    "code": {"version": "0", "sha256": "c" * 64}, "versions": {"jax": "0"}, "devices": ["cpu"],
                    "over_seeds": "map", "parameters": 1, "curve": {"epoch": [1], "validation_accuracy": [0.5]},
                    "validation": {metric: value}, "test": {metric: value}, "test_errors": list(wrong),
                    "train_seconds": 1.0, "seconds": 2.0, "compile_seconds": 0.5,
                }
                if (name, seed) not in diverged
                else {
                    "variant": name, "seed": seed, "diverged": "x", "test_sha256": "t", "devices": ["cpu"],
                    "dataset": {"name": "digits", "sha256": "x", "examples": {"test": 500}},
                    "code": {"version": "0", "sha256": "c" * 64}, "versions": {"jax": "0"}, "over_seeds": "map",
                    "parameters": 1,
                }
            )  # fmt: skip
    return study, records


def test_a_difference_that_is_there_is_found_and_one_that_is_not_is_not(make):
    study, records = synthetic(make, {"good": 0.01, "same": 0.0, "bad": -0.02})
    rows = {row.variant: row for row in comparison.compare(study, records)}
    assert list(rows) == ["good", "same", "base", "bad"] or list(rows) == ["good", "base", "same", "bad"]
    assert [rows[n].paired.significant for n in ("good", "same", "bad")] == [True, False, True]
    assert rows["good"].paired.p_holm == pytest.approx(3 * 2 / 2**10)
    assert rows["good"].paired.t[0] < 0.01 < rows["good"].paired.t[1]
    assert rows["base"].paired is None
    assert verdict.verdict(study, list(rows.values())) == (
        f"In test accuracy, `good` ({100 * rows['good'].paired.mean:+.3f} points) is better than `base`. "
        f"`bad` ({100 * rows['bad'].paired.mean:+.3f} points) is worse. "
        f"Not significant: `same` ({100 * rows['same'].paired.mean:+.3f} points, {ends(rows['same'].paired.t)}). "
        f"Best on validation: `good` ({100 * rows['good'].paired.validation[0]:+.3f} points, "
        f"{ends(rows['good'].paired.validation[1:])})."
    )


def ends(interval):
    return " to ".join(f"{100 * end:+.3f}" for end in interval)


def test_where_lower_is_better_the_verdict_turns_round(make):
    study, records = synthetic(make, {"high": 0.01, "low": -0.01}, metric="loss")
    rows = comparison.compare(study, records)
    assert [row.variant for row in rows] == ["low", "base", "high"]
    assert verdict.verdict(study, rows).startswith("In test loss, `low` (-0.0")
    assert "`high` (+0.0" in verdict.verdict(study, rows)


def test_without_a_difference_the_report_says_what_would_have_been_detected(make):
    study, records = synthetic(make, {"same": 0.0})
    rows = comparison.compare(study, records)
    words = verdict.verdict(study, rows)
    (pair,) = [row.paired for row in rows if row.paired]
    assert words.startswith(
        f"No significant difference from `base` in test accuracy: `same` ({100 * pair.mean:+.3f} points, "
        f"{ends(pair.t)}); a difference of {100 * pair.visible:.3f} points would have been detected with 80 % power. "
        "Best on validation: `"
    )


def test_a_difference_smaller_than_the_choice_of_test_images_is_warned_of(make):
    errors = {"base": [0, 1, 2, 3], "good": [4, 5, 6]}  # gains four images, loses three: +0.2 points of 500
    study, records = synthetic(make, {"good": 0.002}, errors=errors, spread=0.0001)
    rows = comparison.compare(study, records)
    pair = next(row.paired for row in rows if row.variant == "good")
    hits = np.zeros(500)
    hits[[0, 1, 2, 3]], hits[[4, 5, 6]] = 1, -1
    assert pair.examples_error == pytest.approx(np.std(hits, ddof=1) / np.sqrt(500))
    assert pair.significant
    assert not pair.beyond_examples
    assert pair.mcnemar == (0, 10)
    assert any(
        "`good` is significant on these test images, but not when the choice of test images is counted too" in w
        for w in verdict.warnings(study, records, rows)
    )


def test_a_difference_larger_than_that_is_not_warned_of(make):
    errors = {"base": list(range(60)), "good": []}
    study, records = synthetic(make, {"good": 0.12}, errors=errors)
    rows = comparison.compare(study, records)
    pair = next(row.paired for row in rows if row.variant == "good")
    assert pair.beyond_examples
    assert pair.mcnemar == (10, 10)
    assert verdict.warnings(study, records, rows) == []


def test_diverged_trials_are_left_out_and_counted(make):
    study, records = synthetic(make, {"a": 0.01, "b": 0.0}, diverged=[("a", 3), ("a", 4)])
    rows = {row.variant: row for row in comparison.compare(study, records)}
    assert (rows["a"].diverged, rows["a"].paired.seeds, len(rows["a"].test["per_seed"])) == (2, 8, 8)
    assert any("`a` 2 of 10" in w for w in verdict.warnings(study, records, list(rows.values())))


def test_a_variant_of_which_most_trials_diverged_is_not_called_better(make):
    """The pairs are those of its survivors."""
    lost = [("a", s) for s in range(8, 20)]
    study, records = synthetic(make, {"a": 0.02, "b": 0.02, "c": -0.02}, seeds=20, diverged=[*lost, ("c", 3)])
    rows = comparison.compare(study, records)
    words = verdict.verdict(study, rows)
    assert words.startswith("In test accuracy, `b` (+2.")
    assert "better than `base`. `c` (-2.0" in words
    assert " is worse. Diverged: `a` 12 of 20 and `c` 1 of 20 trials. " in words
    pair = next(row.paired for row in rows if row.variant == "a")
    gain = study.metric.difference(pair.mean)
    assert f"Not called better, because trials diverged: `a` ({gain} over the other 8 seeds). " in words
    assert pair.significant
    table = tables.table(study, rows)
    assert "; 12 of 20 diverged |" in table
    assert f"**{gain.split()[0]}" not in table
    shown = io.StringIO()
    Console(file=shown, width=200).print(live.results_table(study, rows))
    assert "12 of 20" in shown.getvalue()


def test_a_variant_is_not_called_worse_than_survivors_of_the_baseline(make):
    study, records = synthetic(make, {"a": -0.02, "b": 0.02}, diverged=[("base", 3)])
    study = study._replace(contrasts=[("a", "base"), ("b", "base"), ("b", "a")])
    words = verdict.verdict(study, comparison.compare(study, records))
    assert "`b` (+2.0" in words.partition("better than `base`")[0]  # the lost pair speaks for it
    assert "worse" not in words.partition("Not called worse")[0]
    assert "Diverged: `base` 1 of 10 trials. Not called worse, because trials of `base` diverged: `a` (-2." in words
    text = report.text(study, records, comparison.compare(study, records), [])
    assert "Unsettled, because trials diverged: `a` - `base` (-2." in text


def test_a_baseline_that_always_diverges_is_named(make):
    study, records = synthetic(make, {"a": 0.02}, diverged=[("a", 1)])
    records = [r for r in records if r["seed"] < 2]
    words = verdict.verdict(study, comparison.compare(study, records))
    assert words.startswith("Nothing can be said yet: no variant has two")
    assert words.endswith(". Diverged: `a` 1 of 2 trials.")


def test_a_variant_that_always_diverges_is_last_and_has_no_number(make):
    study, records = synthetic(make, {"a": 0.01, "b": 0.0}, diverged=[("a", s) for s in range(10)])
    rows = comparison.compare(study, records)
    assert rows[-1].variant == "a"
    assert rows[-1].test is None
    assert "| `a` | diverged |" in tables.table(study, rows)


def test_seeds_that_only_one_of_both_has_do_not_count(make):
    study, records = synthetic(make, {"a": 0.01})
    records = [r for r in records if not (r["variant"] == "base" and r["seed"] > 6)]
    pair = next(row.paired for row in comparison.compare(study, records) if row.variant == "a")
    assert pair.seeds == 7
    text = report.text(study, records, comparison.compare(study, records), [])
    assert "seeds trained so far: `base` 7 of 10" in text


def test_one_seed_says_nothing(make):
    study, records = synthetic(make, {"a": 0.01})
    rows = comparison.compare(study, [r for r in records if r["seed"] == 0])
    assert verdict.verdict(study, rows).startswith("Nothing can be said yet: no variant")
    assert report.text(study, records[:1], comparison.compare(study, records[:1]), [])


def test_too_few_seeds_give_no_verdict_however_large_the_difference(make):
    study, records = synthetic(make, {"a": 0.05, "b": -0.05, "c": 0.0}, seeds=6)
    rows = comparison.compare(study, records)
    words = verdict.verdict(study, rows)
    assert "No significant difference" not in words
    assert words.startswith("No test is possible for ")
    assert ": with 6 seeds no result can be significant among 3 comparisons; 7 seeds are needed." in words
    assert all(row.paired.visible is None for row in rows if row.paired)


def test_one_variant_with_fewer_seeds_does_not_take_the_verdict_from_the_others(make):
    study, records = synthetic(make, {"a": 0.05, "b": 0.05}, seeds=10)
    records = [r for r in records if not (r["variant"] == "b" and r["seed"] > 3)]
    words = verdict.verdict(study, comparison.compare(study, records))
    assert words.startswith("In test accuracy, `a` (+5.")
    assert "No test is possible for `b`: with 4 seeds no result can be significant among 2 comparisons" in words


def test_records_of_several_versions_or_devices_are_noted(make):
    study, records = synthetic(make, {"a": 0.01})
    records[0]["code"] = {"version": "0", "sha256": "d" * 64}
    records[1]["devices"] = ["gpu"]
    words = " ".join(verdict.warnings(study, records, comparison.compare(study, records)))
    assert "several versions of the code" in words
    assert "several kinds of devices" in words
    assert "tested on different images" not in words


def test_variants_that_were_tested_on_different_images_are_noted(make):
    study, records = synthetic(make, {"a": 0.01})
    records = [{**r, "test_sha256": "other"} if r["variant"] == "a" else r for r in records]
    words = " ".join(verdict.warnings(study, records, comparison.compare(study, records)))
    assert "The variants were tested on different images: what differs may be these, not the networks." in words


def test_a_power_law_along_the_axis_is_found_again(make):
    study, records = synthetic(make, {"a": 0.0, "b": 0.0})
    study = study._replace(axis="optim.learning_rate", fit="power_law")
    for r in records:
        x = 0.1 * (1 + ["base", "a", "b"].index(r["variant"]))
        r["test"]["accuracy"] = 1 - 0.05 * x**-0.7 * (1 + 0.01 * np.sin(r["seed"]))
    fit = comparison.fitted(study, records)
    assert fit["exponent"] == pytest.approx(0.7, abs=1e-3)
    assert fit["factor"] == pytest.approx(0.05, rel=0.02)
    assert fit["misfit"] < 1e-6
    text = report.text(study, records, comparison.compare(study, records), [])
    assert "Power law: error = 0.05" in text
    assert "more than chance" not in text
    for r in records:
        if r["variant"] == "a":
            r["test"]["accuracy"] -= 0.05
    text = report.text(study, records, comparison.compare(study, records), [])
    assert "standard errors, more than chance explains: the law only roughly describes this range and must not" in text


def test_each_series_has_its_own_curve_and_choice(make, tmp_path):
    study, records = synthetic(make, {"a": 0.0, "b": 0.005, "c": -0.01})
    study = study._replace(axis="optim.learning_rate", series={"one": ["base", "b"], "two": ["a", "c"]})
    rows = comparison.compare(study, records)
    text = report.text(study, records, rows, [])
    assert (
        "Best on validation for each curve: one `b` (optim.learning_rate 0.3), two `a` (optim.learning_rate 0.2)."
        in text
    )
    records = [r for r in records if (r["variant"], r["seed"]) != ("a", 4)]
    curve = comparison.along_axis(study, records, study.series["two"])
    assert list(curve) == [0.2, 0.4]
    a, c = ({r["seed"]: 1 - r["test"]["accuracy"] for r in records if r["variant"] == name} for name in ("a", "c"))
    assert list(curve.values()) == [a, c]
    assert len(a) == 9
    (tmp_path / "curves.png").touch()  # of an earlier report
    drawn = figures.draw_all(study, records, rows, tmp_path, None)
    assert drawn == ["differences.png", "time.png", "axis.png"]
    assert {p.name for p in tmp_path.glob("*.png")} == set(drawn)


def test_a_lucky_survivor_is_not_chosen_by_validation(make):
    study, records = synthetic(make, {"a": 0.05, "b": 0.01}, diverged=[("a", s) for s in range(9)])
    study = study._replace(axis="optim.learning_rate", series={"one": ["base", "a"], "two": ["b"]})
    text = report.text(study, records, comparison.compare(study, records), [])
    assert "Best on validation: `b` (" in text
    assert "Best on validation for each curve: one `base` (optim.learning_rate 0.1), two `b`" in text
    lost = [r | {"diverged": "x"} if r["variant"] == "b" else r for r in records]
    text = report.text(study, lost, comparison.compare(study, lost), [])
    assert "two none." in text


def test_what_the_question_asks_for_beside_the_baseline_is_compared_and_corrected_apart(make):
    study, records = synthetic(make, {"a": 0.010, "b": 0.012, "c": -0.01})
    study = study._replace(contrasts=[("b", "a"), ("a", "c")])
    found = comparison.contrasts(study, records)
    score = {(r["variant"], r["seed"]): r["test"]["accuracy"] for r in records}
    for (one, two), pair in found.items():
        assert pair.mean == pytest.approx(np.mean([score[one, s] - score[two, s] for s in range(10)]))
    assert found["a", "c"].p_holm == pytest.approx(2 * 2 / 2**10)
    assert comparison.contrasts(study, [r for r in records if r["variant"] != "c"]).keys() == {("b", "a")}
    text = report.text(study, records, comparison.compare(study, records), [])
    assert f"| `a` - `c` | **{100 * found['a', 'c'].mean:+.3f} (" in text
    assert f"`a` - `c` ({100 * found['a', 'c'].mean:+.3f} points)" in text
    assert "Comparisons: 3; with 10 seeds, the most significant one can reach a corrected p of 0.00586 at best" in text
    few = [r for r in records if r["variant"] != "c"]
    text = report.text(study, few, comparison.compare(study, few), [])
    assert "| `a` - `c` | no common seed yet |" in text


def test_direct_comparisons_with_too_few_seeds_are_not_called_insignificant(make):
    study, records = synthetic(make, {"a": 0.05, "b": 0.1}, seeds=7)
    study = study._replace(contrasts=[("a", "base"), ("b", "base"), ("b", "a")])
    text = report.text(study, records, comparison.compare(study, records), [])
    assert "Direct comparisons: `a` - `base` (+" in text  # of three, seven seeds are enough
    records = [r for r in records if r["seed"] < 6]
    text = report.text(study, records, comparison.compare(study, records), [])
    assert (
        "Direct comparisons: none yet. No test is possible for `a` - `base`, `b` - `base` and `b` - `a`: with 6 seeds "
        "no result can be significant among 3 comparisons; 7 seeds are needed." in text
    )
    assert "none significant" not in text


def test_a_comparison_smaller_than_the_choice_of_test_images_is_warned_of_too(make):
    errors = {"a": [0, 1, 2, 3], "b": [4, 5, 6]}
    study, records = synthetic(make, {"a": 0.0, "b": 0.002}, errors=errors, spread=0.0001)
    study = study._replace(contrasts=[("b", "a")])
    words = verdict.warnings(study, records, comparison.compare(study, records))
    assert any("b - a" in w and "significant on these test images, but not" in w for w in words)


def test_seeds_that_would_never_be_enough_are_said_so(make):
    study, records = synthetic(make, {"a": 0.05, "b": 0.0})
    for r in records:
        if r["variant"] == "b":
            base = next(o for o in records if (o["variant"], o["seed"]) == ("base", r["seed"]))
            r["test"]["accuracy"] = base["test"]["accuracy"] + 0.001 * (-1) ** r["seed"] + 1e-7
    text = report.text(study, records, comparison.compare(study, records), [])
    assert "| > 100,000 |" in text
    assert "| ≤ 7 |" in text


def test_figures_of_a_study_without_any_error_are_left_out(make, tmp_path):
    study, records = synthetic(make, {"a": 0.0, "b": 0.0})
    study = study._replace(axis="optim.learning_rate")
    for r in records:
        r["test"]["accuracy"] = r["validation"]["accuracy"] = 1.0
        r["curve"] = {"epoch": [1, 2], "validation_accuracy": [1.0, 1.0]}
    rows = comparison.compare(study, records)
    assert figures.draw_all(study, records, rows, tmp_path, None) == ["differences.png", "curves.png", "time.png"]
    assert "test accuracy: `a` (+0.000 points, +0.000 to +0.000) and `b`" in verdict.verdict(study, rows)
    assert "would have been detected" not in verdict.verdict(study, rows)


def test_the_parameters_of_an_ensemble_are_those_of_all_its_members(finished):
    records = files.read_json_lines(finished[0] / results.FILE)
    rows = {r.variant: r.parameters for r in comparison.compare(spec.load(finished[0] / "study.py"), records)}
    assert rows["three"] == 3 * rows["slow"] == 3 * records[0]["parameters"]


def test_a_variant_that_learns_nothing_does_not_hide_the_others():
    near = np.array([[-0.3, -0.1], [-0.1, 0.1], [0.1, 0.2]])
    low, high = figures.limits(near)
    assert low < -0.3
    assert high > 0.2
    assert figures.limits(np.array([*near, [-90.0, -88.0]]))[0] > -2
    assert figures.limits(np.array([[0.0, 0.0], [0.1, 0.3]]))[1] > 0.3
    assert figures.limits(np.zeros((2, 2)))[0] < 0


def test_only_what_no_other_beats_is_on_the_front():
    assert figures.front([1, 2, 3, 1, 2], [0.5, 0.7, 0.6, 0.4, 0.7]) == [0, 1, 4]
    assert figures.front([], []) == []


def drawn_with(monkeypatch, draw):
    """Returns the matplotlib figure that `draw` saves."""
    kept = []
    monkeypatch.setattr(canvas, "save", lambda figure, path: kept.append(figure))
    draw()
    return kept[-1]


def test_many_variants_have_a_panel_each_and_a_few_are_overlaid(make, monkeypatch, tmp_path):
    for count, panels in ((5, 1), (8, 9)):
        study, records = synthetic(make, {f"v{i}": 0.0 for i in range(count)})
        for r in records:
            r["curve"] = {"epoch": [1, 2], "validation_accuracy": [0.8, 0.9]}
        figure = drawn_with(monkeypatch, lambda s=study, r=records: figures._curves(tmp_path / "c.png", s, r))
        shown = [axes for axes in figure.axes if axes.get_visible()]
        assert len(shown) == panels
        assert max(len(axes.collections) for axes in shown) == (6 if panels == 1 else 1)  # bands


def test_no_legend_names_more_than_twelve_variants_and_a_variant_keeps_its_colour(make, monkeypatch, tmp_path):
    study, records = synthetic(make, {f"v{i}": -0.001 * i for i in range(30)})
    rows = comparison.compare(study, records)
    figure = drawn_with(monkeypatch, lambda: figures._time(tmp_path / "t.png", study, rows))
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(named) <= 12
    assert "base" in named
    assert any("others" in name for name in named)
    looks = canvas.looks(study.variants)
    colours = {c.get_label(): c[0].get_color() for c in figure.axes[0].containers}
    assert all(colours[name] == looks[name]["color"] for name in named if "others" not in name)


def test_a_sentence_does_not_name_very_many_variants(make):
    study, records = synthetic(make, {f"v{i}": -0.05 for i in range(30)}, seeds=12)
    words = verdict.verdict(study, comparison.compare(study, records))
    assert "and 24 others are worse than `base`" in words
    assert words.count("`v") < 9


def test_the_data_of_a_study_are_loaded_once_for_neighbours_that_share_them(digits, smoke):
    asked = []

    def load(config):
        asked.append(config.data.train_examples)
        return digits

    kept = local.keeping(load)
    for examples in (0, 0, 100, 100, 0):
        kept(smoke(data__train_examples=examples))
    assert asked == [0, 100, 0]


def test_the_lines_of_a_user_are_read_anew_for_a_network_that_takes_other_ones(digits, smoke):
    """How wide a time step is decides which texts are too long, and the network whether they are texts at all."""
    asked = []

    def load(config):
        asked.append((config.model.name, config.model.column_px))
        return digits

    kept = local.keeping(load)
    for name, column_px in (("crnn", 4), ("crnn", 4), ("crnn", 2), ("cnn", 2), ("cnn", 4)):
        config = smoke()
        config.data.name, config.model.name, config.model.column_px = "folder", name, column_px
        kept(config)
    assert asked == [("crnn", 4), ("crnn", 2), ("cnn", 2)]
