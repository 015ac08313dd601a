"""The Slurm job: how long it may still run, and the signal that comes before its end."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from hpcgan.doctor.findings import Finding, ok, warning

_PATIENCE = 10  # seconds for a command of Slurm's
_SHORT = 600.0  # seconds of a job that a run, which starts for a minute, hardly uses
_ADVICE = (
    "have --signal=B:USR1@120 in the batch script and pass USR1 on to srun or mpirun, as "
    "slurm/train.sbatch does"
)


@dataclass(frozen=True)
class Job:
    """A Slurm job, as rank 0 sees it.

    Attributes:
        number: the job's.
        seconds_left: until its time limit; None if Slurm does not tell.
        is_told: whether SLURM_JOB_END_TIME tells the ranks the end, so that they stop before it.
        is_batch: whether it has a batch script.
        signal: what --signal says, such as "B:USR1@120"; "" if it is not found.
    """

    number: str
    seconds_left: float | None
    is_told: bool
    is_batch: bool
    signal: str


def gather(environment: Mapping[str, str] = os.environ) -> Job | None:
    """Return the facts of this job; None outside one."""
    number = environment.get("SLURM_JOB_ID")
    if number is None:
        return None
    script = _slurm("scontrol", "write", "batch_script", number, "-")
    end = environment.get("SLURM_JOB_END_TIME", "")
    left = _seconds(_slurm("squeue", "--noheader", "--job", number, "--format", "%L").strip())
    if end.isdigit():
        left = int(end) - time.time()
    return Job(
        number=number,
        seconds_left=left,
        is_told=end.isdigit(),
        is_batch=script.startswith("#!"),
        signal=_signal(script) or environment.get("SBATCH_SIGNAL", ""),
    )


def _slurm(*words: str) -> str:
    """Return what a command of Slurm's prints; "" if it fails or does not return."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            words,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE,
            check=True,
        )
        return done.stdout
    return ""


def _signal(script: str) -> str:
    """Return what the last --signal of a batch script says."""
    found = re.findall(r"^#SBATCH\s+(?:.*\s)?--signal[=\s]+(\S+)", script, re.MULTILINE)
    return found[-1] if found else ""


def _seconds(text: str) -> float | None:
    """Return the seconds of Slurm's [days-][[hours:]minutes:]seconds, None for words."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(?:(\d+):)?(\d+)", text)
    if not found:
        return None
    days = int(found[1] or 0)
    total = 0
    for part in re.findall(r"\d+", text.split("-")[-1]):
        total = 60 * total + int(part)
    return float(86400 * days + total)


def judge(job: Job | None, is_by_mpirun: bool) -> list[Finding]:
    """Return the findings; none outside a job.

    Args:
        job: the facts.
        is_by_mpirun: whether mpirun started the ranks.
    """
    return [_time_left(job), *_end(job, is_by_mpirun)] if job else []


def _time_left(job: Job) -> Finding:
    if job.seconds_left is None:
        return ok("time left", f"job {job.number}: no limit, or Slurm does not tell it")
    text = f"job {job.number}: {job.seconds_left / 60:.0f} minutes"
    if job.seconds_left < _SHORT:
        return warning("time left", text, "too short to train much; ask for more (--time)")
    return ok("time left", text, seconds_left=job.seconds_left)


def _end(job: Job, is_by_mpirun: bool) -> list[Finding]:
    """Judge what tells the run that its job ends."""
    if job.signal and "B" not in job.signal.rpartition(":")[0].upper():
        whom = "kills mpirun's daemons" if is_by_mpirun else "reaches the ranks and not the script"
        return [warning("signal", f"--signal={job.signal} {whom}", _ADVICE)]
    if job.signal:
        return [ok("signal", f"--signal={job.signal}, to the batch script")]
    if not job.is_batch:
        return []
    if job.is_told:
        return [ok("signal", "none found; a run stops by itself before the job's end")]
    return [
        warning(
            "signal",
            "no --signal in the batch script, and this Slurm does not tell the ranks the end "
            "of the job: a run would be killed without a last checkpoint",
            _ADVICE,
        )
    ]
