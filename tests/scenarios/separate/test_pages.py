"""What the deployment pages, units, Compose files and manifests say, held against the samples, the code and each other."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from common.daemon.settings import PartySettings, check_separate
from tests.pages import command_lines, headings
from tests.scenarios.separate.pages import ROLES, blocks, of_a_machine, page
from tests.source import ROOT
from tests.test_docs import MODELS, check_command, load, sample

DEPLOY = ROOT / "deploy"
COMMAND = {"grid": "grid-party", "bank": "bank-party", "coordinator": "wattscore-coordinator"}
CONFIGURATIONS = [(role, f"{role}.toml") for role in ROLES] + [("bank", "client.toml"), ("bank", "plan.toml")]


def text(role: str, name: str, hashes: int = 0) -> str:
    """A configuration; with `hashes` 1 the defaults it states are in force."""
    found = (DEPLOY / role / name).read_text(encoding="utf-8")
    return re.sub(r"^# (?=\w+ = )", "", found, flags=re.MULTILINE) if hashes else found


# Configurations


@pytest.mark.parametrize(("role", "name"), CONFIGURATIONS)
def test_a_configuration_is_valid_and_states_the_defaults(role: str, name: str, tmp_path: Path) -> None:
    assert load(name, text(role, name, 1), tmp_path) == load(name, text(role, name), tmp_path)


@pytest.mark.parametrize(("role", "name"), CONFIGURATIONS)
def test_every_key_of_a_configuration_is_in_the_sample(role: str, name: str) -> None:
    """Every key is in a sample, with the same value but where a deployed file needs another."""
    again = r"^\[(?:online|console|tracing)\].*?(?=^#* ?\[|\Z)"  # they have keys of [tls] anew
    plain = re.sub(again, "", sample(name, 2), flags=re.MULTILINE | re.DOTALL)
    known = (lines(sample("grid.toml", 2)) if name == "bank.toml" else {}) | lines(plain)
    for key, value in lines(text(role, name, 1)).items():
        assert key in known, f"{name}: {key} is not in deploy/samples"
        if key not in ("path", "listen", "id", "dataset"):
            assert value == known[key], f"{name}: {key}"


def lines(toml: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) = (.+?)\s*(?:#.*)?$", toml, re.MULTILINE))


@pytest.mark.parametrize(("role", "name"), CONFIGURATIONS)
def test_required_keys_are_marked(role: str, name: str, tmp_path: Path) -> None:
    """Without a line that is marked, the file is refused (or the party is); one not marked may go."""
    whole = text(role, name).splitlines()
    for place, line in enumerate(whole):
        if not re.match(r"\w+ = ", line):
            continue
        rest = "\n".join(whole[:place] + whole[place + 1 :])
        refused = is_refused(role, name, rest, tmp_path)
        assert refused == ("# required" in line), f"{name}: {line}"


def is_refused(role: str, name: str, toml: str, folder: Path) -> bool:
    from common.errors import WattScoreError
    from common.party import Identity

    try:
        settings = load(name, toml, folder)
        if isinstance(settings, PartySettings):
            check_separate(Identity(f"acme-{role}", "x"), settings)
    except WattScoreError:
        return True
    return role == "bank" and name == "bank.toml" and "label = " not in toml and "required to train" in text(role, name)


# Units


@pytest.mark.parametrize("role", ROLES)
def test_a_unit_is_hardened_and_runs_the_right_command(role: str) -> None:
    unit = DEPLOY / role / f"{COMMAND[role]}.service"
    said = unit.read_text(encoding="utf-8")
    assert f"ExecStart=/opt/wattscore/bin/{COMMAND[role]} serve --config /srv/wattscore/{role}.toml\n" in said
    needed = (
        "User=wattscore", "ProtectSystem=strict", "NoNewPrivileges=true", "PrivateTmp=true", "CapabilityBoundingSet=\n",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "ReadWritePaths=/srv/wattscore/data", "UMask=0077", "LimitCORE=0",
    )  # fmt: skip
    assert [line for line in needed if line not in said] == []
    others = [(DEPLOY / other / f"{COMMAND[other]}.service").read_text(encoding="utf-8") for other in ROLES]
    assert len({settings(other) for other in others}) == 1


def settings(unit: str) -> str:
    """All that units have in common: everything but what they are called and run."""
    return re.sub(r"^(#|Description=|ExecStart=|ExecReload=).*\n", "", unit, flags=re.MULTILINE)


@pytest.mark.parametrize("role", ROLES)
def test_systemd_takes_a_unit_and_finds_it_little_exposed(role: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    unit = DEPLOY / role / f"{COMMAND[role]}.service"
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(encoding="utf-8"), flags=re.MULTILINE))
    found = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
    assert [line for line in found.stderr.splitlines() if unit.name in line] == []
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit)]
    exposed = subprocess.run(command, capture_output=True, text=True)
    if "unrecognized option" not in exposed.stderr and "invalid option" not in exposed.stderr:
        assert exposed.returncode == 0, exposed.stdout[-300:]


@pytest.mark.parametrize("role", ["grid", "bank"])
def test_a_monthly_unit_runs_what_the_page_says_and_systemd_takes_it_with_its_timer(role: str, tmp_path: Path) -> None:
    page = (DEPLOY / "MONTHLY.md").read_text(encoding="utf-8")
    (section,) = [part for part in page.split("\n## ") if part.startswith(f"At the {role}")]
    unit, timer = (DEPLOY / role / f"{role}-month.{kind}" for kind in ("service", "timer"))
    said = unit.read_text(encoding="utf-8")
    assert re.findall(r"^ExecStart=/opt/wattscore/bin/(.*)$", said, re.MULTILINE) == list(command_lines(section))
    daemon = (DEPLOY / role / f"{COMMAND[role]}.service").read_text(encoding="utf-8")
    asked = re.findall(r"^(?:Protect|Private|Restrict|No|System|Lock|Keyring|Capab|User|Group|UMask).*$", daemon, re.MULTILINE)
    assert len(asked) > 20 and [line for line in asked if line not in said] == []
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    (tmp_path / unit.name).write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", said, flags=re.MULTILINE))
    shutil.copy(timer, tmp_path)
    words = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / file.name) for file in (unit, timer))]
    found = subprocess.run(words, capture_output=True, text=True)
    assert [line for line in found.stderr.splitlines() if f"{role}-month" in line] == []


# Compose and Kubernetes


def yaml(source: str) -> list[Any]:
    parser = pytest.importorskip("yaml", reason="PyYAML is not installed: `make setup`")
    return [document for document in parser.safe_load_all(source) if document]


@pytest.mark.parametrize("role", ROLES)
def test_a_compose_file_runs_one_contained_process(role: str) -> None:
    (compose,) = yaml((DEPLOY / role / "compose.yaml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["user"] == "10001:10001"
        assert service["security_opt"] == ["no-new-privileges:true"] and "privileged" not in service
        assert (name == role) == ("command" in service and service["command"][0] == COMMAND[role])
    own = compose["services"][role]
    assert own["command"] == [COMMAND[role], "serve", "--config", f"/data/{role}.toml"]
    assert own.get("ports", []) == {"grid": ["7001:7001"], "coordinator": ["7000:7000"], "bank": []}[role]
    assert own["volumes"][0].endswith(":/data:ro") and own["volumes"][1].endswith("/data:/data/data")


@pytest.mark.parametrize("role", ROLES)
def test_the_configuration_in_kubernetes_is_the_same_but_for_logs_as_json(role: str, tmp_path: Path) -> None:
    overlay = (DEPLOY / "k8s" / "overlays" / role / f"{role}.toml").read_text(encoding="utf-8")
    differing = set(overlay.splitlines()) ^ set(text(role, f"{role}.toml").splitlines())
    assert len(differing) == 2 and all("log_format" in line for line in differing)
    there, here = load(f"{role}.toml", overlay, tmp_path), load(f"{role}.toml", text(role, f"{role}.toml"), tmp_path)
    assert (there.log_format, here.log_format) == ("json", "text")


@pytest.mark.parametrize("role", ROLES)
def test_an_overlay_builds_and_is_what_a_restricted_namespace_takes(role: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here: overlays are not built")
    command = ["kubectl", "kustomize", str(DEPLOY / "k8s" / "overlays" / role)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    check_manifests(role, {document["kind"]: document for document in yaml(built.stdout)})


def check_manifests(role: str, found: dict[str, Any]) -> None:
    listens = {"grid": 7001, "coordinator": 7000}.get(role)
    assert found.keys() == {"Namespace", "ConfigMap", "StatefulSet", "NetworkPolicy"} | ({"Service"} if listens else set())
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert pod["automountServiceAccountToken"] is False and found["StatefulSet"]["spec"]["replicas"] == 1
    for container in (*pod["containers"], *pod["initContainers"]):
        held = container["securityContext"]
        assert (
            held["readOnlyRootFilesystem"] and not held["allowPrivilegeEscalation"] and held["capabilities"]["drop"] == ["ALL"]
        )
        assert {mount["name"] for mount in container["volumeMounts"]} <= {v["name"] for v in pod["volumes"]} | {"state"}
    (daemon,) = pod["containers"]
    assert daemon["command"] == [COMMAND[role], "serve", "--config", "/data/config.toml"]
    assert all(
        daemon[f"{kind}Probe"]["exec"]["command"] == ["wattscore-health"] for kind in ("startup", "liveness", "readiness")
    )
    (config,) = [volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "config"]
    assert config == found["ConfigMap"]["metadata"]["name"]
    rules = found["NetworkPolicy"]["spec"]
    assert [port["port"] for rule in rules["ingress"] for port in rule["ports"]] == ([listens] if listens else [])
    dialled = sorted(port["port"] for rule in rules["egress"] for port in rule["ports"])
    assert dialled == {"grid": [53, 53, 7000], "bank": [53, 53, 7000, 7001], "coordinator": [53, 53]}[role]
    labels = found["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    for selector in (rules["podSelector"]["matchLabels"], found.get("Service", {}).get("spec", {}).get("selector", {})):
        assert selector.items() <= labels.items()


OFFICE = {"bank": {"online": (7443, 7446), "console": (7445,)}, "grid": {"console": (7445,)}}  # by HTTPS, and by gRPC behind it


@pytest.mark.parametrize("role", OFFICE)
def test_an_office_overlay_is_the_roles_with_ports_for_its_own_network_alone(role: str, tmp_path: Path) -> None:
    folder = DEPLOY / "k8s" / "overlays" / f"{role}-office"
    config = (folder / f"{role}.toml").read_text(encoding="utf-8")
    assert config.startswith((DEPLOY / "k8s" / "overlays" / role / f"{role}.toml").read_text(encoding="utf-8").rstrip())
    settings = load(f"{role}.toml", config, tmp_path)
    sections = {name: getattr(settings, name) for name in OFFICE[role]}
    doors = {name: (section.listen, getattr(section, "grpc", None)) for name, section in sections.items()}
    listens = {name: tuple(int(door.rpartition(":")[2]) for door in both if door) for name, both in doors.items()}
    assert listens == OFFICE[role]
    (compose,) = yaml((DEPLOY / role / "office.yaml").read_text(encoding="utf-8"))
    published = sorted(port.rpartition("}:")[2] for port in compose["services"][role]["ports"])
    assert published == sorted(f"{port}:{port}" for ports in listens.values() for port in ports)
    assert compose["services"].keys() == {role}
    assert all(port.startswith("${WATTSCORE_OFFICE:?") for port in compose["services"][role]["ports"])  # never every address
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here: overlays are not built")
    built = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    check_office(role, list(yaml(built.stdout)), config, listens)


def _ports(found: list[dict[str, Any]], key: str = "port") -> tuple[int, ...]:
    return tuple(port[key] for port in found)


def check_office(role: str, found: list[Any], config: str, listens: dict[str, tuple[int, ...]]) -> None:
    services = {one["metadata"]["name"]: one["spec"] for one in found if one["kind"] == "Service"}
    for name, ports in listens.items():
        service = services.pop(f"{role}-{name}")
        assert _ports(service["ports"], "targetPort") == ports and service.get("type", "ClusterIP") == "ClusterIP"
    kinds = {one["kind"]: one for one in found if one["kind"] != "Service"}
    policy, pod = kinds["NetworkPolicy"]["spec"], kinds["StatefulSet"]["spec"]["template"]["spec"]
    for rule in policy["ingress"]:
        if (ports := _ports(rule["ports"])) in listens.values():
            name = next(name for name, numbers in listens.items() if numbers == ports)
            assert [one["podSelector"]["matchLabels"] for one in rule["from"]] == [{f"wattscore.{name}": "yes"}]
            del rule["from"]
    policy["ingress"] = [rule for rule in policy["ingress"] if _ports(rule["ports"]) not in listens.values()]
    assert kinds["ConfigMap"]["data"]["config.toml"] == config
    (secret,) = [volume for volume in pod["volumes"] if volume["name"] == "secret"]
    assert "secret" not in secret and secret["projected"]["defaultMode"] == 0o440
    assert [one["secret"]["name"] for one in secret["projected"]["sources"]] == ["wattscore-tls", "wattscore-office"]
    check_manifests(role, kinds | ({"Service": {"spec": next(iter(services.values()))}} if services else {}))


def test_the_keys_are_copied_and_withdrawn_as_the_secret_says(tmp_path: Path) -> None:
    """The script of the container that keeps certificates, one round of it, on folders in place of mounts."""
    (base,) = yaml((DEPLOY / "k8s" / "base" / "statefulset.yaml").read_text(encoding="utf-8"))
    (keeper,) = base["spec"]["template"]["spec"]["initContainers"]
    script = keeper["command"][-1].replace("sleep 10", "exit 0")
    for name in ("secret", "trust", "certs"):
        (tmp_path / name).mkdir()
        script = script.replace(f"/{name}", str(tmp_path / name)) if name != "trust" else script
    script = script.replace("follow /trust", f"follow {tmp_path / 'trust'}")
    (tmp_path / "secret" / "x.key").write_text("key")
    (tmp_path / "secret" / "x.key").chmod(0o440)
    for org in ("a", "b"):
        (tmp_path / "trust" / f"{org}.pem").write_text(org)

    def once() -> None:
        done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    once()
    kept = tmp_path / "certs"
    assert (kept / "x.key").read_text() == "key" and (kept / "x.key").stat().st_mode & 0o077 == 0
    assert {file.name for file in (kept / "trust").iterdir()} == {"a.pem", "b.pem"}
    (tmp_path / "secret" / "x.key").chmod(0o640)
    (tmp_path / "secret" / "x.key").write_text("new")
    (tmp_path / "trust" / "b.pem").unlink()
    once()
    assert (kept / "x.key").read_text() == "new" and {file.name for file in (kept / "trust").iterdir()} == {"a.pem"}


# Pages


@pytest.mark.parametrize("role", ROLES)
def test_both_languages_have_the_same_sections_and_the_same_commands(role: str) -> None:
    assert blocks(role) == blocks(role, "zh")
    assert (
        headings(page(role)) == headings(page(role, "zh")) == ["#"] + ["##"] * (14 if role == "bank" else 13)
    )  # a bank may join others
    assert len(re.findall(r"^\|", page(role), re.MULTILINE)) == len(re.findall(r"^\|", page(role, "zh"), re.MULTILINE))


@pytest.mark.parametrize("role", ROLES)
def test_every_command_of_a_page_exists(role: str) -> None:
    commands = [line for found in blocks(role).values() for block in found for line in block.splitlines()]
    seen = set()
    for line in commands:
        name, *words = shlex.split(line)
        if name in ("wattscore", *COMMAND.values()):
            seen |= {name, check_command(name, words)}
    assert {"init", "issue", "bundle", "trust", "doctor", COMMAND[role]} <= seen
    copied = [word for line in commands for word in shlex.split(line) if word.startswith("$SOURCE/")]
    for pattern in copied:
        assert list(ROOT.glob(pattern.removeprefix("$SOURCE/"))), pattern


@pytest.mark.parametrize("role", ROLES)
def test_what_a_page_tells_root_to_type_names_what_there_is(role: str) -> None:
    """Units, paths, and on Kubernetes the secret, the map, the pod and its container, as the manifests have them."""
    lines = [line for found in blocks(role).values() for block in found for line in block.splitlines() if of_a_machine(line)]
    unit = (DEPLOY / role / f"{COMMAND[role]}.service").read_text(encoding="utf-8")
    for line in lines:
        name, *words = shlex.split(line)
        if name in ("systemctl", "journalctl"):
            assert COMMAND[role] in words
        if name == "ln":
            assert words[-2] == f"/opt/wattscore/bin/{COMMAND[role]}" and f"ExecStart={words[-2]} " in unit
        if name == "sudo":
            assert f"--config {words[-1]}\n" in unit and f"User={words[1]}\n" in unit
            check_command(words[2], words[3:])
        if name == "rm":
            assert words[0] in [f"certs/trust/{org}.pem" for org in ("acme-grid", "acme-bank", "neutral")]
    (base,) = yaml((DEPLOY / "k8s" / "base" / "statefulset.yaml").read_text(encoding="utf-8"))
    (overlay,) = yaml((DEPLOY / "k8s" / "overlays" / role / "kustomization.yaml").read_text(encoding="utf-8"))
    pod = base["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    space, secret, trust, apply, run = (shlex.split(line) for line in lines if line.startswith("kubectl "))
    assert space == ["kubectl", "create", "namespace", overlay["namespace"]]
    inside = ["kubectl", "-n", overlay["namespace"]]
    assert secret[:7] == [*inside, "create", "secret", "generic", volumes["secret"]["secret"]["secretName"]]
    assert trust[:6] == [*inside, "create", "configmap", volumes["trust"]["configMap"]["name"]]
    config = tomllib.loads(text(role, f"{role}.toml"))["tls"]
    assert secret[7:] == [f"--from-file={config[key]}" for key in ("certificate", "key")]
    assert {word.rpartition("/")[2] for word in trust[6:]} == {"acme-bank.pem", "acme-grid.pem", "neutral.pem"}
    assert apply[2:] == ["-k", f"$SOURCE/deploy/k8s/overlays/{role}"]
    at = [f"{overlay['namePrefix']}{base['metadata']['name']}-0", "-c", pod["containers"][0]["name"], "--"]
    assert run[: len(inside) + 5] == [*inside, "exec", *at]
    name, *words = run[len(inside) + 5 :]
    check_command(name, words)
    (mounted,) = [one["mountPath"] for one in pod["containers"][0]["volumeMounts"] if one["name"] == "config"]
    assert words[-1] == mounted


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_links_of_a_page_lead_somewhere(role: str, language: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page(role, language)):
        assert (DEPLOY / role / target).exists(), target


def test_plans_and_parties_of_the_pages_fit_together(tmp_path: Path) -> None:
    raw = {name: tomllib.loads(text(role, name)) for role, name in CONFIGURATIONS}
    assert raw["grid.toml"]["datasets"].keys() == {raw["plan.toml"]["grid"]["dataset"]}
    assert raw["bank.toml"]["datasets"].keys() == {raw["plan.toml"]["bank"]["dataset"]}
    assert raw["coordinator.toml"]["grid"] == raw["bank.toml"]["peer"]["identity"]
    assert raw["coordinator.toml"]["bank"] == raw["grid.toml"]["peer"]["identity"]
    assert MODELS.keys() >= raw.keys()
