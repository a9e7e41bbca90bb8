"""The samples of a Ray cluster in containers: contained, with token, TLS and closed folders, and with options that Ray has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from common.scale.settings import RayCluster, load_cluster
from tests.source import ROOT
from tests.test_docs import load

FOLDER = ROOT / "deploy" / "ray"
PAGE = (ROOT / "deploy" / "RAY.md").read_text(encoding="utf-8")
SECURE = {"RAY_AUTH_MODE": "token", "RAY_USE_TLS": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def yaml(name: str) -> list[Any]:
    parser = pytest.importorskip("yaml", reason="PyYAML is not installed: `make setup`")
    return list(parser.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def starts() -> dict[str, str]:
    """Every `ray start` of page and samples, by where it stands."""
    found = {f"page {k}": line for k, line in enumerate(re.findall(r"^ray start .*$", PAGE, re.MULTILINE))}
    (compose,) = yaml("compose.yaml")
    found |= {f"compose {name}": service["command"][-1] for name, service in compose["services"].items()}
    config, _, cluster = yaml("raycluster.yaml")
    common = config["data"]["start.sh"].partition("exec ray start")[2].replace("\\\n", " ")
    for group in (cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        found[container["name"]] = " ".join(["ray start", *container["args"], common])
    return found


def test_every_start_is_closed() -> None:
    found = starts()
    assert len(found) == 7
    for where, line in found.items():
        options = dict(re.findall(r"--([\w-]+)(?:=(\S+))?", line))
        assert {
            "node-ip-address",
            "node-manager-port",
            "object-manager-port",
            "worker-port-list",
            "temp-dir",
        } <= options.keys(), where
        assert ("head" in options) == ("address" not in options) == (options.get("include-dashboard") == "false"), where
        assert options["temp-dir"].count("/") >= 2, f"{where}: Ray opens this folder to all: it stands in one that is closed"
        assert "ray-client-server-port" not in options and "dashboard-host" not in options


def test_ray_has_the_options_of_every_start() -> None:
    scripts = pytest.importorskip("ray.scripts.scripts", reason="Ray is not installed: `make test-ray`")
    known = {name for option in scripts.start.params for name in option.opts}
    for where, line in starts().items():
        assert set(re.findall(r"--[\w-]+", line)) <= known, where


def test_compose_contains_its_nodes_and_joins_nobody_else(tmp_path: Path) -> None:
    (compose,) = yaml("compose.yaml")
    assert compose["networks"]["ray"]["internal"] and list(compose["networks"]) == ["ray"]
    addresses = set()
    for service in compose["services"].values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["user"] == "10001:10001"
        assert service["security_opt"] == ["no-new-privileges:true"] and "ports" not in service
        assert SECURE.items() <= service["environment"].items()
        assert any(line.startswith("/ray:") and "mode=0700" in line for line in service["tmpfs"])
        start = service["command"][-1]
        assert start.startswith("umask 077; mkdir -p /ray/own;") and "--temp-dir=/ray/own/" in start
        addresses.add(service["networks"]["ray"]["ipv4_address"])
        if "build" not in service:  # a node sees its own key, the token and the scratch folder, and no record
            assert [volume for volume in service["volumes"] if volume.endswith("/data:ro")] == []
    assert len(addresses) == 3 and "mode=0700" in compose["volumes"]["scratch"]["driver_opts"]["o"]
    settings = load("ray.toml", (FOLDER / "ray.toml").read_text(encoding="utf-8"), tmp_path)
    assert isinstance(settings, RayCluster) and settings.address.partition(":")[0] in addresses


def test_kubernetes_keeps_its_nodes_among_themselves() -> None:
    _, policy, cluster = yaml("raycluster.yaml")  # the policy before the pods
    assert (policy["apiVersion"], policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    nodes = {"matchLabels": {"ray.io/cluster": cluster["metadata"]["name"]}}  # the label that the operator gives each pod of it
    spec = policy["spec"]
    assert spec["podSelector"] == nodes and spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"from": [{"podSelector": nodes}]}]
    among, names = spec["egress"]
    assert among == {"to": [{"podSelector": nodes}]}
    assert [peer["podSelector"]["matchLabels"] for peer in names["to"]] == [{"k8s-app": "kube-dns"}]
    assert {port["port"] for port in names["ports"]} == {53}


def test_kubernetes_contains_its_nodes() -> None:
    _, _, cluster = yaml("raycluster.yaml")
    spec = cluster["spec"]
    # Fields that are not known are dropped without a word, and the operator's network rules were renamed: none is relied upon.
    assert spec.keys() == {"rayVersion", "tlsOptions", "headGroupSpec", "workerGroupSpecs"}
    assert spec["tlsOptions"] == {"enabled": True}, "without that word the operator of 1.7 gives its pods no certificate"
    assert spec["rayVersion"].startswith("2.60.")
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert environment["RAY_AUTH_MODE"] == "token" and environment["RAY_USAGE_STATS_ENABLED"] == "0"
        assert not {name for name in environment if "TLS" in name}, "the operator refuses them beside tlsOptions"
        (token,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "token"]
        assert environment["RAY_AUTH_TOKEN_PATH"] == f"{token}/token"  # not of start.sh, which the operator's `ray` never sees
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert all(v["emptyDir"]["medium"] == "Memory" for v in pod["volumes"] if "emptyDir" in v)


class Pod:
    """What start.sh finds in a pod, in a folder: `ray` writes down the variables that it would start with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config, *_ = yaml("raycluster.yaml")
        for name in ("config", "token", "own", "scratch", "ray", "bin", "tls"):
            (folder / name).mkdir(parents=True)
        for name, text in config["data"].items():
            here = re.sub(r"(?<![\w.])/(?=(?:config|token|own|scratch|ray)/)", f"{folder}/", text)
            (folder / "config" / name).write_text(here)
        (folder / "token" / "token").write_text("5e0b" * 16)
        (ray := folder / "bin" / "ray").write_text(f"#!/bin/sh\nenv >{folder}/started\n")
        ray.chmod(0o755)
        self.issued("one")

    def issued(self, what: str) -> None:
        """A certificate as Kubernetes shows a secret: files behind a link that is turned at once, of which the old ones go."""
        tls = self.folder / "tls"
        before = (tls / "..data").resolve() if (tls / "..data").exists() else None
        (new := tls / f"..{what}").mkdir()
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (new / name).write_text(f"{name} {what}")
            if not (tls / name).is_symlink():
                (tls / name).symlink_to(f"..data/{name}")
        (turned := tls / "..data_tmp").symlink_to(new.name)
        turned.replace(tls / "..data")
        if before is not None:
            shutil.rmtree(before)

    def start(self, *, tls: bool = True) -> subprocess.CompletedProcess[str]:
        given = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "POD_IP": "10.1.2.3"}
        names = {"CERT": "tls.crt", "KEY": "tls.key"}
        if tls:
            given |= {f"RAY_TLS_SERVER_{what}": str(self.folder / "tls" / name) for what, name in names.items()}
            given |= {"RAY_USE_TLS": "1", "RAY_TLS_CA_CERT": str(self.folder / "tls" / "ca.crt")}
        script = ["sh", "-eu", str(self.folder / "config" / "start.sh"), "--head"]
        return subprocess.run(script, env=given, capture_output=True, text=True)

    @property
    def started(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.folder / "started").read_text().splitlines())


