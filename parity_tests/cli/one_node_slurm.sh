#!/usr/bin/env bash
# A Slurm of one node on this machine, for as long as a command runs: one_node_slurm.sh FOLDER COMMAND...
# Everything of it is in FOLDER, which must be new. Exit codes: the command's; 77 where Slurm cannot be run here, with
# the reason on standard error.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
folder=$1
shift

skip() {
  echo "Slurm cannot be run here: $1" >&2
  exit 77
}
for program in munged slurmctld slurmd sbatch; do
  command -v "$program" >/dev/null || skip "no $program (Debian: slurm-wlm, munge)"
done

mkdir "$folder"
folder=$(realpath "$folder")
chmod 755 "$folder"
mkdir "$folder/state" "$folder/spool"
started=()
stop() {
  for name in "${started[@]}"; do
    [[ -s $folder/$name.pid ]] && kill "$(<"$folder/$name.pid")" 2>/dev/null || true
  done
}
trap stop EXIT

head -c 1024 /dev/urandom >"$folder/munge.key"
chmod 400 "$folder/munge.key"
node=$(hostname -s)
port=$((20000 + $$ % 20000 * 2))
cat >"$folder/slurm.conf" <<CONF
ClusterName=parity
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$folder/slurm.conf

started+=(munged)
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" 2>"$folder/munged.err" ||
  skip "munged: $(tail -n 1 "$folder/munged.err")"
started+=(slurmctld slurmd)
slurmctld 2>"$folder/slurmctld.err" || skip "slurmctld: $(tail -n 1 "$folder/slurmctld.err")"
slurmd 2>"$folder/slurmd.err" || skip "slurmd: $(tail -n 1 "$folder/slurmd.err")"
for _ in {1..100}; do
  [[ $(sinfo --noheader --format=%t 2>/dev/null) == idle ]] && break
  sleep 0.2
done
[[ $(sinfo --noheader --format=%t 2>/dev/null) == idle ]] || skip "the node does not come up; see $folder/slurmd.log"

"$@"
