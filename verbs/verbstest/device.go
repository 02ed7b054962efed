// Package verbstest gives tests a device and connections on it. It is for machines with RDMA: where the device that was declared is
// missing, tests fail and are not skipped.
package verbstest

import (
	"net/netip"
	"os"
	"testing"

	"weft/verbs"
)

// DeviceVariable names the device to test on: "mlx5_0". Without it the only device is taken.
const DeviceVariable = "WEFT_TEST_DEVICE"

// Device opens the device under test, for the time of the test.
func Device(t testing.TB) *verbs.Context {
	t.Helper()
	devices, err := verbs.OpenDevices()
	if err != nil {
		t.Fatalf("%v (these tests need a device; `make test-rdma` runs them in a guest that has one)", err)
	}
	t.Cleanup(func() { Close(t, devices) })
	if name := os.Getenv(DeviceVariable); name != "" {
		if c := devices.Device(name); c != nil {
			return c
		}
		t.Fatalf("%s=%s, but there are only %s", DeviceVariable, name, names(devices))
	}
	if len(devices.All()) != 1 {
		t.Fatalf("say by %s which of %s to test on", DeviceVariable, names(devices))
	}
	return devices.All()[0]
}

func names(devices *verbs.Devices) (all []string) {
	for _, c := range devices.All() {
		all = append(all, c.Name())
	}
	return all
}

// tables are those of devices asked for already: reading the thousand files of one takes a guest most of a second.
var tables = map[string][]verbs.GID{}

// Addrs are two IP addresses of the device's first port, which may be the same, for connections of the device with itself. Not for parallel
// tests.
func Addrs(t testing.TB, device *verbs.Context) (client, server netip.Addr) {
	t.Helper()
	gids := tables[device.Name()]
	if gids == nil {
		var err error
		if gids, err = verbs.Sys("").GIDs(device.Name(), 1); err != nil {
			t.Fatal(err)
		}
		tables[device.Name()] = gids
	}
	var found []netip.Addr
	for _, g := range gids {
		if g.Addr.Is4() && (len(found) == 0 || g.Addr != found[0]) {
			found = append(found, g.Addr)
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no IPv4 address: %+v", device.Name(), gids)
	}
	return found[0], found[len(found)-1]
}

// Close closes a handle; an error fails the test.
func Close(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("closing %T: %v", c, err)
	}
}
