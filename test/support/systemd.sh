#!/usr/bin/env bash
# Runs a script where a real systemd is PID 1, and nothing outside is touched: namespaces of its own, a throw-away overlay
# of /, tmpfs on /run and /tmp. The script's folder is /mnt in there, and the working directory is where it was.
# Usage: systemd.sh SCRIPT [ARGUMENT]...   SYSTEM=FOLDER boots another Debian than the machine's own. Needs root, util-linux, and Debian's systemd and dbus.
set -euo pipefail

boot() {
	local top=$1 folder=$2 here=$PWD
	mount --make-rprivate /
	mkdir -p "$top"
	mount -t tmpfs tmpfs "$top"
	mkdir "$top"/{upper,work,root}
	mount -t overlay overlay -o "lowerdir=${SYSTEM:-/},upperdir=$top/upper,workdir=$top/work" "$top/root"
	cd "$top/root"
	mount -t proc proc proc
	mount -t sysfs sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount --rbind /dev dev
	mount -t tmpfs tmpfs run
	mount -t tmpfs tmpfs tmp
	mkdir -p run/systemd/system run/lock old ".$here"
	mount --bind "$here" ".$here"
	if [ -n "${SYSTEM:-}" ]; then touch usr/local/bin/node && mount --bind "$(command -v node)" usr/local/bin/node; fi
	mount --bind "$folder" mnt
	pivot_root . old
	umount -l /old
	container=lxc exec /lib/systemd/systemd --system --unit=multi-user.target </dev/null >/run/console.log 2>&1
}

if [ "${1:-}" = --boot ]; then
	shift
	boot "$@"
fi

script=$(realpath "$1")
shift
top=$(mktemp -d /var/tmp/socketmaster-systemd.XXXXXX)
unshare --fork --pid --mount --uts --ipc --kill-child=KILL "$0" --boot "$top" "$(dirname "$script")" &
outer=$!
inner=
trap 'kill -KILL $outer $inner 2>/dev/null || true; wait 2>/dev/null || true; rmdir "$top" 2>/dev/null || true' EXIT
# Whoever gives up on it leaves nothing running.
trap 'exit 143' TERM INT
for _ in $(seq 150); do
	inner=$(pgrep -P $outer || true)
	if [ -n "$inner" ] && [ "$(cat "/proc/$inner/comm" 2>/dev/null)" = systemd ]; then
		# In a process group of its own: a script that kills its group kills nobody else.
		inside=(setsid --wait nsenter -t "$inner" -m -p -u -i --wd=/)
		case $("${inside[@]}" systemctl is-system-running 2>/dev/null || true) in running | degraded)
			# Waited for, so that a signal is obeyed at once.
			"${inside[@]}" bash "/mnt/$(basename "$script")" "$@" <&0 &
			status=0
			wait $! || status=$?
			exit $status
			;;
		esac
	fi
	sleep 0.2
done
echo 'systemd did not come up' >&2
exit 1
