# Sourced by the scripts that download packages with apt and unpack them into a folder, never
# installed: no service starts, no port is taken, no package of the system changes.
#
#   DIR/root   the unpacked packages
#   DIR/bin    what is started of them
#
# They set here and packages, then: begin DIR FILE..., fetch alone|with_needs, finish.
# shellcheck shell=sh disable=SC2154 # here and packages are theirs

# Goes on, with out and stamp set, where the place, the packages or these files are others than
# the last time.
begin() {
    mkdir -p "$1"
    out=$(cd "$1" && pwd -P)
    shift
    exec 9>"$out/lock"
    flock 9
    # The programs are started by absolute paths: a folder that moved is made anew.
    stamp=$({ cat "$here/apt.sh" "$@"; echo "$out $packages ${programs:-}"; } | sha256sum | cut -d ' ' -f 1)
    [ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
    echo "deps: unpacking $packages"
    rm -rf "$out/stamp" "$out/debs" "$out/root" "$out/bin"
    mkdir -p "$out/debs/partial" "$out/root" "$out/bin"
}

# The packages by themselves: what they need is in every system.
alone() {
    # shellcheck disable=SC2086 # a list of packages
    (cd "$out/debs" && apt-get -qq -o APT::Sandbox::User=root download $packages >/dev/null)
}

# The packages with what they need beyond this system. Without root apt may not lock, nor change
# user for the download; both only matter to installs.
with_needs() {
    # shellcheck disable=SC2086 # a list of packages
    apt-get -qq -y --no-install-recommends --download-only \
        -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
        -o Dir::Cache::archives="$out/debs" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        install $packages >/dev/null || return
    # apt leaves out what the system has installed already; those are fetched by themselves.
    for package in $packages; do
        set -- "$out/debs/${package}"_*.deb
        [ -e "$1" ] || (cd "$out/debs" && apt-get -qq download "$package" >/dev/null 2>&1) || return
    done
}

# Downloads by the lists of packages that are there, or by fresh ones, and unpacks.
fetch() {
    "$1" 2>/dev/null || { apt-get -qq update && "$1"; } || return
    for deb in "$out"/debs/*.deb; do
        dpkg-deb -x "$deb" "$out/root" || return
    done
    rm -rf "$out/debs"
}

# Where a program is among what was unpacked.
unpacked() {
    find "$out/root" -type f -name "$1" -perm -u+x -path '*bin/*' | head -n 1
}

lacking() {
    echo "deps: no $1 in the unpacked packages" >&2
    exit 1
}

finish() {
    echo "$stamp" >"$out/stamp"
}
