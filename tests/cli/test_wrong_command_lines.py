"""What a wrong command line is answered: one sentence that names the likely mistake, and the exit code of its kind."""

import runpy
import sys
from pathlib import Path

import pytest

from hwr_jax.cli import command
from hwr_jax.core import errors

ROOT = Path(__file__).parents[2]
CNN = "--config=cnn"

# ml_collections loads a config file by a method that Python deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module.* method is deprecated:DeprecationWarning")


@pytest.fixture
def answer(monkeypatch, capsys, tmp_path):
    """Returns answer(verb, *arguments): the exit code and standard error of the command, run in this process."""

    def leave(code):
        raise SystemExit(code)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(command, "_leave_at_once", leave)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    (tmp_path / "empty").mkdir()

    def run(verb, *arguments):
        path = str(ROOT / "hwr_jax" / f"{verb}.py")
        module = runpy.run_path(path)  # afresh: its flags have no values yet
        line = [path, *(a.replace("TMP", str(tmp_path)) for a in arguments)]
        monkeypatch.setattr(sys, "argv", line)
        takes = "PICTURE..." if verb == "predict" else ""
        with pytest.raises(SystemExit) as end:
            command.run(module["main"], module["FLAGS"], usage=module["USAGE"], arguments=takes)
        found = capsys.readouterr()
        assert found.out == ""
        return end.value.code, found.err.replace(str(tmp_path), "TMP")

    return run


