#!/bin/bash
# The first process of a host of the testbed, or of its switch, in namespaces of its own; when it
# ends the kernel ends all others of the host. `testbed` starts it: host.sh NAME.
set -euo pipefail
name=$1
home=$TESTBED_HOME

if [[ $name == switch ]]; then
  ip link add bridge type bridge
  ip link set bridge up
  cat >/dev/null # until the standard input ends, and the whole cluster with it
  exit
fi

hostname "$name"
mount -t tmpfs -o size=4g shm /dev/shm
mount -t tmpfs -o size=1g local /local
mount --bind "$home/etc/hosts" /etc/hosts
until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done # testbed plugs it in
address=$(awk -v name="$name" '$2 == name {print $1}' /etc/hosts)
# The same network card whenever it starts: others remember whom an address belongs to.
ip link set eth0 address "02:00:00:00:00:$(printf '%02x' "${address##*.}")"
ip address add "$address/24" dev eth0
ip link set lo up
ip link set eth0 up

cat >"$home/etc/sshd-$name.conf" <<END
ListenAddress $address
HostKey $home/etc/ssh_key
AuthorizedKeysFile $home/etc/ssh_key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
AcceptEnv *
MaxStartups 200
END
/usr/sbin/sshd -D -f "$home/etc/sshd-$name.conf" -E "$home/log/sshd-$name.log" &

# A host's own, for one that sees a message to two hosts takes the second for an attack.
munged --foreground --force --key-file="$home/etc/munge.key" --socket=/local/munge.socket \
  --pid-file=/local/munged.pid --log-file="$home/log/munged-$name.log" \
  --seed-file=/local/munge.seed &
until [[ -S /local/munge.socket ]]; do sleep 0.02; done
if [[ $name == login ]]; then
  slurmctld -D -f "$SLURM_CONF" &
else
  slurmd -D -N "$name" -f "$SLURM_CONF" &
fi
sleep infinity &
wait # and take leave of orphans that end
