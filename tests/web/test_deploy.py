"""What goes into a container, by its Containerfile and its list of ignored files, and how it may run."""

import fnmatch
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from hwr_jax import serve
from hwr_jax.cli import manual
from hwr_jax.web.limits import MIB, Limits

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "scripts" / "deploy"
STAGES = re.split(r"(?m)^FROM ", (DEPLOY / "Containerfile").read_text())[1:]


def sources(stage):
    """What a stage copies of the repository."""
    lines = re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", stage)
    return [one for line in lines for one in line.split()]


def context():
    """The files that a builder gets: of the repository, those that the list lets through."""
    rules = (DEPLOY / "Containerfile.dockerignore").read_text().split()
    assert rules[0] == "*"
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    dropped = [rule.removeprefix("**/") for rule in rules[1:] if not rule.startswith("!")]
    known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    files = [name for name in known if any(name == one or name.startswith(f"{one}/") for one in kept)]
    return [
        name for name in files if not any(fnmatch.fnmatch(part, one) for part in Path(name).parts for one in dropped)
    ]


def test_the_image_holds_the_package_and_nothing_else_of_the_repository():
    copied = sources(STAGES[0])
    files = context()
    for one in copied:
        assert any(name == one or name.startswith(f"{one}/") for name in files), f"{one} is ignored, or not there"
    inside = {name for name in files if any(name == one or name.startswith(f"{one}/") for one in copied)}
    assert inside == set(files)  # what is let through is copied
    assert {name.partition("/")[0] for name in inside} == {
        "LICENSE", "README.md", "configs", "hwr_jax", "pyproject.toml", "scripts",
    }  # fmt: skip
    assert {"hwr_jax/serve.py", "hwr_jax/web/worker.py", "hwr_jax/pretrained/model.safetensors"} <= inside
    assert not [name for name in inside if re.search(r"(^|/)(tests|runs|\.git|\.env|.*key.*\.txt)(/|$)", name)]
    assert sum((ROOT / name).stat().st_size for name in inside) < 5 * 2**20
    assert not sources(STAGES[1])
    assert re.findall(r"(?m)^COPY (.*)$", STAGES[1]) == ["--from=build /opt/hwr /opt/hwr"]


def test_the_image_installs_what_the_server_imports_and_nothing_of_training():
    assert re.findall(r"pip install (.*?)(?: &&|\n)", STAGES[0]) == [
        "--no-cache-dir --no-compile -r requirements.txt", "--no-cache-dir --no-deps .",
    ]  # fmt: skip
    text = (DEPLOY / "requirements.txt").read_text()
    for absent in ("jax", "flax", "tensorflow", "matplotlib", "scikit", "orbax", "optax"):
        assert absent not in text.partition("\n")[2]


def test_the_image_asks_for_the_versions_that_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    known = {*project["dependencies"], *extras["serve"], *extras["documents"]}
    listed = [line for line in (DEPLOY / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert set(listed) <= known
    assert set(extras["serve"]) <= set(listed)


def test_the_image_runs_as_nobody_and_is_told_what_its_command_takes():
    assert re.search(r"(?m)^USER 10001:10001$", STAGES[1])
    assert '\nENTRYPOINT ["hwr", "serve"]\n' in STAGES[1]
    flags = set(re.findall(r"--(\w+)", manual.text("", serve.FLAGS, "", "", "")))
    given = re.findall(
        r'"--(\w+)', STAGES[1] + (DEPLOY / "compose.yaml").read_text() + (DEPLOY / "kubernetes.yaml").read_text()
    )
    assert given
    assert set(given) <= flags


def test_compose_and_kubernetes_take_away_what_the_server_does_not_need():
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["hwr"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DEPLOY / "Containerfile"
    found = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    probes = [container[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")]
    assert probes == ["/healthz", "/readyz"]
    assert found["Service"]["spec"]["selector"] == found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert pod["terminationGracePeriodSeconds"] > 5 + 30  # the wait before, and --max_drain_s


def test_the_memory_of_a_container_holds_what_its_processes_may_take():
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["hwr"]
    [pod, *_] = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    [container] = pod["spec"]["template"]["spec"]["containers"]
    allowed = {service["mem_limit"]: service["command"], container["resources"]["limits"]["memory"]: container["args"]}
    assert set(allowed) == {"4g", "4Gi"}
    for arguments in allowed.values():
        given = dict(one.removeprefix("--").split("=") for one in arguments)
        own = 200  # MiB of a process before it reads, and of the server
        readers = int(given["processes"]) * (own + int(given["max_memory_mib"]))
        assert readers + own + Limits().held_bytes / MIB <= 4096


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml"])
def test_every_container_that_others_can_reach_has_a_key(name):
    text = (DEPLOY / name).read_text()
    assert text.count("--host=0.0.0.0") == text.count("--api_key_file=") == 1
