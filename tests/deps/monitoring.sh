#!/bin/sh
# Gets what reads our metrics, rules and tables elsewhere: promtool of Prometheus, and the
# exporter that reads haproxy's table.
#
# Usage: monitoring.sh [DIR]; without DIR it is .deps/monitoring.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
exec "$here/unpack.sh" "${1:-$here/../../.deps/monitoring}" \
    "prometheus prometheus-haproxy-exporter" "promtool prometheus-haproxy-exporter"
