"""hpcgan submit: the script that it writes, and what it refuses; the jobs are in tests/cluster."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest
from launching import only_line

from hpcgan import cli
from hpcgan.config_file import load
from hpcgan.errors import ConfigError
from hpcgan.submit import Site, Size, read_site, script, seconds

_SBATCH = """#!/bin/bash
printf '%s\\n' "$@" "SBATCH_TIMELIMIT=$SBATCH_TIMELIMIT" "SBATCH_ACCOUNT=$SBATCH_ACCOUNT" >words
cp "${@: -1}" submitted
{says}
"""


class Login:
    """A directory with a configuration, and an sbatch that writes ``words`` and ``submitted``."""

    def __init__(self, place: Path, monkeypatch, capsys) -> None:
        self.place, self._monkeypatch, self._capsys = place, monkeypatch, capsys
        (place / "config.yaml").write_text(
            "name: run\ndata: {files: [part-*.h5]}\nmodel: {latent_dim: 6}\n"
        )
        monkeypatch.chdir(place)
        monkeypatch.setenv("HOME", str(place))
        monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
        self.says("echo 12")

    def says(self, what: str) -> None:
        """Have sbatch run a line of shell at its end."""
        (self.place / "sbatch").write_text(_SBATCH.replace("{says}", what))
        (self.place / "sbatch").chmod(0o755)

    def submit(self, *words: str, status: int = 0) -> str:
        """Run ``hpcgan submit``; return what it prints, or the line that says what is wrong."""
        self._monkeypatch.setattr(sys, "argv", ["hpcgan", "submit", *words])
        assert cli.main() == status
        said = self._capsys.readouterr()
        return only_line(said.err) if status else said.out + said.err

    @property
    def words(self) -> list[str]:
        """The words of hpcgan train in the script that was submitted."""
        lines = (self.place / "submitted").read_text().splitlines()
        line = next(line for line in lines if line.startswith("set -- "))
        return shlex.split(line)[2:]


@pytest.fixture
def login(tmp_path: Path, monkeypatch, capsys) -> Login:
    return Login(tmp_path, monkeypatch, capsys)


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


def test_the_settings_of_a_site_are_those_of_the_job(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PROJECT", "/project/7")
    path = tmp_path / "site.yaml"
    path.write_text("{account: us, venv: $PROJECT/my env, launch: mpirun, mpi: pmix_v4}\n")
    site = read_site(path)
    lines = script(site, Size(1, 1, 1, 0, "3"), "run", ["a.yaml"]).splitlines()
    assert "#SBATCH --account=us" in lines
    assert "export HPCGAN_VENV='/project/7/my env'" in lines
    assert "export HPCGAN_LAUNCH=mpirun" in lines
    assert "export SLURM_MPI_TYPE=pmix_v4" in lines
    path.write_text("venv: ~/env\n")
    lines = script(read_site(path), Size(1, 1, 1, 0, "3"), "run", ["a.yaml"]).splitlines()
    assert "export HPCGAN_VENV=/home/me/env" in lines
    assert not [line for line in lines if line.startswith("export SLURM_MPI_TYPE=")]


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
        ("venv: ~nobody_here/env", "~nobody_here/env: there is no user nobody_here"),
        ("venv: $NOT_SET_HERE/env", "the variable NOT_SET_HERE is not set"),
        ("- a", "site settings are a mapping"),
        ("options: [--nodes=3]", "options has '--nodes=3', but --nodes comes from another key"),
        ("options: [-t 5]", "options has '-t 5', but --time comes from another key or from the"),
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


def test_a_job_has_the_configuration_of_the_moment_it_was_submitted(login: Login) -> None:
    wanted = load("config.yaml", ["--train.steps", "40"])
    login.submit("config.yaml", "--train.steps", "40")
    (login.place / "config.yaml").write_text("edited: since\n")
    assert login.words == ["logs/run.yaml"]
    frozen = load("logs/run.yaml")
    assert frozen == wanted
    assert frozen.data.files == ["part-*.h5"]  # from where the job works, as ever
    assert frozen.data.shards is None  # the job decides


def test_a_job_that_waits_keeps_its_file_when_another_of_its_name_is_submitted(login) -> None:
    login.submit("config.yaml")
    first = (login.place / "logs/run.yaml").read_bytes()
    shown = login.submit("config.yaml", "--seed", "1", "--dry-run")
    assert not (login.place / "logs/run-2.yaml").exists()
    assert "(logs/run-2.sbatch)" in login.submit("config.yaml", "--seed", "1")
    assert login.words == ["logs/run-2.yaml"]
    assert (login.place / "submitted").read_text() == shown
    assert load("logs/run-2.yaml").seed == 1
    assert (login.place / "logs/run.yaml").read_bytes() == first
    login.submit("config.yaml")  # nothing else than the first: no third file
    assert login.words == ["logs/run.yaml"]


def test_a_preset_is_frozen_too(login: Login) -> None:
    login.submit("digits")
    assert load(login.words[0]) == load("digits")


def test_a_name_with_spaces_is_quoted_where_a_shell_reads_it(login: Login) -> None:
    said = login.submit("config.yaml", "--name", "a b (é)")
    assert "tail -F logs/a_b____-12.out" in said
    assert "tensorboard --logdir 'runs/a b (é)/tensorboard'" in said
    assert "#SBATCH --job-name=a_b____\n" in (login.place / "submitted").read_text()
    assert login.words == ["logs/a_b____.yaml"]
    assert load(login.words[0]).name == "a b (é)"


def test_the_words_of_the_run_are_passed_on(login: Login) -> None:
    words = ["--run-dir", "my runs/a", "--resume", "never", "--allow-change", "--timeline"]
    login.submit("config.yaml", *words)
    assert login.words == ["logs/run.yaml", *words]
    login.submit("config.yaml", "--resume", "auto")
    assert login.words == ["logs/run.yaml"]


def test_what_the_run_says_of_staging_goes_before_what_the_site_says(login: Login) -> None:
    (login.place / "site.yaml").write_text("stage: /local/$SLURM_JOB_ID\n")
    login.submit("config.yaml", "--site", "site.yaml")
    assert 'HPCGAN_STAGE="/local/$SLURM_JOB_ID"' in (login.place / "submitted").read_text()
    login.submit("config.yaml", "--site", "site.yaml", "--data.stage", "/tmp/own")
    assert 'HPCGAN_STAGE=""' in (login.place / "submitted").read_text()
    assert load(login.words[0]).data.stage == "/tmp/own"


def test_as_many_shards_as_ranks_are_enough(login: Login) -> None:
    login.submit("config.yaml", "--data.shards=2", "--nodes=2")
    assert load(login.words[0]).data.shards == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--time 2", "--time 2 leaves no time to train: the job is asked to stop 120 s before its"),
        ("--time soon", "--time 'soon' is no time limit of Slurm's: MINUTES, HOURS:MINUTES:SECO"),
        (
            "--time 1 --site bare.yaml",
            "--time 1 leaves no time to train: the job is asked to stop 60",
        ),
        ("--time 00:06:00 --site slow.yaml", "--time 00:06:00 leaves no time to train: the job is"),
        ("--resume none.h5", "none.h5: there is no such checkpoint (seen from"),
        ("--run.restarts 2", "run.restarts is for mpirun on one machine; leave it out"),
        ("--data.shards 3 --nodes 2 --ranks-per-node 2", "data.shards is 3, but the job has 4 ran"),
        ("--gpus-per-node 4", "--gpus-per-node 4 and --ranks-per-node 1 must be equal"),
        ("--partition short", "command line: unknown key 'partition'"),
    ],
)
def test_what_a_job_would_fail_of_is_refused(login: Login, words: str, line: str) -> None:
    (login.place / "slow.yaml").write_text('options: ["--signal=B:USR1@600"]\n')
    (login.place / "bare.yaml").write_text('options: ["--signal=B:USR1"]\n')
    assert login.submit("config.yaml", *words.split(), status=2).startswith(line)
    assert not (login.place / "logs").exists()


def test_what_sbatch_says_is_shown(login: Login) -> None:
    login.says("echo 'sbatch: no such partition' >&2; exit 1")
    line = login.submit("config.yaml", status=1)
    assert line == "sbatch refuses logs/run.sbatch: sbatch: no such partition"
    login.says("echo 'welcome'; echo 'no project'; exit 3")
    assert login.submit("config.yaml", status=1).endswith("run.sbatch: welcome no project")
    login.says("exit 4")
    assert login.submit("config.yaml", status=1).endswith("run.sbatch: status 4")
    login.says("echo 'sbatch: you have few hours left' >&2; echo welcome; echo '12;cluster'")
    said = login.submit("config.yaml")
    assert "sbatch: you have few hours left\n" in said
    assert said.startswith("job 12 is submitted (logs/run.sbatch)\n")


def test_a_machine_without_sbatch_is_reported_in_one_line(login: Login, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert login.submit("config.yaml", status=1).startswith("there is no sbatch here: submit from")


def test_logs_that_cannot_be_written_are_one_line(login: Login) -> None:
    (login.place / "logs").write_text("a file")
    assert login.submit("config.yaml", status=1).startswith("logs: cannot be written: ")
    (login.place / "logs").unlink()
    (login.place / "logs" / "run.yaml").mkdir(parents=True)
    line = login.submit("config.yaml", status=1)
    assert line.startswith("logs/run.yaml: cannot be written: Is a directory")


def test_the_environment_overrides_nothing_that_was_asked_for(login: Login, monkeypatch) -> None:
    monkeypatch.setenv("SBATCH_TIMELIMIT", "5")
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    login.submit("config.yaml")
    words = (login.place / "words").read_text().splitlines()
    assert words == ["--parsable", "logs/run.sbatch", "SBATCH_TIMELIMIT=", "SBATCH_ACCOUNT=mine"]
    (login.place / "site.yaml").write_text("account: the_sites\n")
    login.submit("config.yaml", "--site", "site.yaml")
    assert "SBATCH_ACCOUNT=" in (login.place / "words").read_text().splitlines()


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        ("3", 180),
        ("2:30", 150),
        ("1:00:30", 3630),
        ("1-2", 93_600),
        ("1-2:30", 95_400),
        ("1-2:30:05", 95_405),
        ("UNLIMITED", float("inf")),
    ],
)
def test_time_limits_are_read_as_slurm_reads_them(limit: str, wanted: float) -> None:
    assert seconds(limit) == wanted


@pytest.mark.parametrize("limit", ["", "1:2:3:4", "-1", "1h", "1:", "٣", "1-\n2"])
def test_what_is_no_time_limit_is_refused(limit: str) -> None:
    with pytest.raises(ConfigError, match="is no time limit"):
        seconds(limit)
