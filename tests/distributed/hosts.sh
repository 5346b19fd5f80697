#!/usr/bin/env bash
# Runs a program as three processes on three hosts, which are network namespaces on one bridge: they share no memory transport
# and reach each other over TCP. Fails where namespaces cannot be made.
set -euo pipefail

bridge=tgbr$$
cleanup() {
  for k in 1 2 3; do ip netns del "tg$$-$k" 2>/dev/null || true; done
  ip link del "$bridge" 2>/dev/null || true
}
trap cleanup EXIT

ip link add "$bridge" type bridge
ip addr add 10.213.77.254/24 dev "$bridge"
ip link set "$bridge" up
for k in 1 2 3; do
  ip netns add "tg$$-$k"
  ip link add "tgv$$-$k" type veth peer name eth0 netns "tg$$-$k"
  ip link set "tgv$$-$k" master "$bridge"
  ip link set "tgv$$-$k" up
  ip -n "tg$$-$k" addr add "10.213.77.$k/24" dev eth0
  ip -n "tg$$-$k" link set eth0 up
  ip -n "tg$$-$k" link set lo up
done

# mpirun reaches a host by `agent host command`: here, by entering its namespace.
agent=$(mktemp)
cat >"$agent" <<AGENT
#!/usr/bin/env bash
host=\$1; shift
exec ip netns exec "tg$$-\${host##*.}" unshare --uts bash -c "hostname host\${host##*.}; \$*"
AGENT
chmod +x "$agent"
trap 'cleanup; rm -f "$agent"' EXIT

mpirun -n 3 --host 10.213.77.1,10.213.77.2,10.213.77.3 --mca plm_rsh_agent "$agent" --mca btl tcp,self \
  --mca btl_tcp_if_include 10.213.77.0/24 --mca oob_tcp_if_include 10.213.77.0/24 "$@"
