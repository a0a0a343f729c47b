#!/bin/sh
# One node: containerd and a real kubelet in the mount and process namespaces of this shell,
# so that whatever they start ends with it, and whatever they mount.
# Usage: start.sh FOLDER RUNTIME KUBERNETES NAME ADDRESS CGROUP
set -eu
folder=$1 runtime=$2 kubernetes=$3 name=$4 address=$5 cgroup=$6
cd "$folder"
export PATH="$runtime:$PATH"

# The kubelet sets these for the whole kernel; here it sets copies.
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    copy=sysctl-$(echo "$key" | tr / -)
    cat "/proc/sys/$key" >"$copy"
    mount --bind "$copy" "/proc/sys/$key"
done

cat >containerd.toml <<END
version = 2
root = "$folder/containerd"
state = "$folder/run"
[grpc]
address = "$folder/cri.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$folder/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/lab:1"
# Not every machine lets root lower what the kernel kills first.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "$folder/cni"
END
containerd --config containerd.toml >containerd.log 2>&1 &
until ctr --address cri.sock version >/dev/null 2>&1; do
    kill -0 $! || { tail containerd.log; exit 1; }
    sleep 0.1
done

# An image of one program.
mkdir -p layer/bin
cp "$(readlink -f "$runtime/busybox")" layer/bin/busybox
tar -C layer -cf layer.tar bin
sum=$(sha256sum layer.tar | cut -d ' ' -f 1)
cat >config.json <<END
{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/bin/busybox"],"Cmd":["sleep","1000000"]},"rootfs":{"type":"layers","diff_ids":["sha256:$sum"]}}
END
echo '[{"Config":"config.json","RepoTags":["localhost/lab:1"],"Layers":["layer.tar"]}]' >manifest.json
tar -cf image.tar manifest.json config.json layer.tar
ctr --address cri.sock --namespace k8s.io images import image.tar >/dev/null

for hierarchy in /sys/fs/cgroup/*/; do
    mkdir -p "$hierarchy$cgroup" 2>/dev/null || true
done

mkdir -p manifests
cat >manifests/speaker.yaml <<END
apiVersion: v1
kind: Pod
metadata: {name: speaker, namespace: default}
spec:
  hostNetwork: true
  containers:
  - name: speaker
    image: localhost/lab:1
    imagePullPolicy: Never
    command: [/bin/busybox, sh, -c, "echo spoken; exec /bin/busybox sleep 1000000"]
END
cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$folder/cri.sock
staticPodPath: $folder/manifests
podLogsDir: $folder/logs
volumePluginDir: $folder/plugins
rotateCertificates: true
serverTLSBootstrap: true
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $folder/ca.crt}
authorization: {mode: Webhook}
readOnlyPort: 0
healthzPort: 0
# The lab's own, never the product's: its kernel has the old control groups.
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
cgroupRoot: /$cgroup
evictionHard: {memory.available: 0%, nodefs.available: 0%, imagefs.available: 0%}
END
exec "$kubernetes/kubelet" --config kubelet.yaml --hostname-override "$name" \
    --node-ip "$address" --root-dir "$folder/kubelet" --cert-dir "$folder/certs" \
    --bootstrap-kubeconfig "$folder/bootstrap.conf" --kubeconfig "$folder/kubelet.conf"
