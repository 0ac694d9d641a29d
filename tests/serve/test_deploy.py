"""The files of `deploy/`: they say what the program understands, agree with each other, and what they start fits."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import yaml
from gateways import Serve
from processes import QUESTION, folder_with_key, process
from scripted import answers, consults, scripted

import ascl
from ascl.rules.load import load_rules
from ascl.serve.config import ServeConfig
from ascl.serve.trail.audit import AUDIT, verify

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
STORE, RULES, LIMIT = "/var/lib/ascl", "/etc/ascl/rules", 128 * 2**20
ADDRESS = {"ASCL_MODEL": "model", "ASCL_UPSTREAM": "http://model:8000/v1"}  # what a user sets for compose
OTHERS = {"PATH", "PYTHONDONTWRITEBYTECODE", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"}  # read by Python and libraries

Said = dict[str, str]


def filled(value: str) -> str:
    """A value of compose.yaml with its variables as they are set, or their defaults."""

    def one(found: re.Match[str]) -> str:
        name, kind, rest = found[1], found[2], found[3]
        return ADDRESS[name] if kind == ":?" else rest

    return re.sub(r"\$\{(\w+)(:[?-])([^}]*)\}", one, value)


def options(arguments: list[str]) -> Said:
    """`--name=value` by name."""
    assert all(argument.startswith("--") and "=" in argument for argument in arguments), arguments
    return dict(filled(argument)[2:].split("=", 1) for argument in arguments)


DOCKER = {
    line.split(" ", 1)[0]: line.split(" ", 1)[1]
    for line in (DEPLOY / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    if line and not line.startswith("#")
}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICE = COMPOSE["services"]["gateway"]
K8S = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "k8s.yaml").read_text())}
POD = K8S["Deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
COMMANDS = {
    "Dockerfile": options(json.loads(DOCKER["CMD"])),
    "compose.yaml": options(SERVICE["command"]),
    "k8s.yaml": options(CONTAINER["args"]),
}


@pytest.mark.parametrize("file", COMMANDS)
def test_the_program_takes_every_option(file: str) -> None:
    given = {name.replace("-", "_"): yaml.safe_load(value) for name, value in COMMANDS[file].items()}
    config = ServeConfig.model_validate(given)
    assert (str(config.folder), config.host, config.port, config.log_format) == (STORE, "0.0.0.0", 8080, "json")
    assert json.loads(DOCKER["ENTRYPOINT"]) == ["ascl", "serve"]


def test_every_variable_is_read_by_somebody() -> None:
    passed = set(re.findall(r"([A-Z_]+)=", DOCKER["ENV"])) | set(SERVICE["environment"])
    passed |= {one["name"] for one in CONTAINER["env"]}
    source = "".join(path.read_text() for path in (ROOT / "src" / "ascl" / "cli").glob("*.py"))
    assert {name for name in passed - OTHERS if f'"{name}"' not in source} == set()


def test_ports_and_paths_agree() -> None:
    (published,) = SERVICE["ports"]
    assert published.startswith("127.0.0.1:") and published.endswith(":8080")
    assert DOCKER["EXPOSE"] == "8080"
    (port,) = CONTAINER["ports"]
    assert (port["name"], port["containerPort"]) == ("http", 8080)
    (service,) = K8S["Service"]["spec"]["ports"]
    assert service["targetPort"] == "http"
    assert (
        K8S["Service"]["spec"]["selector"].items()
        <= K8S["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    )
    assert {probe["httpGet"]["port"] for probe in probes().values()} == {"http"}
    mounted = {filled(volume).split(":")[1] for volume in SERVICE["volumes"]}
    assert mounted == {STORE, RULES}
    assert {one["mountPath"] for one in CONTAINER["volumeMounts"]} == {STORE, RULES, f"{STORE}/keys.jsonl", "/tmp"}
    assert {one["name"] for one in CONTAINER["volumeMounts"]} == {one["name"] for one in POD["volumes"]}
    for file in ("compose.yaml", "k8s.yaml"):
        assert COMMANDS[file]["rules"] == RULES
    assert STORE in DOCKER["RUN"]


def probes() -> dict[str, Any]:
    return {name: CONTAINER[f"{name}Probe"] for name in ("liveness", "readiness")}


def test_nothing_runs_as_root_or_writes_beside_the_store() -> None:
    assert DOCKER["USER"] == SERVICE["user"] == "10001:10001"
    pod, container = POD["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"] and pod["runAsUser"] == pod["fsGroup"] == 10001
    assert container["readOnlyRootFilesystem"] and not container["allowPrivilegeEscalation"]
    assert SERVICE["read_only"] and SERVICE["cap_drop"] == container["capabilities"]["drop"] == ["ALL"]
    assert SERVICE["mem_limit"] == "128m" and CONTAINER["resources"]["limits"]["memory"] == "128Mi"


def test_a_drain_ends_before_it_is_killed() -> None:
    sleep = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert sleep + int(COMMANDS["k8s.yaml"]["drain"]) + 10 < POD["terminationGracePeriodSeconds"] == 600
    assert int(COMMANDS["compose.yaml"]["drain"]) + 10 < int(SERVICE["stop_grace_period"].removesuffix("s")) == 600


def test_the_image_is_made_of_what_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in copied.split())
    assert "ARG EXTRAS=serve\n" in text
    rules = (DEPLOY / filled(SERVICE["volumes"][0]).split(":")[0]).resolve()
    assert len(load_rules(rules)) == 126


def config_map(folder: Path, version: str, text: str) -> None:
    """Put rules in force as the kubelet does it: files are links into a folder that a link names."""
    new = folder / f"..{version}"
    new.mkdir(parents=True)
    (new / "rules.yaml").write_text(text)
    (folder / "..data_tmp").symlink_to(new.name)
    (folder / "..data_tmp").replace(folder / "..data")
    if not (folder / "rules.yaml").is_symlink():
        (folder / "rules.yaml").symlink_to("..data/rules.yaml")


def test_a_config_map_is_read_and_read_again(serving: Serve, tmp_path: Path) -> None:
    text = K8S["ConfigMap"]["data"]["rules.yaml"]
    config_map(tmp_path / "rules", "1", text)
    with serving(answers("Hi"), rules=str(tmp_path / "rules")) as served:
        first = served.gateway.books.pin("default")
        assert [rule.id for rule in first.tool.book.rules] == ["house.customers"]
        config_map(tmp_path / "rules", "2", text.replace("customer lives", "guest lives"))
        shutil.rmtree(tmp_path / "rules" / "..1")
        while (body := httpx2.get(f"{served.url}/readyz").json())["rules"]["default"] == first.version:
            assert body["problems"] == 0
            threading.Event().wait(0.05)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A source tree and a working directory in which nobody may write, and a folder for the store."""
    folder = tmp_path_factory.mktemp("deployed")
    shutil.copytree(
        Path(ascl.__file__).parent, folder / "source" / "ascl", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "cwd").mkdir()
    closed = [folder / "cwd", folder / "source", *(folder / "source").rglob("*")]
    for path in closed:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in closed:
        path.chmod(0o755)


