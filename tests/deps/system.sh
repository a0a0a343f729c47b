#!/bin/sh
# All that comes from packages, in turn; each part does nothing where its work is done.
set -eu
here=$(dirname "$0")
for part in packages peers runtime machine firewall browser monitoring; do
    "$here/$part.sh"
done
