"""Ranks that have nothing to do, ranks that die."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("ranks_scoring.py")
QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
A_MINUTE = 60


def launch(processes, folder, *arguments):
    """The script under the launcher; how it ended and the seconds from the fault to the end of the last process."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes else []
    return subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), *map(str, (folder, *arguments))],
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def result(folder, limit):
    return json.loads((folder / f"{limit}.json").read_text())


@contextmanager
def two_hosts():
    """Two network namespaces with an address each, joined by a cable; skips where the system does not allow it."""
    names, ends = [f"radar{os.getpid()}{k}" for k in "ab"], [f"rv{os.getpid()}{k}" for k in "ab"]
    commands = [["netns", "add", name] for name in names]
    commands += [["link", "add", ends[0], "netns", names[0], "type", "veth", "peer", ends[1], "netns", names[1]]]
    for k, (name, end) in enumerate(zip(names, ends, strict=True), 1):
        commands += [["-n", name, "addr", "add", f"10.77.0.{k}/24", "dev", end]]
        commands += [["-n", name, "link", "set", device, "up"] for device in (end, "lo")]
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip` here (package iproute2)")
    try:
        for command in commands:
            if subprocess.run(["ip", *command], capture_output=True, check=False).returncode != 0:
                pytest.skip("network namespaces cannot be made here: it needs the rights of an administrator")
        yield list(zip(names, ends, strict=True))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def test_two_hosts_agree_with_one_process(alone, tmp_path):
    """`torchrun --nnodes 2`, each host with a network of its own."""
    with two_hosts() as hosts:
        nodes = []
        for rank, (name, end) in enumerate(hosts):
            meeting = [
                "--nnodes",
                "2",
                "--node_rank",
                str(rank),
                "--master_addr",
                "10.77.0.1",
                "--master_port",
                "29517",
            ]
            inside = ["ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run"]
            (tmp_path / name).mkdir()
            nodes.append(
                subprocess.Popen(
                    [*inside, *meeting, "--nproc_per_node", "1", str(SCRIPT), str(tmp_path / name), "13"],
                    env={**os.environ, **QUIET, "GLOO_SOCKET_IFNAME": end},
                )
            )
        assert [node.wait(200) for node in nodes] == [0, 0]
        one, two = result(alone, 13), result(tmp_path / hosts[0][0], 13)
        assert two["table"] == one["table"]
        assert two["logprob"].keys() == one["logprob"].keys()
        assert two["scored"] == 14  # of 26, each host asked half, 7 a task


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    done = launch(0, folder, "1,3,13")
    assert done.returncode == 0, done.stderr
    return folder


def test_four_ranks_of_which_some_have_nothing_to_do_agree_with_one_process(alone, tmp_path):
    """With a limit of 1 three ranks get no document, with 3 one does, and 13 does not divide by 4."""
    done = launch(4, tmp_path, "1,3,13")
    assert done.returncode == 0, done.stderr
    for limit in (1, 3, 13):
        one, four = result(alone, limit), result(tmp_path, limit)
        assert four["table"] == one["table"]
        assert {leaf: sorted(order) for leaf, order in four["order"].items()} == {
            leaf: list(range(limit)) for leaf in one["order"]
        }
        assert four["logprob"].keys() == one["logprob"].keys()
        for q_id, logprob in four["logprob"].items():
            assert logprob == pytest.approx(one["logprob"][q_id], abs=1e-5)


def test_a_bug_in_one_rank_ends_the_others(tmp_path):
    started = time.monotonic()
    done = launch(2, tmp_path, "13", "bug")
    assert time.monotonic() - started < 2 * A_MINUTE  # of which at most one is starting
    assert done.returncode != 0
    assert "rank 1 ends the job: ValueError: a broken device" in done.stderr
    assert not (tmp_path / "13.json").exists()


def test_a_rank_that_is_killed_ends_the_others_and_what_was_scored_is_kept(alone, tmp_path):
    """The next run has another number of processes and still finds what both ranks have stored."""
    started = time.monotonic()
    done = launch(2, tmp_path, "13", "kill", tmp_path / "cache")
    assert time.monotonic() - started < 2 * A_MINUTE
    assert done.returncode != 0
    assert "Signal 9 (SIGKILL) received by PID" in done.stderr
    assert not (tmp_path / "13.json").exists()
    again = launch(0, tmp_path, "13", "none", tmp_path / "cache")
    assert again.returncode == 0, again.stderr
    resumed = result(tmp_path, 13)
    assert resumed["table"] == result(alone, 13)["table"]
    assert resumed["scored"] <= 26 - 3 * 2  # rank 1 had finished three batches of two
