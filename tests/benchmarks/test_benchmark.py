"""The benchmark as a process: what it writes, skips and prints."""

import json

import pytest
from quick_runs import TINY

from hwr_jax import benchmark
from hwr_jax.core import files

SMOKE = "--config=configs/digits.py:smoke"


@pytest.mark.slow
def test_it_measures_parts_and_keeps_those_of_an_earlier_call(command, tmp_path):
    out = tmp_path / "out"
    done = command("benchmark", SMOKE, *TINY, "--parts=limits,training", f"--out={out}", figures=True)
    assert done.returncode == 0, done.stderr
    parts = files.read_json(out / "benchmark.json")["parts"]
    assert set(parts) == {"limits", "training"}
    assert 0 < parts["training"]["share_of_matmul_peak"] < 1
    assert parts["training"]["peak_memory_gb"] > 0.1
    assert (out / "roofline.png").stat().st_size > 1000
    done = command("benchmark", SMOKE, *TINY, "--parts=accuracy,peers,pytorch", "--seeds=2", f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped: --peers_dir is not set") == 2
    found = files.read_json(out / "benchmark.json")["parts"]
    assert set(found) == {"limits", "training", "accuracy"}
    assert found["training"] == parts["training"]
    assert found["accuracy"]["seeds"] == [0, 1]
    assert found["accuracy"]["seconds_per_seed"] == pytest.approx(found["accuracy"]["train_seconds"] / 2)


def test_results_of_another_machine_are_kept_under_another_name(tmp_path):
    path, there = tmp_path / "benchmark.json", {"processor": "AMD EPYC, avx2"}
    measured = {"config": "configs/cnn.py", "machine": there, "parts": {"limits": {"matmul_gflops": 400}}}
    files.write_json(path, measured)
    said = []
    assert benchmark._earlier(path, "configs/cnn.py", there, said.append) == measured
    assert said == []
    fresh = benchmark._earlier(path, "configs/cnn.py", {"processor": "AMD EPYC, avx512f"}, said.append)
    assert fresh["parts"] == {}
    [kept] = tmp_path.iterdir()
    assert files.read_json(kept) == measured
    assert said == [f"{path} was measured with another config, machine or version: it is kept as {kept.name}"]


@pytest.mark.slow
def test_it_runs_in_turns_with_the_available_peers(command, tmp_path):
    (tmp_path / "flax_peer.py").write_text('print(\'{"train_seconds": 10.0, "accuracy": 0.99}\')')
    flags = ("--parts=peers", "--pairs=2", "--peers=flax-example,pytorch-fast", f"--peers_dir={tmp_path}")
    done = command("benchmark", SMOKE, *TINY, *flags, f"--out={tmp_path / 'out'}", timeout=600)
    assert done.returncode == 0, done.stderr
    assert "pytorch-fast skipped:" in done.stdout
    parts = files.read_json(tmp_path / "out" / "benchmark.json")["parts"]
    assert set(parts["peers"]) == {"flax-example"}
    assert parts["peers"]["flax-example"]["theirs_s"] == [10.0, 10.0]


@pytest.mark.exhaustive
def test_the_speed_is_measured_over_four_sizes(command, tmp_path):
    done = command("benchmark", SMOKE, *TINY, "--parts=scaling", f"--out={tmp_path / 'out'}", timeout=600, figures=True)
    assert done.returncode == 0, done.stderr
    parts = files.read_json(tmp_path / "out" / "benchmark.json")["parts"]
    assert {name: len(runs) for name, runs in parts["scaling"].items()} == {
        "batch_size": 6, "width": 3, "seeds": 4, "examples": 2,
    }  # fmt: skip
    assert (tmp_path / "out" / "scaling.png").stat().st_size > 1000


@pytest.mark.exhaustive
def test_pytorch_is_measured_in_turns_by_the_python_that_has_it(command, tmp_path):
    (tmp_path / "pytorch_peers.py").write_text("")
    names = [f"inference {n}" for n in (1, 32, 1024)] + ["convolution first", "convolution second"]
    line = json.dumps({"torch": "2", "seconds": dict.fromkeys(names, 0.5)})
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n[ $1 = -c ] || echo '{line}'\n")
    python.chmod(0o755)
    flags = ("--parts=pytorch", "--pairs=2", f"--peers_dir={tmp_path}", f"--peers_python={python}")
    done = command("benchmark", SMOKE, *flags, f"--out={tmp_path / 'out'}", timeout=600)
    assert done.returncode == 0, done.stderr
    found = files.read_json(tmp_path / "out" / "benchmark.json")["parts"]["pytorch"]
    assert list(found) == names
    for one in found.values():
        assert one["theirs_s"] == [0.5, 0.5]
        assert one["ratio"]["median"] == pytest.approx(sum(one["ours_s"]))
        assert 0 < one["ours_s"][0] < 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--parts=speed"], "--parts=speed is not known: use some of limits, accuracy"),
        (["--peers=tensorflow"], "--peers=tensorflow is not known: use some of pytorch-fast"),
        (["--pairs=0"], "--pairs=0 is not possible"),
    ],
)
def test_a_wrong_flag_is_one_sentence(command, arguments, word):
    done = command("benchmark", SMOKE, *arguments)
    assert done.returncode == 64
    assert done.stderr.startswith("hwr_jax: ")
    assert word in done.stderr
    assert "Traceback" not in done.stderr
