"""R3, R4, R8, R12, R13, R14: runs of one process."""

from __future__ import annotations

import gzip
import shutil
import signal
import time
from pathlib import Path

import numpy as np

from faults import processes
from faults.processes import SMALL

EPOCHS = 12


def _whole(folder: Path, *flags: str, devices: int = 1) -> Path:
    """The uninterrupted run of these flags, made once for all trials."""
    whole = folder.parent / ("whole-" + "".join(c for c in "".join(flags) if c.isalnum())[-60:] + f"-{devices}")
    code, _, error = processes.run("main", *flags, f"--workdir={whole}", devices=devices)
    assert code == 0, error
    return whole


def _same(whole: Path, folder: Path) -> None:
    assert processes.digest(whole) == processes.digest(folder), "the final states differ"
    assert processes.metrics(whole) == processes.metrics(folder), "the metrics differ"


def killed(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R3: SIGKILL at random moments, five times; the run that is left to its end equals an uninterrupted one."""
    devices = 1 + trial % 2
    flags = (*SMALL, f"--config.epochs={EPOCHS}", "--config.model.norm=batch", "--config.steps_per_dispatch=3")
    whole = _whole(folder, *flags, devices=devices)
    kills = 0
    for _ in range(5):
        process = processes.start("main", *flags, f"--workdir={folder}", devices=devices)
        try:
            process.communicate(timeout=rng.uniform(1, 14))
        except Exception:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
    code, _, error = processes.run("main", *flags, f"--workdir={folder}", devices=devices)
    assert code == 0, error[-500:]
    _same(whole, folder)
    return f"{kills} kills, {devices} devices"


def terminated(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R4: SIGTERM at a random moment: exit 143 after saving, no step is lost, and the same command ends as if nothing
    had been; with two processes, to one of them."""
    dispatch, ranks = (1, 10, 100)[trial % 3], (1, 2)[trial // 3 % 2]
    flags = (*SMALL, f"--config.epochs={EPOCHS}", f"--config.steps_per_dispatch={dispatch}")
    start = time.monotonic()
    if ranks == 1:
        started = [processes.start("main", *flags, f"--workdir={folder}")]
    else:
        started = processes.job(folder, *flags, processes=ranks)
    processes.wait_for(folder / "config.json", started)
    begun = time.monotonic() - start
    time.sleep(rng.uniform(0, 6))
    started[int(rng.integers(ranks))].send_signal(signal.SIGTERM)
    sent = time.monotonic()
    codes, errors = processes.ended(started, 60)
    took = time.monotonic() - sent
    if codes == [0] * ranks:
        return f"ended before the signal ({ranks} processes)"
    where = "training" if any("saved step" in e for e in errors) else "elsewhere"
    if ranks == 1 or where == "training":
        assert codes == [143] * ranks, f"{codes} {errors}"
    else:  # outside of the loop only the one that was signalled knows
        assert 143 in codes, f"{codes} {errors}"
        assert 0 not in codes, f"{codes} {errors}"
    assert took <= 10 + begun, f"it took {took:.1f} s"
    code, _, error = processes.run("main", *flags, f"--workdir={folder}")
    assert code == 0, error[-500:]
    if ranks == 1:
        _same(_whole(folder, *flags), folder)
    lines = [line["epoch"] for line in processes.metrics(folder) if line["split"] == "validation"]
    assert lines == list(range(1, EPOCHS + 1)), f"epochs {lines}"
    return f"{ranks} processes, {dispatch} steps a dispatch, {where}, {took:.1f} s"


def repeated(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R8: other processes, with 2, 4 or 8 threads: the same bits; and each seed of many is that of a single run."""
    threads = (2, 4, 8)[trial % 3]
    flags = (*SMALL, "--config.epochs=3", "--config.seeds=2")
    whole = _whole(folder, *flags)
    code, _, error = processes.run("main", *flags, f"--workdir={folder}", env={"NPROC": str(threads)})
    assert code == 0, error
    _same(whole, folder)
    single = folder.with_name(folder.name + "-single")
    one = (*SMALL, "--config.epochs=3", "--config.seed=1", f"--workdir={single}")
    code, _, error = processes.run("main", *one)
    assert code == 0, error
    for many, alone in zip(processes.metrics(folder), processes.metrics(single), strict=True):
        for name, values in alone["per_seed"].items():
            assert many["per_seed"][name][1] == values[0], f"{name} of seed 1 differs"
    return f"{threads} threads"


def not_finite(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R12: a learning rate that overflows: halt with 65 and no bad checkpoint; skip halts too; rollback trains."""
    policy = ("halt", "skip", "rollback")[trial % 3]
    rate = 10.0 ** float(rng.uniform(20, 30))
    flags = [*SMALL, f"--config.optim.learning_rate={rate}", f"--config.nonfinite.policy={policy}"]
    flags += ["--config.nonfinite.limit=3", f"--workdir={folder}"]
    code, _, error = processes.run("main", *flags)
    assert code == 65, f"{policy}: {code} {error[-300:]}"
    assert "Traceback" not in error
    assert not processes.saved_steps(folder), f"{policy}: a state was saved"
    return policy


BAD = ("magic", "count", "label", "truncated gzip", "not gzip", "missing", "swapped", "flipped byte", "empty")


def bad_data(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R13: original files that are damaged in some way: one sentence with 66 before step 0."""
    fault = BAD[trial % len(BAD)]
    source = processes.ROOT / "tests" / "fixtures"
    files = folder / "files"
    files.mkdir(parents=True)
    names = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    images = b"\x00\x00\x08\x03" + (60_000).to_bytes(4, "big") + (28).to_bytes(4, "big") * 2 + bytes(60_000 * 784)
    labels = b"\x00\x00\x08\x01" + (60_000).to_bytes(4, "big") + bytes(60_000)
    tests = b"\x00\x00\x08\x03" + (10_000).to_bytes(4, "big") + (28).to_bytes(4, "big") * 2 + bytes(10_000 * 784)
    for name, content in zip(names, (images, labels, tests), strict=True):
        (files / name).write_bytes(gzip.compress(content, 1))
    last = files / "t10k-labels-idx1-ubyte.gz"
    last.write_bytes(gzip.compress(b"\x00\x00\x08\x01" + (10_000).to_bytes(4, "big") + bytes(10_000), 1))
    path = files / names[trial % 3]
    if fault == "magic":
        path.write_bytes(gzip.compress(b"\x01" + gzip.decompress(path.read_bytes())[1:], 1))
    elif fault == "count":
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[: -int(rng.integers(1, 500))], 1))
    elif fault == "label":
        last.write_bytes(gzip.compress(b"\x00\x00\x08\x01" + (10_000).to_bytes(4, "big") + b"\x0b" * 10_000, 1))
    elif fault == "truncated gzip":
        path.write_bytes(path.read_bytes()[: int(rng.integers(20, 60))])
    elif fault == "not gzip":
        path.write_bytes(rng.bytes(1000))
    elif fault == "missing":
        path.unlink()
    elif fault == "swapped":
        shutil.move(path, files / "x")
        shutil.move(last, path)
        shutil.move(files / "x", last)
    elif fault == "flipped byte":  # the files are not MNIST's anyway: their checksums tell
        content = bytearray(path.read_bytes())
        content[int(rng.integers(len(content)))] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(b"")
    own = {"HWR_CACHE_DIR": str(folder / "cache"), "TFDS_DATA_DIR": str(folder / "tfds")}
    flags = ("--config=configs/fast.py:smoke", f"--config.data.manual_dir={files}", f"--workdir={folder / 'run'}")
    code, _, error = processes.run("main", *flags, env=own)
    assert code == 66, f"{fault}: {code} {error[-300:]}"
    assert "Traceback" not in error, error
    assert error.count("\n") == 1, error
    assert str(files) in error, error
    assert source.is_dir()
    return fault


def at_the_same_time(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R14: a second trainer on a run folder is refused, readers do no harm, and a killed trainer's lock is no lock."""
    flags = (*SMALL, "--config.epochs=25", "--config.checkpoint.keep=1", f"--workdir={folder}")
    first = processes.start("main", *flags)
    processes.wait_for(folder / "metrics.jsonl", [first])
    code, _, error = processes.run("main", *flags)
    assert code == 74, f"{code} {error[-300:]}"
    assert "another process is training in" in error
    readings = 0
    while first.poll() is None and readings < 6:
        code, _, error = processes.run("evaluate", f"--workdir={folder}", "--format=json")
        assert code in (0, 74), f"{code} {error[-300:]}"
        assert "Traceback" not in error, error
        readings += 1
    [code], [error] = processes.ended([first], 240)
    assert code == 0, error[-300:]
    again = (*flags, "--overwrite")
    second = processes.start("main", *again)
    processes.wait_for(folder / "metrics.jsonl", [second])
    second.send_signal(signal.SIGKILL)
    processes.ended([second], 10)
    code, _, error = processes.run("main", *flags)
    assert code == 0, error[-300:]
    return f"{readings} readings"
