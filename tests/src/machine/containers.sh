# Becomes a machine in which a kubelet and its containers run: in control groups of its own,
# with a /var/lib that containers' overlays can lie on, and the system calls that runc makes.
# Usage: containers.sh BASE FOLDER NSPAWN NAME [DOOR...]; a door takes a process into a group.
base=$1 folder=$2 nspawn=$3 name=$4
shift 4
for door; do
    echo $$ >"$door"
done

# An overlay cannot lie on the machine's own. One that boots again has it.
if [ ! -d "$folder/lib" ]; then
    cp -a "$base/var/lib" "$folder/lib"
fi
mount -t overlay overlay -o "lowerdir=$base,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
exec "$nspawn" --quiet --boot --notify-ready=yes --register=no --keep-unit --console=pipe \
    --network-bridge=br0 --capability=all --system-call-filter="@keyring bpf" \
    --bind="$folder/lib:/var/lib" --resolv-conf=off \
    --machine="$name" --directory="$folder/root"
