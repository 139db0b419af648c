"""Peer programs: how they are called and read, and what is reported when they cannot be."""

import json
import sys

import pytest

from hwr_jax.benchmarks import peers
from hwr_jax.core.errors import DataError

PEER = peers.Peer(("peer.py", "--seed={seed}"), "json", {"HWR_TEST_PEER": "here"})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "peer.py").write_text(
        "import json, os, sys\n"
        "print('not the result')\n"
        "seen = [sys.argv[1], os.environ['HWR_TEST_PEER']]\n"
        "print(json.dumps({'train_seconds': 2.0, 'accuracy': 0.9, 'seen': seen}))\n"
    )
    return tmp_path


def test_a_peer_is_run_with_its_seed_and_environment(folder):
    found = peers.run_peer(PEER, folder, sys.executable, 7)
    assert found["seen"] == ["--seed=7", "here"]
    assert found["train_seconds"] == 2.0
    assert found["wall_seconds"] > 0
    assert list(folder.iterdir()) == [folder / "peer.py"]


def test_the_reason_why_a_peer_cannot_run_is_reported(folder):
    assert peers.missing(PEER, folder, sys.executable) is None
    assert "peer.py does not exist" in peers.missing(PEER, folder / "none", sys.executable)
    other = PEER._replace(needs="no_such_library")
    assert "cannot import no_such_library (--peers_python" in peers.missing(other, folder, sys.executable)


def test_a_failing_peer_is_an_error_with_its_last_line(folder):
    (folder / "peer.py").write_text("raise SystemExit('out of luck')")
    with pytest.raises(DataError, match=r"peer.py --seed=0 ended with code 1: out of luck"):
        peers.run_peer(PEER, folder, sys.executable, 0)


def test_the_commands_of_the_table_have_no_placeholder_but_seed():
    for peer in peers.PEERS.values():
        assert peer.command[0].endswith(".py")
        assert all("{" not in part.format(seed=3) for part in peer.command)


def test_ratios_are_of_pairs_that_ran_one_after_the_other():
    seconds, order = iter([1.0, 4.0, 2.0, 4.0, 3.0, 4.0]), []

    def run(who):
        def once(seed):
            order.append((who, seed))
            time = {"train_seconds": next(seconds), "wall_seconds": 9.0, "compile_seconds": 1.0}
            return {**time, "accuracy": 0.99, "test": {"accuracy": {"mean": 0.98}}}

        return once

    found = peers.alternate(run("us"), run("them"), 3)
    assert order == [("us", 0), ("them", 0), ("us", 1), ("them", 1), ("us", 2), ("them", 2)]
    assert found["ratio"] == {"median": 0.5, "lowest": 0.25, "highest": 0.75}
    assert found["ours_s"] == [1.0, 2.0, 3.0]
    assert found["theirs_accuracy"] == [0.99] * 3
    assert json.loads(json.dumps(found)) == found
