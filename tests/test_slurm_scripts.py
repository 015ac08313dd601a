"""The scripts of slurm/, by bash alone: srun, scontrol and sbatch only note their words.

What Slurm itself does with them is in tests/cluster.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_SLURM = Path(__file__).parents[1] / "slurm"

# Each writes its words, a line each, to a file of its name; REQUEUE, KINDS and RUN are variables.
_PROGRAMS = {
    "scontrol": """
if [[ $2 == config && -n ${EARLY:-} ]]; then kill -USR1 $PPID; fi
if [[ $2 == config ]]; then echo "TaskPlugin              = ${PLUGIN:-none}"; exit; fi
if [[ $1 == requeue ]]; then echo "$2" >requeued; exit; fi
echo "JobId=7 JobName=job"
echo "   JobState=${STATE:-RUNNING} Reason=None"
echo "   Requeue=${REQUEUE:-1} Restarts=0"
echo "   Command=$COMMAND"
echo "   WorkDir=$PWD"
""",
    "srun": """
case " $* " in
  *" --mpi=list "*) echo "MPI plugin types are... ${KINDS:-none}" >&2 ;;
  *" python "*) [[ $1 == "--mpi=${WORKS:-}" ]] && exit
     echo "srun: ${1#--mpi=} is broken here" >&2; exit 1 ;;
  *) printf '%s\\n' "$@" >srun.words; echo "$SLURM_EXPORT_ENV $(command -v hpcgan)" >srun.env
     bind="${SLURM_CPU_BIND:-} ${SLURM_GPU_BIND:-}"
     echo "${SLURM_MPI_TYPE:-} $OMP_NUM_THREADS $SRUN_CPUS_PER_TASK $bind" >srun.set
     eval "${RUN:-}" ;;
esac
""",
    "mpirun": """printf '%s\\n' "$@" >mpirun.words""",
    "sbatch": """