def test_kubernetes_starts_ray_with_one_certificate_and_its_key(tmp_path: Path) -> None:
    """Also once the operator has had another made, which Ray's later processes would else take with the key of the first."""
    pod = Pod(tmp_path / "pod")
    assert (done := pod.start()).returncode == 0, done.stderr
    started = pod.started
    pod.issued("two")
    assert (tmp_path / "pod" / "tls" / "tls.key").read_text() == "tls.key two"
    own = {name: Path(started[f"RAY_TLS_{name}"]) for name in ("SERVER_CERT", "SERVER_KEY", "CA_CERT")}
    assert [file.read_text() for file in own.values()] == ["tls.crt one", "tls.key one", "ca.crt one"]
    assert Path(started["RAY_AUTH_TOKEN_PATH"]).read_text() == "5e0b" * 16
    files = [*own.values(), Path(started["RAY_AUTH_TOKEN_PATH"])]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    cluster = load_cluster(tmp_path / "pod" / "own" / "ray.toml")  # what the head's command is given, checks of modes included
    assert cluster.address == "10.1.2.3:6379", "the head's certificate has the pod's address and its full name, no short one"
    assert {name: started[name] for name in cluster.environment if "TLS" in name} == {
        name: value for name, value in cluster.environment.items() if "TLS" in name
    }


def test_kubernetes_starts_no_ray_without_a_certificate(tmp_path: Path) -> None:
    done = Pod(tmp_path / "pod").start(tls=False)
    assert done.returncode and "Set the gate RayClusterMTLS" in done.stderr
    assert not (tmp_path / "pod" / "started").exists()


def test_kubernetes_names_the_head_as_its_certificate_does() -> None:
    _, _, cluster = yaml("raycluster.yaml")
    for group in cluster["spec"]["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        assert "--address=$(FQ_RAY_IP):6379" in container["args"]  # the operator's variable of a worker
