//go:build rdma

package doctor

import (
	"os"
	"strings"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/options"
	"weft/shuffle/rdma"
	"weft/verbs/verbstest"
)

// Of a device that works, every line is good, but for an MTU that could be larger.
func TestDevice(t *testing.T) {
	leakcheck.Check(t)
	opts := options.Default()
	opts.RDMADevice = verbstest.Device(t).Name()
	looked := 0
	for _, r := range Run(t.Context(), opts, os.Getenv) {
		if !strings.HasPrefix(r.Check, "RDMA") && r.Check != "memlock" {
			continue
		}
		looked++
		t.Logf("%-4s  %-20s %s", r.Outcome, r.Check, r.Found)
		if r.Outcome != OK && (r.Check != "RDMA MTU" || r.Outcome != Warn) || strings.Contains(r.Found, "no device") {
			t.Errorf("%+v", r)
		}
	}
	if looked != 9 {
		t.Errorf("%d checks of RDMA, want 9", looked)
	}
}

// What is reckoned from an interface's MTU is what the device says.
func TestPathMTU(t *testing.T) {
	leakcheck.Check(t)
	device := verbstest.Device(t)
	port, err := rdma.Choice{Device: device.Name()}.Choose()
	if err != nil {
		t.Fatal(err)
	}
	asked, err := device.Port(port.Number)
	if err != nil {
		t.Fatal(err)
	}
	if asked.LinkLayer != port.LinkLayer || asked.State != port.State || port.PathMTU() != 0 && port.PathMTU() != asked.MTU {
		t.Errorf("%+v with packets of %d bytes, the device says %+v", port, port.PathMTU(), asked)
	}
}
