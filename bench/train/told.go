package train

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weft/bench/cluster"
	"weft/bench/result"
)

// told is what the JVMs of an application say of themselves, in its driver's log: executors when the training is over, the driver last.
type told struct {
	cluster.Summary
	hosts  map[string]string // of the executors
	device string            // of their daemons; more than one: with commas
}

// Lines that are still written have no end.
var (
	executorLine = regexp.MustCompile(`(?m)^EXECUTOR (executor=(\S+) host=(\S+)(?: .*)?)\n`)
	driverLine   = regexp.MustCompile(`weft: summary (executor=driver .*)\n`)
	deviceField  = regexp.MustCompile(` rdma_device=(\S+) rdma_software=(true|false)`)
)

func readTold(log []byte) (t told, err error) {
	t.hosts = map[string]string{}
	var devices []string
	for _, m := range executorLine.FindAllSubmatch(log, -1) {
		line := string(m[1])
		t.hosts[string(m[2])] = string(m[3])
		d := deviceField.FindStringSubmatch(line)
		if d == nil {
			continue // stock Spark
		}
		devices = append(devices, result.DeviceName(d[1], d[2] == "true"))
		if err := t.Add(line); err != nil {
			return t, err
		}
	}
	slices.Sort(devices)
	t.device = strings.Join(slices.Compact(devices), ",")
	for _, m := range driverLine.FindAllSubmatch(log, -1) {
		if err := t.Add(string(m[1])); err != nil {
			return t, err
		}
	}
	return t, nil
}

// check says what is missing, or makes the figures those of something else than the row.
func (t told) check(c result.Config) error {
	if len(t.hosts) != c.Executors {
		return fmt.Errorf("%d of %d executors told where they are and by which way their blocks came", len(t.hosts), c.Executors)
	}
	on := map[string]string{}
	for executor, host := range t.hosts {
		if other, ok := on[host]; ok {
			return fmt.Errorf("executors %s and %s are both on %s, and a run is of one to a host: ask for fewer, or for cores or memory that a host has once",
				min(executor, other), max(executor, other), host)
		}
		on[host] = executor
	}
	switch {
	case c.Impl == Stock:
		return nil
	case t.JVMs != c.Executors+1:
		return fmt.Errorf("%d JVMs instead of the driver and %d executors told by which way their blocks came", t.JVMs, c.Executors)
	case t.WeftBytes == 0:
		return fmt.Errorf("no block came by weft")
	case c.Impl == WeftRDMA && t.RDMABytes == 0:
		return fmt.Errorf("no block came by RDMA; the executors' daemons have as device: %s ('weft doctor' on their hosts tells more). Blocks of up to spark.weft.fetch.eager.block "+
			"come in messages", t.device)
	case c.Impl == WeftTCP && t.RDMABytes > 0:
		return fmt.Errorf("%d bytes came by RDMA, which this arm is to do without: its daemons have other settings than --conf and the arm give", t.RDMABytes)
	}
	return nil
}
