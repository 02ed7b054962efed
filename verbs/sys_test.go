package verbs

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sysOf has these files, each a line.
func sysOf(t *testing.T, files map[string]string) Sys {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, "sys/class", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Sys(root)
}

func TestGIDsAreReadFromTheKernelsTable(t *testing.T) {
	const port = "infiniband/mlx5_0/ports/1/"
	sys := sysOf(t, map[string]string{
		port + "gids/0":             "fe80:0000:0000:0000:5054:00ff:fe00:0001",
		port + "gid_attrs/types/0":  "IB/RoCE v1",
		port + "gids/10":            "0000:0000:0000:0000:0000:ffff:0a4d:0001",
		port + "gid_attrs/types/10": "RoCE v2",
		port + "gid_attrs/ndevs/10": "eth1",
		port + "gids/2":             "0000:0000:0000:0000:0000:0000:0000:0000", // unused
	})
	want := []GID{{0, netip.MustParseAddr("fe80::5054:ff:fe00:1"), "IB/RoCE v1", ""}, {10, netip.MustParseAddr("10.77.0.1"), "RoCE v2", "eth1"}}
	if got, err := sys.GIDs("mlx5_0", 1); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if _, err := sys.GIDs("mlx5_1", 1); err == nil {
		t.Error("no error for a device that is not there")
	}
}

func TestDevicesAsTheKernelShowsThem(t *testing.T) {
	sys := sysOf(t, map[string]string{
		"infiniband/mlx4_0/ports/10/state":          "1: DOWN",
		"infiniband/mlx4_0/ports/2/state":           "4: ACTIVE",
		"infiniband/mlx4_0/ports/2/link_layer":      "InfiniBand",
		"infiniband/mlx4_0/ports/2/rate":            "40 Gb/sec (4X QDR)",
		"infiniband/mlx4_0/device/net/ib0/dev_port": "0",
		"infiniband/mlx4_0/device/net/ib1/dev_port": "1",
		"infiniband/rxe0/ports/1/state":             "4: ACTIVE",
		"infiniband_verbs/abi_version":              "6",
		"infiniband_verbs/uverbs3/ibdev":            "mlx4_0",
		"net/ib1/mtu":                               "2044",
	})
	if names, err := sys.DeviceNames(); err != nil || !slices.Equal(names, []string{"mlx4_0", "rxe0"}) {
		t.Errorf("devices %v, %v", names, err)
	}
	want := []SysPort{{2, "ACTIVE", "InfiniBand", "40 Gb/sec (4X QDR)"}, {10, "DOWN", "", ""}}
	if ports, err := sys.Ports("mlx4_0"); err != nil || !slices.Equal(ports, want) || !ports[0].Active() || ports[1].Active() {
		t.Errorf("ports %v, %v, want %v", ports, err, want)
	}
	if netdevs, err := sys.NetDevs("mlx4_0", 2); err != nil || !slices.Equal(netdevs, []string{"ib1"}) {
		t.Errorf("interfaces %v, %v", netdevs, err)
	}
	roce := sysOf(t, map[string]string{"infiniband/rxe0/ports/1/gid_attrs/ndevs/0": "eth7"})
	if netdevs, err := roce.NetDevs("rxe0", 1); err != nil || !slices.Equal(netdevs, []string{"eth7"}) {
		t.Errorf("interfaces of RoCE %v, %v", netdevs, err)
	}
	if netdevs, err := sys.NetDevs("rxe0", 1); err != nil || netdevs != nil {
		t.Errorf("interfaces of a device that is no hardware: %v, %v", netdevs, err)
	}
	if sys.NetMTU("ib1") != 2044 || sys.NetMTU("ib9") != 0 {
		t.Errorf("MTU %d, %d", sys.NetMTU("ib1"), sys.NetMTU("ib9"))
	}
	if sys.Node("mlx4_0") != "uverbs3" || sys.Node("rxe0") != "" {
		t.Errorf("files %q, %q", sys.Node("mlx4_0"), sys.Node("rxe0"))
	}
	if sys.Software("mlx4_0") || !sys.Software("rxe0") {
		t.Errorf("software: %v, %v", sys.Software("mlx4_0"), sys.Software("rxe0"))
	}
	if names, err := (sys + "/missing").DeviceNames(); err != nil || names != nil {
		t.Errorf("without RDMA in the kernel: %v, %v", names, err)
	}
}

// Kernels and drivers show a device that is software in different ways; its name is none of them.
func TestSoftwareOnTheBusOfItsInterface(t *testing.T) {
	const dev = "infiniband/fast0/"
	for what, files := range map[string]map[string]string{
		"rxe of an old kernel": {dev + "device/net/eth0/dev_port": "0", dev + "parent": "eth0"},
		"siw":                  {dev + "device/net/eth0/dev_port": "0", dev + "node_desc": "Software iWARP stack"},
	} {
		if !sysOf(t, files).Software("fast0") {
			t.Errorf("%s passes for hardware", what)
		}
	}
	if sysOf(t, map[string]string{dev + "device/net/ib0/dev_port": "0", dev + "node_desc": "node1 mlx4_0"}).Software("fast0") {
		t.Error("hardware passes for software")
	}
}
