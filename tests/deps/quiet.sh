#!/bin/bash
# Runs a command and fails when something it started goes on after it: a process left
# behind, or, where systemd runs, a service or socket that was not active before, of a unit
# that came meanwhile, too. What other people do on the machine, and what its timers start by
# themselves, is no matter.
# Usage: quiet.sh COMMAND [ARGUMENT]...
set -euo pipefail

# Seconds that helpers of the command (agents, pagers of logs) have to end by themselves.
patience=${STERNPOST_QUIET_PATIENCE:-10}

# All that the command starts without systemd stays in its own process namespace, however
# it detaches: what is left beside process 1 was left behind.
left() {
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        case $pid in "$$" | "$BASHPID") continue ;; esac
        arguments=$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null || true)
        [ -z "$arguments" ] || echo "  $arguments"
    done
}

if [ "$1" = --inside ]; then
    shift
    "$@"
    for _ in $(seq "$patience"); do
        [ -n "$(left)" ] || exit 0
        sleep 1
    done
    echo "'$*' left running:" >&2
    left >&2
    exit 1
fi

units() {
    [ ! -d /run/systemd/system ] ||
        systemctl list-units --type=service,socket --state=running,listening --plain --no-legend |
        awk '{ print "  " $1 }' | sort
}

# Those of the named units whose files are younger than the marker. What a package brings is
# unpacked before it is started; apt's own timers, logins and the like have been there.
brought() {
    for unit in "$@"; do
        systemctl show --property=FragmentPath --property=SourcePath --value "$unit" |
            while read -r file; do
                [ -z "$file" ] || [ -z "$(find -L "$file" -newercm "$marker" 2>/dev/null)" ] || echo "  $unit"
            done
    done
}

marker=$(mktemp)
trap 'rm -f "$marker"' EXIT
before=$(units)
if [ "$(id -u)" = 0 ] && unshare --pid --fork --mount-proc true 2>/dev/null; then
    unshare --pid --fork --kill-child --mount-proc "$0" --inside "$@"
else
    # Without root a command can start nothing that the system would keep.
    "$@"
fi
mapfile -t started < <(comm -13 <(echo "$before") <(units) | tr -d ' ')
started=$(brought "${started[@]}")
[ -z "$started" ] || {
    echo "'$*' started:" >&2
    echo "$started" >&2
    exit 1
}