ANSWERS = [
    # an unknown flag: the nearest flag, or the key of the config
    ("main --overwite", "--overwite is not a flag of this command: did you mean --overwrite?"),
    ("main --data-dir=x", "--data-dir is not a flag of this command: did you mean --data_dir=x?"),
    ("main --confg=cnn", "--confg is not a flag of this command: did you mean --config=cnn?"),
    ("main --epochs=3", "--epochs is not a flag of this command: did you mean --config.epochs=3?"),
    ("main --epohcs=3", "--epohcs is not a flag of this command: did you mean --config.epochs=3?"),
    (f"main {CNN} --lr=0.1", "--lr is not a flag of this command: did you mean --config.optim.learning_rate=0.1?"),
    (f"main {CNN} --dropout=0.1", "--dropout is not a flag of this command: did you mean --config.model.dropout=0.1?"),
    (f"main {CNN} --optim.b1=0", "--optim.b1 is not a flag of this command: did you mean --config.optim.b1=0?"),
    (f"main {CNN} --batch-size 8", "--batch-size is not a flag of this command: did you mean --config.batch_size?"),
    ("main -w runs/x", "--w is not a flag of this command: use one of --config, --coordinator, "),
    ("evaluate --spilt=test", "--spilt is not a flag of this command: did you mean --split=test?"),
    ("evaluate --config=cnn", "--config is not a flag of this command: the run in --workdir has a config of its own"),
    ("verify --epochs=2", "--epochs is not a flag of this command: use one of --"),
    ("study --config=cnn", "--config is not a flag of this command: the configs are in the file that --study names"),
    ("search --config.epochs=1", "--config.epochs is not a flag of this command: the configs are in the file that"),
    # an argument that is not a flag
    ("main cnn", "unexpected argument 'cnn': did you mean --config=cnn?"),
    ("main epochs=3", "unexpected argument 'epochs=3': did you mean --config.epochs=3?"),
    (f"main {CNN} config.epochs=3", "unexpected argument 'config.epochs=3': did you mean --config.epochs=3?"),
    (f"main {CNN} workdir=x", "unexpected argument 'workdir=x': did you mean --workdir=x?"),
    (f"main {CNN} \u2013overwrite", "unexpected argument '\u2013overwrite': a flag begins with two hyphens, as in --"),
    ("study experiments/optimizers", "unexpected argument 'experiments/optimizers': did you mean --study=experiments"),
    ("verify TMP", "unexpected argument 'TMP': did you mean --workdir=TMP?"),
    ("doctor all", "unexpected argument 'all': flags are written --name=value"),
    # no value, two values, a value that is not possible
    ("main", "--config is missing: name a config, such as --config=cnn or --config=mine.py"),
    ("main --config = cnn", "--config = ... has spaces around the equals sign: write --config=VALUE"),
    (f"main {CNN} --workdir --overwrite", "--workdir is missing its value: write --workdir=VALUE"),
    (f"main {CNN} --config.epochs", "--config.epochs is missing its value: write --config.epochs=VALUE"),
    ("main --config=cnn --config=mlp", "--config is given twice, as cnn and as mlp: give it once"),
    (f"main {CNN} --overwrite --nooverwrite", "--overwrite is given twice, as true and as false: give it once"),
    (f"main {CNN} --devices=two", "--devices=two is not possible: use a non-negative integer"),
    (f"main {CNN} --overwrite=maybe", "--overwrite=maybe is not possible: use true or false"),
    (f"main {CNN} --config.epochs=1.5", "--config.epochs=1.5 is not possible: use an integer"),
    ("main --config.epochs=x --config=cnn", "--config.epochs=x is not possible: use an integer"),
    (f"main {CNN} --config.optim.learning_rate -1", "config.optim.learning_rate=-1.0 is out of range: use a number >"),
    ("evaluate --workdir=x --split=tets", "--split=tets is not possible: use one of train, validation, test"),
    ("search --search=x --minutes=nan", "--minutes=nan is not possible: use a "),
    ("search --search=x --minutes=inf", "--minutes=inf is not possible: use a "),
    # configs, studies and folders
    ("main --config=con", "--config=con is neither a file nor a config that comes with hwr_jax: did you mean cnn?"),
    ("main --config=cnn.py", "--config=cnn.py is not a file: did you mean --config=cnn?"),
    ("main --config=old/cnn.py", "--config=old/cnn.py is not a file: did you mean --config=cnn?"),
    ("main --config=cnn:smok", "--config=configs/cnn.py:smok cannot be loaded: there is no variant 'smok': use smoke"),
    (f"main {CNN} --config.model=mlp", "config.model is a group: set one of model.name, "),
    (f"main {CNN} --config.dropout=0", "there is no config.dropout: did you mean config.model.dropout?"),
    (f"main {CNN} --config.model.name=mpl", "config.model.name='mpl' is not known: use one of mlp, "),
    ("study --study=optimizer", "--study=optimizer is not a file: did you mean --study=experiments/optimizers/s"),
    ("study", "--study is missing: name one, such as --study=experiments/"),
    ("evaluate", "--workdir is missing or empty: name a folder, such as --workdir=runs/cnn"),
    ("evaluate --workdir=TMP/none", "--workdir=TMP/none does not exist: name a run folder that"),
    ("verify --workdir=TMP/empty", "--workdir=TMP/empty has no config.json: name a run folder that"),
    ("predict --workdir=~nobody-here/x a.png", "--workdir=~nobody-here/x cannot be used: "),
    ("predict --workdir=TMP", "no picture was given: name one or more picture files after the flags"),
    (f"benchmark {CNN} --parts=speed", "--parts=speed is not known: use some of limits, accuracy, "),
    ("main --config=digits:smoke --config.init_from=~nobody-here/x --workdir=TMP/new", "a path begins with ~, but "),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words"), ANSWERS, ids=[line for line, _ in ANSWERS])
def test_a_wrong_command_line_is_answered_in_one_sentence(answer, line, words):
    code, error = answer(*line.split())
    assert code in (errors.WRONG_CONFIG, errors.INPUT_OUTPUT, errors.BAD_DATA), error
    assert error.startswith(f"hwr_jax: {words}"), error
    assert error.count("\n") == 1


def test_there_are_more_than_forty():
    assert len(dict(ANSWERS)) > 40


def test_what_follows_two_hyphens_is_no_flag(answer):
    code, error = answer("predict", "--workdir=TMP", "--", "--help", "--spilt")
    assert (code, error.partition(":")[2][:25]) == (64, " --workdir=TMP has no con")
