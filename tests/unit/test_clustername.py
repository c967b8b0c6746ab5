"""Which cluster a slurm.conf is of, and where that is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sbatch_shim import clustername
from sbatch_shim.spool import noted_cluster
from sbatch_shim.state.journal import Origin


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"ClusterName=One\n", b"one"),
        (b"  clustername = one # the first\n", b"one"),
        (b"#ClusterName=none\nClusterName=one\n", b"one"),
        (b"SlurmctldHost=a ClusterName=one SlurmctldPort=1\n", b"one"),
        (b"ClusterName=\\\none\n", b"one"),
        (b"ClusterName=first\nClusterName=one\n", b"one"),
        (b"Include more.conf\n", b"more"),
        (b"include missing.conf\n", b""),
        (b"MyClusterName=one\n", b""),
        (b"", b""),
    ],
)
def test_the_name_in_a_slurm_conf(tmp_path: Path, text: bytes, wanted: bytes) -> None:
    (tmp_path / "more.conf").write_bytes(b"ClusterName=more\nInclude more.conf\n")
    path = tmp_path / "slurm.conf"
    path.write_bytes(text)
    assert clustername.named_in(os.fsencode(path)) == wanted


def test_a_name_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    state, path = os.fsencode(tmp_path / "state"), tmp_path / "slurm.conf"
    (tmp_path / "state").mkdir()
    environment = {b"SLURM_CONF": os.fsencode(path)}
    assert noted_cluster(state, environment, b"") == b""
    for text, wanted in (("ClusterName=one\n", b"one"), ("ClusterName=second\n", b"second"), ("\n", b"")):
        path.write_text(text)
        assert noted_cluster(state, environment, b"") == wanted
        path.chmod(0)  # a look at the file itself would tell nothing any more, but for root
        assert noted_cluster(state, environment, b"") == wanted
        path.chmod(0o600)
    assert len(list((tmp_path / "state" / "clusters").iterdir())) == 3


def test_whose_a_submission_is() -> None:
    assert Origin("/s").is_of(())  # an older version's
    assert Origin("/s", "one").is_of(("one",))
    assert not Origin("/s", "one").is_of(("two", ""))
    assert Origin("/s", "one", "alias").is_of(("alias",))