def memory(process: int, name: str) -> int:
    """Bytes of memory that a process has (VmRSS) or had at most (VmHWM)."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def test_what_the_image_starts_fits_and_stores_only_where_it_is_told(place: Path) -> None:
    key = folder_with_key(place / "store")
    before = {path: path.stat().st_mtime_ns for path in [*(place / "source").rglob("*"), place / "cwd"]}
    environment = {name: value for name, value in re.findall(r"([A-Z_]+)=(\S+)", DOCKER["ENV"]) if name != "PATH"}
    environment |= {"PYTHONPATH": str(place / "source"), "HOME": "/nonexistent"}
    changed = {"folder": str(place / "store"), "rules": str(place / "source/ascl/rules/default"), "model": "model"}
    with scripted(*[consults(), answers("No.")] * 300) as script:
        given = COMMANDS["compose.yaml"] | changed | {"upstream": script.url}
        arguments = [f"--{name}={value}" for name, value in given.items() if name not in ("host", "port", "log-format")]
        with process(*arguments, host=given["host"], cwd=place / "cwd", env=environment) as gateway:
            idle = memory(gateway.child.pid, "VmRSS")
            for probe in probes().values():
                assert httpx2.get(f"{gateway.url}{probe['httpGet']['path']}").status_code == 200
            checked = urlsplit(re.findall(r"http://[^']+", SERVICE["healthcheck"]["test"][-1])[0])
            assert (checked.port, httpx2.get(f"{gateway.url}{checked.path}").status_code) == (8080, 200)
            headers = {"authorization": f"Bearer {key}"}
            with httpx2.Client(base_url=gateway.url, headers=headers, timeout=60) as client:
                for number in range(500):
                    script.bodies.clear() if number % 250 == 0 else None
                    reply = client.post("/v1/chat/completions", json=QUESTION | {"stream": number % 2 == 1})
                    assert reply.status_code == 200
            after, most = (memory(gateway.child.pid, name) for name in ("VmRSS", "VmHWM"))
            assert gateway.stop() == 0
    print(f"idle {idle / 2**20:.1f} MiB, after 500 requests {after / 2**20:.1f}, at most {most / 2**20:.1f}")
    assert max(idle, after, most) < LIMIT
    assert verify(place / "store" / AUDIT) == (1000, None)
    assert {path: path.stat().st_mtime_ns for path in [*(place / "source").rglob("*"), place / "cwd"]} == before
    assert {"keys.jsonl", "audit.key", AUDIT} <= {path.name for path in (place / "store").iterdir()}
