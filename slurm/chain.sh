#!/bin/bash
# Submits a long run as a chain of jobs, where the queue takes only short ones or requeues none:
#
#   slurm/chain.sh COUNT [sbatch options] slurm/train.sbatch CONFIG.yaml [train options]
#
# At most COUNT jobs, each of which resumes where the one before was stopped by its time limit or
# by a failure: --resume is for the first one alone. When one has finished the run, Slurm cancels
# those after it. Prints the numbers of the jobs.
#
# Nothing needs editing here: the settings are in the script that is submitted.
set -euo pipefail

if (($# < 2)) || [[ ! $1 =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,9p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi

later=() # the arguments of all jobs but the first
for word in "${@:2}"; do
  case $word in
    --resume | --resume=*) ;;
    *) [[ ${previous:-} == --resume ]] || later+=("$word") ;;
  esac
  previous=$word
done

# Not requeued: the next job resumes.
job=$(sbatch --parsable --no-requeue "${@:2}")
job=${job%%;*} # of "NUMBER;CLUSTER"
echo "$job"
for ((i = 1; i < $1; i++)); do
  job=$(sbatch --parsable --no-requeue --dependency="afternotok:$job" --kill-on-invalid-dep=yes \
    "${later[@]}")
  job=${job%%;*}
  echo "$job"
done
