"""hpcgan submit: the script that it writes, and what it refuses; the jobs are in tests/cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.errors import ConfigError
from hpcgan.submit import Site, Size, read_site, script


def test_the_script_has_what_was_asked_for_and_needs_no_other_file() -> None:
    site = Site(partition="batch", modules=["gcc", "openmpi"], options=["--constraint=cpu"])
    words = ["a b.yaml", "--name", "$(x)"]
    lines = script(site, Size(4, 2, 8, 0, "02:00:00"), "run", words).splitlines()
    assert lines[0] == "#!/bin/bash -l"
    options = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")}
    assert options >= {"--job-name=run", "--nodes=4", "--ntasks-per-node=2", "--cpus-per-task=8"}
    assert options >= {"--time=02:00:00", "--partition=batch", "--constraint=cpu"}
    assert options >= {"--requeue", "--signal=B:USR1@120"}
    assert "set -- 'a b.yaml' --name '$(x)'" in lines
    assert "export HPCGAN_MODULES='gcc openmpi'" in lines
    assert not [line for line in lines if line.startswith("source ")]
    assert "launch() {" in lines
    assert lines[-1] == 'finish "$status"'


def test_gpus_are_asked_for_with_their_own_script() -> None:
    text = script(Site(), Size(1, 4, 8, 4, "01:00:00"), "run", ["a.yaml"])
    assert "#SBATCH --gpus-per-node=4\n" in text
    assert "SLURM_GPU_BIND" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("partitoin: batch", "unknown key 'partitoin'; nearest: partition"),
        ("modules: gcc", "modules is a list of texts"),
        ("account: [a]", "account is a text"),
        ('options: ["--x\\nrm"]', "options has a line end in it"),
        ("launch: aprun", "launch is srun or mpirun, not aprun"),
        ("stage: /tmp/$(id)", "stage is a path"),
        ("- a", "site settings are a mapping"),
    ],
)
def test_a_wrong_site_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"site\.yaml: ") as refused:
        read_site(path)
    assert message in str(refused.value)


def test_a_site_file_gives_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("partition: batch\nmodules: [gcc]\nstage: /local/$SLURM_JOB_ID\n")
    assert read_site(path) == Site(partition="batch", modules=["gcc"], stage="/local/$SLURM_JOB_ID")
