#!/bin/sh
# Downloads packages with apt and unpacks them into a folder (apt.sh), with links to their
# programs in bin. What they need beside themselves is not fetched.
#
# Usage: unpack.sh DIR "PACKAGE ..." "PROGRAM ..."
set -eu

here=$(cd "$(dirname "$0")" && pwd)
packages=$2 programs=$3
. "$here/apt.sh"

begin "$1" "$here/unpack.sh"
fetch alone
for name in $programs; do
    program=$(unpacked "$name")
    [ -n "$program" ] || lacking "$name"
    ln -s "$program" "$out/bin/$name"
done
finish
