# Takes the agent from standard input, whole or not at all, and says where it lies: in memory, or
# where that may not be executed (initramfs-tools mount /run so), in the folder of the journal.
umask 077
clear() {
    rm -f "$at" "$at.new"
    [ "$folder" = /run ] || rmdir "$folder" 2>/dev/null
}
# What a run has left whose operator was gone before the agent began.
find /run /var/lib/sternpost -maxdepth 1 -name 'sternpost-agent-*' -mmin +60 -exec rm -f {} + 2>/dev/null
for folder in /run /var/lib/sternpost; do
    at=$folder/NAME
    if mkdir -p "$folder" && echo '#!/bin/sh' >"$at" && chmod 0700 "$at"; then
        if "$at" 2>/dev/null; then
            cat >"$at.new" && [ "$(wc -c <"$at.new")" -eq SIZE ] && chmod 0700 "$at.new" &&
                mv "$at.new" "$at" && echo "$at" && exit
            clear
            echo "the agent did not arrive whole in $folder" >&2
            exit 1
        fi
        echo "no program can be executed from $folder" >&2
    fi
    clear
done
exit 1
