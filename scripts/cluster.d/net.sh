# The hosts of a cluster: namespaces, cables and what belongs to a host. Sourced by scripts/cluster.
# The switch is a bridge in a namespace of its own, so that clusters cannot meet and all use 10.77.0/24.
# shellcheck shell=bash disable=SC2154

# cluster_id sets id, which names the namespaces of the cluster in $dir.
cluster_id() { id="weft-$(sha1sum <<<"$dir" | cut -c1-8)"; }

address() { echo "10.77.0.1${1#h}"; }

in_switch() { ip netns exec "$id-sw" "$@"; }

net_up() {
	ip netns add "$id-sw"
	in_switch ip link add name br0 type bridge
	in_switch ip link set br0 up
	local h
	for h in h0 $workers; do host_up "$h"; done
	for h in h0 $workers; do echo "$(address "$h") $h"; done >"$dir/hosts"
	echo "127.0.0.1 localhost" >>"$dir/hosts"
	# A host's own file is mounted over it.
	[[ -e /etc/hosts ]] || touch /etc/hosts
}

host_up() {
	local h=$1 ns="$id-$1"
	mkdir -p "$dir/$h/tmp" "$dir/$h/run" "$dir/log"
	chmod 1777 "$dir/$h/tmp"
	ip netns add "$ns"
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 2>/dev/null || true
	# One of 1500 bytes as on an Ethernet; segmentation offload passes up to 64 KiB at once, as NICs do.
	ip link add name eth0 netns "$ns" type veth peer name "$h" netns "$id-sw"
	ip netns exec "$ns" ip link set lo up
	ip netns exec "$ns" ip address add "$(address "$h")/24" dev eth0
	ip netns exec "$ns" ip link set eth0 up
	in_switch ip link set "$h" master br0 up
	local c
	c=$(cpu_group "$h")
	mkdir -p "$c"
}

# net_down ends all processes of all hosts (first politely) and removes every trace of them.
net_down() {
	local spaces ns pids i
	spaces=$(ip netns list | awk -v id="$id-" 'index($1, id) == 1 { print $1 }')
	for i in TERM {1..25} KILL {1..100}; do
		pids=$(for ns in $spaces; do ip netns pids "$ns"; done)
		[[ -n $pids ]] || break
		# A stopped process takes SIGTERM only when it goes on.
		# shellcheck disable=SC2086
		case $i in
		TERM) kill -TERM $pids 2>/dev/null || true && kill -CONT $pids 2>/dev/null || true ;;
		KILL) kill -KILL $pids 2>/dev/null || true ;;
		*) sleep 0.1 ;;
		esac
	done
	for ns in $spaces; do ip netns delete "$ns"; done
	local c
	for c in "$(cpu_group h0 | sed 's/h0$//')"h*; do
		# Processes leave their group a moment after they have ended.
		for i in {1..50}; do
			[[ -d $c ]] || break
			rmdir "$c" 2>/dev/null || sleep 0.1
		done
	done
}

# enter HOST COMMAND... replaces this shell by a command on a host.
enter() {
	local h=$1
	shift
	echo "$BASHPID" >"$(cpu_group "$h")/cgroup.procs"
	exec ip netns exec "$id-$h" unshare --uts -- "$root/scripts/cluster.d/enter" "$root" "$dir" "$h" "$@"
}

# cpu_group HOST prints the control group that counts the host's CPU time.
cpu_group() {
	if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
		echo "/sys/fs/cgroup/$id-$1"
	else
		echo "/sys/fs/cgroup/cpuacct/$id-$1"
	fi
}

cpu_microseconds() {
	local c
	c=$(cpu_group "$1")
	if [[ -f $c/cpuacct.usage ]]; then
		awk '{ print $1 / 1000 }' "$c/cpuacct.usage"
	else
		awk '$1 == "usage_usec" { print $2 }' "$c/cpu.stat"
	fi
}

# process_list HOST prints HOST PID ROLE for each process.
process_list() {
	local pid line role
	for pid in $(ip netns pids "$id-$1"); do
		line=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || continue
		case $line in
		*deploy.master.Master*) role=master ;;
		*deploy.worker.Worker*) role=worker ;;
		*CoarseGrainedExecutorBackend*) role=executor ;;
		*deploy.SparkSubmit*) role=driver ;;
		*weft*' daemon'*) role=weft ;;
		*) role=other ;;
		esac
		echo "$1 $pid $role"
	done
}

link_carrier() { in_switch ip link set "$1" "$2"; }

# link_rate HOST RATE limits both ends of the cable.
link_rate() {
	local limit=(root tbf rate "$2" burst 1mb limit 4mb)
	in_switch tc qdisc replace dev "$1" "${limit[@]}"
	ip netns exec "$id-$1" tc qdisc replace dev eth0 "${limit[@]}"
}

# link_relay HOST DELAY LOSS puts scripts/delaylink between the cable and the switch: not every
# kernel has tc's netem.
link_relay() {
	local h=$1 relay="$root/build/delaylink"
	[[ -x $relay ]] || die "$relay is missing: run 'make build'"
	relay_stop "$h"
	in_switch ip link add name "$h-d" type veth peer name "$h-s"
	in_switch ip link set "$h-d" up
	in_switch ip link set "$h" nomaster
	in_switch ip link set "$h-s" master br0 up
	ip netns exec "$id-sw" setsid "$relay" --delay "$2" --loss "$3" "$h" "$h-d" \
		</dev/null >"$dir/log/$h-link.log" 2>&1 &
	echo $! >"$dir/log/$h-link.pid"
	local i
	for ((i = 0; i < 100; i++)); do
		grep -q ready "$dir/log/$h-link.log" && return
		sleep 0.02
	done
	die "the relay of $h did not start: $(cat "$dir/log/$h-link.log")"
}

relay_stop() {
	local file="$dir/log/$1-link.pid"
	[[ -f $file ]] || return 0
	kill "$(cat "$file")" 2>/dev/null || true
	rm "$file"
	in_switch ip link delete "$1-d"
	in_switch ip link set "$1" master br0
}

link_clear() {
	relay_stop "$1"
	in_switch tc qdisc delete dev "$1" root 2>/dev/null || true
	ip netns exec "$id-$1" tc qdisc delete dev eth0 root 2>/dev/null || true
}

link_show() {
	local state rate
	state=$(in_switch ip -br link show "$1" | awk '{ print tolower($2) }')
	rate=$(in_switch tc qdisc show dev "$1" | sed -n 's/.*\(rate [^ ]*\).*/ \1/p')
	echo "$state$rate$([[ ! -f $dir/log/$1-link.pid ]] || sed -n 's/^ready/ relay/p' "$dir/log/$1-link.log")"
}
