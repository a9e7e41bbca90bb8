from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ConfigError
from common.scale.reach import answers, check_tls
from common.scale.settings import RayCluster, load_cluster
from tests.common.scale.sites import served, site


def check(cluster: RayCluster) -> None:
    host, _, port = cluster.address.rpartition(":")
    check_tls(cluster, host, int(port))


def test_mutual_tls_of_the_clusters_own_ca_is_taken(tmp_path: Path) -> None:
    with served(site(tmp_path)) as cluster:
        check(cluster)
        assert answers(cluster)
    assert not answers(cluster)


def test_a_port_that_speaks_plaintext_is_refused(tmp_path: Path) -> None:
    with served(site(tmp_path), tls=False) as cluster, pytest.raises(ConfigError, match=r"no TLS.*RAY_USE_TLS=1"):
        check(cluster)


def test_a_port_that_takes_anybody_is_refused(tmp_path: Path) -> None:
    with served(site(tmp_path), mutual=False) as cluster, pytest.raises(ConfigError, match="who shows no certificate"):
        check(cluster)


def test_the_certificate_of_another_ca_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    site(tmp_path / "other")
    with (
        served(site(tmp_path), of=tmp_path / "other" / "ray") as cluster,
        pytest.raises(ConfigError, match=r"is not what .* signed"),
    ):
        check(cluster)


def test_a_head_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ray 127\.0\.0\.1:1 does not answer"):
        check(load_cluster(site(tmp_path)))
