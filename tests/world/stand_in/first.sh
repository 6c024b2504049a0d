#!/bin/sh
# The first process of a machine of the world: it gives the machine what it has for itself, says so, and stays
# as long as its input is open. When it ends, the kernel ends every other process of the machine.
#   $1 the host name   $2 the folder with the machine's own files
set -eu
hostname "$(printf %s "$1" | tr _ -)" # a host name has no underscore
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd /run/agent
if [ -d "$2/etc" ]; then
    mount --bind "$2/etc" /etc
fi
if [ -d "$2/opt" ]; then
    mount --bind "$2/opt" /var/opt
fi
printf 'ready\n'
cat >/dev/null
