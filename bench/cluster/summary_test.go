package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

const (
	driver   = "INFO weft: summary executor=driver weft_blocks=1 weft_bytes=5 netty_blocks=2 netty_bytes=6 fallbacks={a=1,b=2} leases=0 leaks=0\n"
	executor = "x\nweft: summary executor=0 weft_blocks=1 weft_bytes=9 netty_blocks=2 netty_bytes=300 fallbacks={peer_gone=2} leases=0 leaks=0" +
		" parameter_lookups_driver=2 parameter_lookups_cached=121 parameter_fetch_us=2500 rdma_blocks=1 rdma_bytes=8 rdma_device=rxe0 rdma_software=true\ny\n"
)

func TestSummaries(t *testing.T) {
	dir := t.TempDir()
	c := Cluster{Dir: dir}
	log, driverLog := filepath.Join(dir, "h1/executors/app-1/0/stderr.log"), filepath.Join(dir, "driver.log")
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{log: executor, driverLog: driver} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := Summary{JVMs: 2, WeftBytes: 14, RDMABytes: 8, NettyBytes: 306, Fallbacks: 5, DriverLookups: 2, CachedLookups: 121, ParameterMicros: 2500}
	if s, err := c.Summaries(t.Context(), "app-1", driverLog, 1); err != nil || s != want {
		t.Errorf("%+v, %v; want %+v", s, err, want)
	}
	if _, err := c.Summaries(t.Context(), "app-1", driverLog, 0); err == nil {
		t.Error("more JVMs than there are is no error")
	}
	if _, err := c.Summaries(t.Context(), "app-1", driverLog+"x", 1); err == nil {
		t.Error("a log that is not there is no error")
	}
}

// A JVM that is still writing its line has not told: half a number is another number.
func TestTornSummary(t *testing.T) {
	for n := range len(driver) {
		var s Summary
		if err := s.add([]byte(driver[:n])); err != nil || s != (Summary{}) {
			t.Fatalf("%q: %+v, %v", driver[:n], s, err)
		}
	}
	if err := new(Summary).add([]byte("weft: summary executor=1 weft_bytes=five\n")); err == nil {
		t.Error("a number that is none is no error")
	}
}
