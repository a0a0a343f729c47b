#!/bin/sh
# addons.sh make|apply MANIFESTS: what sternpost writes to the Kubernetes API. Each of MANIFESTS
# is a file or a folder of files; KUBECTL is the program with its first words.
#
# make, whenever the unit starts: what is missing is made, what is there stays. A host that was
# away has old files, and an administrator may have changed what was made of them.
#
# apply, for `sternpost apply`: what has changed here since the last time is made so, whoever
# wrote something else; all of it where nothing has.
set -u
export LC_ALL=C
mark=${MARK:-/run/sternpost-addons/applied}

there() {
    $KUBECTL get --output=name --filename="$1" >/dev/null
}

# What an object was made of is noted in it, so that a later apply takes the fields over; what is
# too large for that goes without. Of two masters that make the same, one is refused, and finds
# the other's.
make() {
    there "$1" 2>/dev/null && return
    $KUBECTL create --save-config --filename="$1" >/dev/null 2>&1
    there "$1" 2>/dev/null && return
    said=$($KUBECTL create --filename="$1" 2>&1 >/dev/null)
    there "$1" && return
    echo "$said" | grep -v '(AlreadyExists)' >&2
    return 1
}

# All masters apply at once, and an object that is new may be another's a moment before.
apply() {
    for try in 1 2 3; do
        $KUBECTL apply --server-side --force-conflicts --field-manager=sternpost \
            --filename="$1" && return
        sleep 0.5
    done
    return 1
}

# The API server makes these by itself, a moment after it answers.
until $KUBECTL get namespace default kube-node-lease kube-public kube-system >/dev/null 2>&1; do
    sleep 0.2
done
verb=$1
shift
: >"$mark.next"
case $verb in
make)
    for one; do
        make "$one" || exit 1
    done
    ;;
apply)
    changed=$(find "$@" -maxdepth 1 -type f -newer "$mark" | sort)
    [ -n "$changed" ] || changed=$(find "$@" -maxdepth 1 -type f | sort)
    echo "$changed" | while IFS= read -r one; do
        apply "$one" </dev/null || exit 1
    done || exit 1
    ;;
esac
mv "$mark.next" "$mark"
