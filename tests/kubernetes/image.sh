#!/bin/sh
# Packs one static program into an image as a tar of the OCI layout, which
# "ctr -n k8s.io images import" takes: image.sh PROGRAM FILE.tar NAME:TAG...
# The image has all the names. The same program gives the same bytes.
set -eu
program=$1 target=$2
shift 2
entry=$(basename "$program")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tar_of() {
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cf - .
}

# Puts standard input among the blobs and says its digest.
blob() {
    cat >"$work/blob"
    digest=$(sha256sum "$work/blob" | cut -d ' ' -f 1)
    mv "$work/blob" "$work/layout/blobs/sha256/$digest"
    echo "$digest"
}

size() {
    stat -c %s "$work/layout/blobs/sha256/$1"
}

mkdir -p "$work/layout/blobs/sha256" "$work/root"
install -m 0755 "$program" "$work/root/$entry"
architecture=$(go env GOARCH)
layer=$(tar_of "$work/root" | blob)
config=$(blob <<END
{"architecture":"$architecture","os":"linux","config":{"Entrypoint":["/$entry"]},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
END
)
manifest=$(blob <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$(size "$config")},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$(size "$layer")}]}
END
)
entries=
for name; do
    entries=$entries${entries:+,}$(cat <<END
{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$(size "$manifest"),"platform":{"architecture":"$architecture","os":"linux"},"annotations":{"io.containerd.image.name":"$name","org.opencontainers.image.ref.name":"${name##*:}"}}
END
)
done
cat >"$work/layout/index.json" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[$entries]}
END
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"
tar_of "$work/layout" >"$target"