printf '%s\\n' "$*" >>sbatch.words
echo "$(wc -l <sbatch.words);cluster"
""",
}


class Job:
    """A directory in which scripts run, as jobs whose number is 7."""

    def __init__(self, place: Path) -> None:
        self.place = place / "a user's runs"
        self.project = place / "my project"
        shutil.copytree(_SLURM, self.project / "slurm")
        for name, text in _PROGRAMS.items():
            self.program(self.place / "bin" / name, text)
        self.program(self.place / ".venv" / "bin" / "hpcgan", "exit 3")
        (self.place / "spool").mkdir()

    @staticmethod
    def program(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def run(self, script: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a copy of a script, as slurmd does, with variables in its environment."""
        original = self.project / "slurm" / script
        copy = shutil.copy(original, self.place / "spool" / "slurm_script")
        job = {
            "PATH": f"{self.place}/bin:{os.defpath}",
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NAME": "job",
            "SLURM_NTASKS": "2",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_SUBMIT_DIR": str(self.place),
            "SLURM_MPI_TYPE": "pmix",
            "COMMAND": " ".join([str(original), *words]),
        }
        return self.bash(str(copy), *words, **(job | variables))

    def bash(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run bash in the directory."""
        return subprocess.run(
            ["bash", *words],
            cwd=self.place,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def wrote(self, name: str) -> list[str]:
        """Return the lines of a file that a program wrote, none if it was not called."""
        path = self.place / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_spaces_in_the_projects_path_and_in_words_stay_in_them(job: Job) -> None:
    done = job.run("train.sbatch", "my config.yaml", "--run-dir", "runs/a b")
    assert done.returncode == 0, done.stderr
    words = ["hpcgan", "train", "my config.yaml", "--run-dir", "runs/a b"]
    assert job.wrote("srun.words") == ["--kill-on-bad-exit=0", "--wait=120", *words]


def test_samples_are_made_by_all_ranks_and_a_job_that_was_stopped_goes_back(job: Job) -> None:
    words = ["c.h5", "--count", "1000", "--out", "my samples"]
    done = job.run("generate.sbatch", *words, RUN="exit 85")
    assert (done.returncode, job.wrote("requeued")) == (85, ["7"])
    expected = ["--kill-on-bad-exit=0", "--wait=120", "hpcgan", "generate", *words]
    assert job.wrote("srun.words") == expected
    assert job.run("generate.sbatch").returncode == 2


def test_the_ranks_get_the_environment_that_sbatch_was_told_to_keep_back(job: Job) -> None:
    # As sbatch --export=NONE leaves it.
    assert job.run("train.sbatch", "c.yaml", SLURM_EXPORT_ENV="NONE").returncode == 0
    assert job.wrote("srun.env") == [f"ALL {job.place}/.venv/bin/hpcgan"]


def test_the_environment_beside_the_scripts_is_the_second_choice(job: Job) -> None:
    beside = job.project / ".venv"
    shutil.copytree(job.place / ".venv", beside)
    assert job.run("train.sbatch", "c.yaml").returncode == 0
    assert job.wrote("srun.env") == [f"ALL {job.place}/.venv/bin/hpcgan"]
    (job.place / ".venv" / "bin" / "hpcgan").unlink()  # some other project's
    assert job.run("train.sbatch", "c.yaml").returncode == 0
    found = Path(job.wrote("srun.env")[0].removeprefix("ALL "))
    assert found.samefile(beside / "bin" / "hpcgan")


def test_without_hpcgan_nothing_is_started(job: Job) -> None:
    done = job.run("train.sbatch", "c.yaml", HPCGAN_VENV="/nowhere")
    assert done.returncode == 2
    assert "no hpcgan on PATH: set HPCGAN_VENV" in done.stderr
    assert job.wrote("srun.words") == []


def test_when_no_kind_of_start_works_each_ones_words_are_shown(job: Job) -> None:
    done = job.run("train.sbatch", "c.yaml", SLURM_MPI_TYPE="", KINDS="pmi2 none pmix pmix_v4")
    assert done.returncode == 0, done.stderr
    for kind in ("pmix", "pmix_v4", "pmi2"):
        assert f"--- srun --mpi={kind} said:\nsrun: {kind} is broken here\n" in done.stderr
    assert "srun --mpi=... (tried: pmix_v4 pmix pmi2): using mpirun" in done.stderr
    assert job.wrote("srun.words") == []
    words = ["-n", "2", "--bind-to", "none", "hpcgan", "train", "c.yaml"]
    assert job.wrote("mpirun.words") == words


@pytest.mark.parametrize(("works", "chosen"), [("pmix", "pmix"), ("cray_shasta", "cray_shasta")])
def test_the_first_kind_of_start_that_works_is_taken(job: Job, works: str, chosen: str) -> None:
    kinds = "cray_shasta none pmix"
    done = job.run("train.sbatch", "c.yaml", SLURM_MPI_TYPE="", KINDS=kinds, WORKS=works)
    assert (done.returncode, done.stderr) == (0, "")
    assert job.wrote("srun.set") == [f"{chosen} 1 1  "]


def test_one_rank_needs_no_trial(job: Job) -> None:
    done = job.run("train.sbatch", "c.yaml", SLURM_MPI_TYPE="", SLURM_NTASKS="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert job.wrote("srun.set") == [" 1 1  "]


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"SLURM_CPUS_PER_TASK": "4"}, "pmix 4 4 "),
        ({"SLURM_CPUS_PER_TASK": "4", "OMP_NUM_THREADS": "2"}, "pmix 2 4 "),
        ({"PLUGIN": "task/cgroup,task/affinity"}, "pmix 1 1 cores"),
        ({"PLUGIN": "task/affinity", "SLURM_CPU_BIND": "sockets"}, "pmix 1 1 sockets"),
    ],
)
def test_each_rank_gets_its_cores(job: Job, variables: dict[str, str], wanted: str) -> None:
    assert job.run("train.sbatch", "c.yaml", **variables).returncode == 0
    assert job.wrote("srun.set") == [f"{wanted} "]


def test_modules_are_loaded_and_data_staged_as_the_settings_say(job: Job) -> None:
    (job.place / "site.sh").write_text('module() { echo "$*" >>modules; }\nexport -f module\n')
    settings = {"BASH_ENV": "site.sh", "HPCGAN_MODULES": "gcc openmpi", "HPCGAN_STAGE": "/my disk"}
    assert job.run("train.sbatch", "c.yaml", "--seed=1", **settings).returncode == 0
    assert job.wrote("modules") == ["load gcc", "load openmpi"]
    words = ["hpcgan", "train", "c.yaml", "--data.stage", "/my disk", "--seed=1"]
    assert job.wrote("srun.words")[2:] == words


def test_an_unknown_launcher_is_refused(job: Job) -> None:
    done = job.run("train.sbatch", "c.yaml", HPCGAN_LAUNCH="aprun")
    assert done.returncode == 2
    assert done.stderr.endswith("HPCGAN_LAUNCH is srun or mpirun, not aprun\n")


@pytest.mark.parametrize(("tasks", "status"), [("4(x2)", 0), ("4", 0), ("3", 2)])
def test_a_node_has_as_many_ranks_as_gpus(job: Job, tasks: str, status: int) -> None:
    node = {"SLURM_GPUS_ON_NODE": "4", "SLURM_TASKS_PER_NODE": tasks, "SLURMD_NODENAME": "n1"}
    done = job.run("train-gpu.sbatch", "c.yaml", **node)
    assert done.returncode == status
    assert job.wrote("srun.set") == ([] if status else ["pmix 1 1  none"])
    assert ("3 ranks and 4 GPUs on n1: " in done.stderr) == (status == 2)


_HEARD = "trap : USR1; kill -USR1 $PPID"
_SIGNALLED = "kill -USR1 $PPID; exec sleep 60"  # which ends of it: it had not begun to listen


@pytest.mark.parametrize(
    ("variables", "status", "requeued"),
    [
        ({"RUN": "exit 85"}, 85, ["7"]),
        ({"RUN": "exit 85", "SLURM_RESTART_COUNT": "9"}, 85, ["7"]),
        ({"RUN": "exit 85", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"}, 85, ["5_2"]),
        ({"RUN": "exit 85", "HPCGAN_REQUEUE": "no"}, 85, []),
        ({"RUN": "exit 85", "REQUEUE": "0"}, 85, []),  # sbatch --no-requeue
        ({"RUN": "exit 85", "STATE": "CANCELLED"}, 85, []),
        ({"RUN": "exit 1"}, 1, []),
        ({"RUN": "exit 2"}, 2, []),
        ({"RUN": ""}, 0, []),
        ({"RUN": "kill -USR1 $PPID; exit 85"}, 85, ["7"]),
        ({"EARLY": "yes", "SLURM_RESTART_COUNT": "2"}, 85, ["7"]),
        ({"EARLY": "yes", "SLURM_RESTART_COUNT": "3"}, 85, []),
        ({"RUN": _SIGNALLED, "SLURM_RESTART_COUNT": "2"}, 85, ["7"]),
        ({"RUN": _SIGNALLED, "SLURM_RESTART_COUNT": "3"}, 85, []),  # its time is too short
        # Preempted at once, say: it has made a step.
        ({"RUN": f"{_HEARD}; exit 85", "SLURM_RESTART_COUNT": "3"}, 85, ["7"]),
    ],
)
def test_only_a_job_that_stopped_goes_back_into_the_queue(job: Job, variables, status, requeued):
    done = job.run("train.sbatch", "c.yaml", **variables)
    assert done.returncode == status
    assert job.wrote("requeued") == requeued
    assert ("back into the queue" in done.stderr) == bool(requeued)
    assert bool(job.wrote("srun.words")) == ("RUN" in variables)


def test_the_later_jobs_of_a_chain_go_on(job: Job) -> None:
    path = f"{job.place}/bin:{os.defpath}"
    words = ["-N2", "t.sbatch", "c.yaml", "--resume", "never", "--seed=1", "--resume=never"]
    done = job.bash(str(_SLURM / "chain.sh"), "3", *words, PATH=path)
    assert done.stdout.split() == ["1", "2", "3"]
    first, second, third = job.wrote("sbatch.words")
    assert first == f"--parsable --no-requeue {' '.join(words)}"
    after = "--kill-on-invalid-dep=yes -N2 t.sbatch c.yaml --seed=1"
    assert second == f"--parsable --no-requeue --dependency=afternotok:1 {after}"
    assert third == f"--parsable --no-requeue --dependency=afternotok:2 {after}"


def _sweep(job: Job, task: int, *words: str, last: int = 2) -> subprocess.CompletedProcess[str]:
    array = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MAX": str(last)}
    return job.run("sweep.sbatch", *words, **array)


def test_runs_of_a_sweep_have_a_directory_each(job: Job) -> None:
    configs = ["a/one.yaml", "a/two.yaml", "digits"]
    for task, config in enumerate(configs):
        assert _sweep(job, task, *configs, "--log.every_steps=9").returncode == 0
        name = Path(config).stem
        words = ["hpcgan", "train", config, "--run-dir", f"runs/job/{name}", "--log.every_steps=9"]
        assert job.wrote("srun.words")[2:] == words
    for task, name, config, seed in ((5, "two", "a/two.yaml", 2), (2, "one", "a/one.yaml", 1)):
        assert _sweep(job, task, *configs[:2], last=task).returncode == 0
        words = ["--seed", str(seed), "--run-dir", f"runs/job/{name}-seed-{seed}"]
        assert job.wrote("srun.words")[2:] == ["hpcgan", "train", config, *words]


@pytest.mark.parametrize("task", [0, 1, 2])
def test_runs_of_a_sweep_that_would_meet_are_refused_by_each_task(job: Job, task: int) -> None:
    done = _sweep(job, task, "lr1/config.yaml", "other.yaml", "lr2/config.yaml")
    assert done.returncode == 2
    assert done.stderr == (
        "job: lr1/config.yaml and lr2/config.yaml would both be trained in runs/job/config: "
        "rename one\n"
    )
    assert job.wrote("srun.words") == []


@pytest.mark.parametrize("word", ["--run-dir=runs/x", "--run-dir", "--seed=4"])
def test_what_a_sweep_decides_itself_is_refused(job: Job, word: str) -> None:
    done = _sweep(job, 0, "config.yaml", word)
    assert (done.returncode, job.wrote("srun.words")) == (2, [])
    assert done.stderr.endswith(f"and its seed if it has several: leave out {word}\n")


def test_a_sweep_over_configurations_may_have_a_seed(job: Job) -> None:
    assert _sweep(job, 0, "a.yaml", "b.yaml", "c.yaml", "--seed=4").returncode == 0
    assert job.wrote("srun.words")[-1] == "--seed=4"


def test_a_study_measures_the_ranks_of_its_job(job: Job) -> None:
    study = ["weak", "c.yaml", "--out=runs/study"]
    log = 'printf "%s\\n" "$*" >>hpcgan.words'
    job.program(job.place / ".venv" / "bin" / "hpcgan", log)
    assert job.run("scaling.sbatch", *study).returncode == 0
    assert job.wrote("hpcgan.words") == [
        "scale weak c.yaml --out=runs/study --ranks 2",
        "scale report runs/study",
    ]
    done = job.run("scaling.sbatch", *study, "--ranks=4")
    assert done.returncode == 2
    assert "not --ranks=4 here" in done.stderr


def test_a_comparison_has_the_ranks_of_its_job(job: Job) -> None:
    job.program(job.place / ".venv" / "bin" / "hpcgan", 'printf "%s\\n" "$*" >>hpcgan.words')
    words = ["compare", "c.yaml", "--ways", "w.yaml", "--rank-seconds=9", "--seeds=2", "--out=o"]
    assert job.run("scaling.sbatch", *words).returncode == 0
    assert job.wrote("hpcgan.words") == [f"{' '.join(words)} --ranks 2"]
    assert job.run("scaling.sbatch", *words[:-1]).returncode == 2
