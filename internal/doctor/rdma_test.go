package doctor

import (
	"context"
	"maps"
	"syscall"
	"testing"

	"weft/verbs"
)

// roce is a machine with two devices, of which the first has no cable. The gids: RoCE v1 and v2, each by a link-local and an IPv4 address.
func roce() map[string]string {
	const one, two, class = "sys/class/infiniband/mlx5_0/ports/1/", "sys/class/infiniband/mlx5_1/ports/1/", "sys/class/infiniband_verbs/"
	files := map[string]string{
		one + "state": "1: DOWN\n", one + "link_layer": "Ethernet\n", one + "rate": "40 Gb/sec (4X QDR)\n",
		two + "state": "4: ACTIVE\n", two + "link_layer": "Ethernet\n", two + "rate": "100 Gb/sec (4X EDR)\n",
		class + "abi_version": "6\n", class + "uverbs0/ibdev": "mlx5_0\n", class + "uverbs1/ibdev": "mlx5_1\n",
		"sys/class/net/eth1/mtu": "9000\n", "dev/infiniband/rdma_cm": "", "dev/infiniband/uverbs1": "",
		"proc/self/status": "CapEff:\t0000000000000000\n", "proc/self/limits": "Max locked memory         8388608              8388608              bytes\n",
	}
	for i, addr := range []string{"fe80:0000:0000:0000:5054:00ff:fe00:0001", "0000:0000:0000:0000:0000:ffff:0a4d:0001"} {
		for j, kind := range []string{"IB/RoCE v1", "RoCE v2"} {
			index := string(rune('0' + 2*i + j))
			files[two+"gids/"+index], files[two+"gid_attrs/types/"+index], files[two+"gid_attrs/ndevs/"+index] = addr+"\n", kind+"\n", "eth1\n"
		}
	}
	return files
}

// infiniband is a machine with one device, whose interface is the loopback of this machine: addresses are not in /sys.
func infiniband() map[string]string {
	const port = "sys/class/infiniband/mlx5_0/ports/1/"
	return map[string]string{
		port + "state": "4: ACTIVE\n", port + "link_layer": "InfiniBand\n", port + "rate": "200 Gb/sec (4X HDR)\n",
		port + "gids/0": "fe80:0000:0000:0000:ec0d:9a03:0000:0001\n", port + "gid_attrs/types/0": "IB/RoCE v1\n",
		"sys/class/infiniband/mlx5_0/device/net/lo/dev_port": "0\n", "sys/class/net/lo/mtu": "2044\n",
		"sys/class/infiniband/mlx5_0/device/net/of-port-2/dev_port": "1\n",
	}
}

// outcome is what checks must say on a machine.
type outcome struct {
	check       func(*machine, context.Context) Result
	outcome     Outcome
	found, todo string
}

func expect(t *testing.T, m *machine, outcomes ...outcome) {
	t.Helper()
	for _, o := range outcomes {
		o.check(m, t.Context()).is(t, o.outcome, o.found, o.todo)
	}
}

var (
	portCheck    = ofPort((*machine).rdmaPort)
	addressCheck = ofPort((*machine).rdmaAddress)
	mtuCheck     = ofPort((*machine).rdmaMTU)
	nodesCheck   = ofPort((*machine).rdmaNodes)
)

func TestRoCE(t *testing.T) {
	m := machineOf(t, roce(), nil)
	expect(t, m,
		outcome{(*machine).rdmaLibraries, OK, "are there", ""},
		outcome{(*machine).rdmaDevices, OK, "mlx5_0, mlx5_1", ""},
		outcome{(*machine).rdmaDevice, OK, "mlx5_1, the first with an active port", ""},
		outcome{portCheck, OK, "port 1 of mlx5_1 is ACTIVE, Ethernet (RoCE), 100 Gb/sec (4X EDR)", ""},
		outcome{addressCheck, OK, "10.77.0.1 of eth1, GID 3, the first of RoCE v2 with an IPv4", ""},
		outcome{mtuCheck, OK, "packets carry 4096 bytes; eth1 has an MTU of 9000", ""},
		outcome{nodesCheck, OK, "rdma_cm and uverbs1 can be opened", ""},
		outcome{(*machine).rdmaFeatures, OK, "not used: on-demand paging", ""},
	)
	m.opts.RDMADevice = "mlx5_1"
	expect(t, m, outcome{(*machine).rdmaDevice, OK, "mlx5_1, which weft.rdma.device names", ""})
	for name, why := range map[string]string{"mlx5_0": "port 1 of mlx5_0 is DOWN", "mlx5_7": "there is no such device"} {
		m.opts.RDMADevice = name
		expect(t, m, outcome{(*machine).rdmaDevice, Fail, why, "another device"}, outcome{portCheck, OK, "no device to look at", ""})
	}
}

