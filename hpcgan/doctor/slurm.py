"""The Slurm job: how long it may still run, and the signal that comes before its end."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from hpcgan.doctor.findings import Finding, Findings, ok, warning

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
        seconds_left: until its time limit; None if there is none, or it is not known.
        knows_end: whether SLURM_JOB_END_TIME is set, so that the ranks stop before it.
        is_batch: whether it has a batch script.
        signal: --signal's value, such as "B:USR1@120"; "" if it is not found.
    """

    number: str
    seconds_left: float | None
    knows_end: bool
    is_batch: bool
    signal: str


def gather(environment: Mapping[str, str] = os.environ) -> Job | None:
    """Return the facts of this job; None outside one."""
    number = environment.get("SLURM_JOB_ID")
    if number is None:
        return None
    script = _output("scontrol", "write", "batch_script", number, "-")
    signals = re.findall(r"^#SBATCH\s+(?:.*\s)?--signal[=\s]+(\S+)", script, re.MULTILINE)
    left = _seconds(_output("squeue", "--noheader", "--job", number, "--format", "%L"))
    end = environment.get("SLURM_JOB_END_TIME", "")
    return Job(
        number=number,
        seconds_left=int(end) - time.time() if end.isdigit() else left,
        knows_end=end.isdigit(),
        is_batch=script.startswith("#!"),
        signal=signals[-1] if signals else environment.get("SBATCH_SIGNAL", ""),
    )


def _output(*command: str) -> str:
    """Return what a command of Slurm's prints; "" if it fails or does not return."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def _seconds(text: str) -> float | None:
    """Return the seconds of Slurm's [days-][[hours:]minutes:]seconds, None for text."""
    days, _, clock = text.strip().rpartition("-")
    total = 0
    with suppress(ValueError):
        for part in clock.split(":"):
            total = 60 * total + int(part)
        return float(86400 * int(days or 0) + total)
    return None


def evaluate(job: Job | None, is_by_mpirun: bool) -> Findings:
    """Evaluate a job whose ranks srun or mpirun started; nothing outside one."""
    if job is None:
        return {}
    findings = {"time left": _time_left(job)}
    if job.signal or job.is_batch:
        findings["signal"] = _signal(job, is_by_mpirun)
    return findings


def _time_left(job: Job) -> Finding:
    if job.seconds_left is None:
        return ok(f"job {job.number}: no limit, or it is not known")
    text = f"job {job.number}: {job.seconds_left / 60:.0f} minutes"
    if job.seconds_left < _SHORT:
        return warning(text, "too short to train much; request more (--time)")
    return ok(text, seconds_left=job.seconds_left)


def _signal(job: Job, is_by_mpirun: bool) -> Finding:
    """Check whether the run hears that its job ends."""
    if job.signal and "B" not in job.signal.rpartition(":")[0].upper():
        whom = "kills mpirun's daemons" if is_by_mpirun else "reaches the ranks and not the script"
        return warning(f"--signal={job.signal} {whom}", _ADVICE)
    if job.signal:
        return ok(f"--signal={job.signal}, to the batch script")
    if job.knows_end:
        return ok("none found; a run stops by itself before the job's end")
    text = "no --signal in the batch script, and this Slurm does not give the ranks the end of the "
    text += "job: a run would be killed without a last checkpoint"
    return warning(text, _ADVICE)