func TestInfiniBand(t *testing.T) {
	m := machineOf(t, infiniband(), nil)
	expect(t, m,
		outcome{(*machine).rdmaDevice, OK, "mlx5_0", ""},
		outcome{portCheck, OK, "ACTIVE, InfiniBand, 200 Gb", ""},
		outcome{addressCheck, OK, "127.0.0.1, that of lo, the interface of the port", ""},
		outcome{mtuCheck, OK, "as the subnet manager says; the interface lo has 2044", ""},
		outcome{nodesCheck, Warn, "no file for mlx5_0; TCP is used", "modprobe ib_uverbs"},
	)
}

// without leaves the files of a machine away, or gives them another text.
func without(files map[string]string, changes map[string]string) map[string]string {
	changed := maps.Clone(files)
	for name, text := range changes {
		if changed[name] = text; text == "" {
			delete(changed, name)
		}
	}
	return changed
}

func TestWhatIsWrongWithRoCE(t *testing.T) {
	const gids, types = "sys/class/infiniband/mlx5_1/ports/1/gids/", "sys/class/infiniband/mlx5_1/ports/1/gid_attrs/types/"
	for _, c := range []struct {
		name    string
		changes map[string]string
		want    outcome
	}{
		{
			"no IP address",
			map[string]string{gids + "2": "", gids + "3": ""},
			outcome{(*machine).rdmaDevice, Warn, "port 1 of mlx5_0 is DOWN, port 1 of mlx5_1 has no IP address; TCP is used", "give its network interface"},
		},
		{"RoCE v1 alone", map[string]string{types + "3": "IB/RoCE v1\n"}, outcome{(*machine).rdmaDevice, Warn, "mlx5_1 has no IP address", "IP address"}},
		{
			"no table",
			map[string]string{gids + "0": "", gids + "1": "", gids + "2": "", gids + "3": ""},
			outcome{(*machine).rdmaDevice, Warn, "GIDs of mlx5_1 port 1: ", "IP address"},
		},
		{
			"IPv6",
			map[string]string{gids + "3": "fd00:0000:0000:0000:0000:0000:0000:0001\n"},
			outcome{addressCheck, OK, "fd00::1 of eth1, GID 3, the first of RoCE v2 with an IP address; none has an IPv4 one", ""},
		},
		{
			"small frames",
			map[string]string{"sys/class/net/eth1/mtu": "1500\n"},
			outcome{mtuCheck, Warn, "packets carry 1024 bytes of 4096, since eth1 has an MTU of 1500", "ip link set eth1 mtu 9000"},
		},
		{"just too small", map[string]string{"sys/class/net/eth1/mtu": "4191\n"}, outcome{mtuCheck, Warn, "packets carry 2048", "4200"}},
		{"large enough", map[string]string{"sys/class/net/eth1/mtu": "4200\n"}, outcome{mtuCheck, OK, "packets carry 4096", ""}},
		{"no interface", map[string]string{"sys/class/net/eth1/mtu": ""}, outcome{mtuCheck, Warn, "the MTU of eth1 is not known", "ip link show"}},
		{
			"no connection manager",
			map[string]string{"dev/infiniband/rdma_cm": ""},
			outcome{nodesCheck, Warn, "/dev/infiniband/rdma_cm is absent; TCP", "--device=/dev/infiniband"},
		},
		{"no node", map[string]string{"dev/infiniband/uverbs1": ""}, outcome{nodesCheck, Warn, "/dev/infiniband/uverbs1 is absent; TCP", "modprobe"}},
		{
			"not a directory",
			map[string]string{"dev/infiniband/rdma_cm": "", "dev/infiniband/uverbs1": "", "dev/infiniband": "-"},
			outcome{nodesCheck, Warn, "/dev/infiniband/rdma_cm: not a directory", "let the daemon's user"},
		},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, machineOf(t, without(roce(), c.changes), nil), c.want) })
	}
}

func TestWithoutDevices(t *testing.T) {
	m := machineOf(t, map[string]string{"proc/self/status": "CapEff: 0\n", "proc/self/limits": "Max locked memory  8388608\n"}, nil)
	all := []func(*machine, context.Context) Result{
		(*machine).rdmaLibraries, (*machine).rdmaDevices, (*machine).rdmaDevice, portCheck, addressCheck, mtuCheck, nodesCheck, (*machine).rdmaFeatures,
	}
	expect(t, m,
		outcome{(*machine).rdmaDevices, Warn, "the kernel has none; TCP is used", "weft.rdma.device=none"},
		outcome{(*machine).memlock, OK, "8.0 MiB, and there is no device", ""},
	)
	for _, check := range all[2:7] {
		expect(t, m, outcome{check, OK, "no device to look at", ""})
	}
	m.opts.RDMADevice = "mlx5_0"
	expect(t, m,
		outcome{(*machine).rdmaDevices, Fail, "the kernel has none", "driver"},
		outcome{(*machine).rdmaDevice, Fail, "there is no such device", "another device"},
	)
	m.opts.RDMADevice = "none"
	for _, check := range all {
		expect(t, m, outcome{check, OK, "not wanted: weft.rdma.device is none", ""})
		m.opts.RDMADevice, m.opts.Checksum = "mlx5_1", false
		expect(t, m, outcome{check, OK, "not wanted: weft.checksum is false", ""})
		m.opts.RDMADevice, m.opts.Checksum = "none", true
	}
	expect(t, m, outcome{(*machine).memlock, OK, "8.0 MiB, and TCP locks none", ""})
}

func TestLibrariesThatCannotBeUsed(t *testing.T) {
	m := machineOf(t, roce(), nil)
	m.rdma.devices = func() ([]string, error) { return []string{"mlx5_0"}, nil }
	expect(t, m, outcome{(*machine).rdmaDevices, Warn, "the libraries cannot open mlx5_1; TCP", "ibverbs-providers"})
	m.rdma.devices = func() ([]string, error) { return nil, syscall.EACCES }
	expect(t, m, outcome{(*machine).rdmaDevices, Warn, "mlx5_0, mlx5_1, but opening them: permission denied; TCP", "RDMA nodes"})

	m.rdma.load = func() error { return &verbs.LibraryError{Detail: "libibverbs.so.1: not there"} }
	expect(t, m,
		outcome{(*machine).rdmaLibraries, Warn, "libibverbs.so.1: not there; TCP is used", "apt-get install ibverbs-providers librdmacm1"},
		outcome{(*machine).rdmaDevices, OK, "mlx5_0, mlx5_1", ""},
	)
	m.opts.RDMADevice = "mlx5_1"
	expect(t, m, outcome{(*machine).rdmaLibraries, Fail, "libibverbs.so.1: not there", "dnf install libibverbs"})
}

func TestMemlock(t *testing.T) {
	const status, limits = "proc/self/status", "proc/self/limits"
	check := func(changes map[string]string) Result {
		m := machineOf(t, without(roce(), changes), nil)
		m.opts.MemoryMax, m.opts.MemoryRegisteredMax = 1<<30, 4<<30
		return m.memlock(t.Context())
	}
	check(nil).is(t, Warn, "8.0 MiB, weft.memory.max and weft.memory.registered.max are 5.0 GiB together; TCP", "LimitMEMLOCK=infinity")
	check(map[string]string{limits: "Max locked memory  5368709120  5368709120  bytes\n"}).is(t, OK, "5.0 GiB", "")
	check(map[string]string{limits: "Max locked memory  5368709119  unlimited  bytes\n"}).is(t, Warn, "5.0 GiB, ", "LimitMEMLOCK")
	check(map[string]string{limits: "Max locked memory  unlimited  unlimited  bytes\n"}).is(t, OK, "unlimited", "")
	check(map[string]string{status: "CapEff:\t0000000000004000\n"}).is(t, OK, "unlimited by CAP_IPC_LOCK", "")
	check(map[string]string{status: ""}).is(t, Warn, "can't tell how much may be locked", "")
	check(map[string]string{limits: "Max file locks  unlimited\n"}).is(t, Warn, "no Max locked memory", "")

	if text, _, err := (&machine{}).lockedMax(); err != nil || text == "" {
		t.Errorf("of this machine: %q, %v", text, err)
	}
}
