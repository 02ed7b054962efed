//go:build rdma

package e2e

import (
	"os"
	"strconv"
	"testing"

	"weft/internal/status"
)

const (
	eagerBlock = 32 << 10 // larger blocks are read one-sided
	pathMTU    = 4096     // of the guests' wire
)

// TestGuests runs an application on two hosts with soft-RoCE, set up as a user does. Every remote block comes by weft, and by the
// transport that WEFT_TEST_SPARK_TRANSPORT names: tcp, or rdma. Blocks are of some 100 bytes to 4 MiB, of shuffles, broadcasts and cached
// partitions.
func TestGuests(t *testing.T) {
	transport := os.Getenv("WEFT_TEST_SPARK_TRANSPORT")
	device := map[string]string{"tcp": "none", "rdma": "auto"}[transport]
	if device == "" {
		t.Fatalf("WEFT_TEST_SPARK_TRANSPORT is %q, neither tcp nor rdma", transport)
	}
	jobs := []string{"groupByKey:reduces=32", "broadcast", "cachedrdd", "bigblocks"}
	c := newCluster("guests", "3.5.9", 2)
	r, guests := c.submitInGuests(t, c.WithWeft().With(Conf{
		"spark.cores.max":              "2", // no task starts before both executors are there
		"spark.driver.memory":          "512m",
		"spark.executor.memory":        "640m",
		"spark.weft.rdma.device":       device,
		"spark.weft.fetch.eager.block": strconv.Itoa(eagerBlock),
		"spark.weft.daemon.grace":      "1h", // it is asked what it did when its executors have ended
	}), jobs...)
	r.checkResults(t, len(jobs))
	r.checkEndedByWeft(t)
	r.checkWarnings(t)

	var shuffled, moved int64
	for _, job := range r.Shuffled(t) {
		shuffled += job.RemoteBytes
	}
	for host, g := range guests {
		moved += g.check(t, host, transport)
	}
	if moved < shuffled || shuffled == 0 {
		t.Errorf("Spark counts %d remote bytes of shuffles, the daemons received %d", shuffled, moved)
	}
}

// check checks that all blocks for a guest came by the transport, and returns their bytes.
func (g guest) check(t *testing.T, host, transport string) int64 {
	t.Helper()
	by := map[string]status.Transfer{}
	for _, row := range g.Status.Transfers {
		if row.Direction == "received" {
			by[row.Transport] = row
		}
	}
	tcp, rdma, packets := by["tcp"], by["rdma"], g.PacketsAfter-g.PacketsBefore
	t.Logf("%s received %d blocks, %d bytes by tcp; %d blocks, %d bytes by rdma; its device %d packets", host, tcp.Blocks, tcp.Bytes, rdma.Blocks,
		rdma.Bytes, packets)
	if len(g.Status.Failed)+len(g.Status.Fallbacks) > 0 {
		t.Errorf("%s could not bring all blocks: %+v, %+v", host, g.Status.Failed, g.Status.Fallbacks)
	}
	if by[transport].Bytes == 0 {
		t.Errorf("%s received nothing by %s", host, transport)
	}
	if transport == "rdma" {
		if tcp.Bytes > tcp.Blocks*eagerBlock {
			t.Errorf("%s received blocks above %d bytes by tcp", host, eagerBlock)
		}
		// A single large one would not show in that.
		if r := g.Status.RDMA; r == nil || r.HiddenBlocks != 0 || r.Broken != "" {
			t.Errorf("%s does not expose all blocks: %+v", host, r)
		}
		g.checkPackets(t, host, rdma)
	} else if rdma.Blocks != 0 || packets != 0 {
		t.Errorf("%s used its RDMA device", host)
	}
	return tcp.Bytes + rdma.Bytes
}

// checkPackets checks that the blocks came out of the peer's memory by READs: as many packets as these take were received. A READ of n bytes is
// answered by n/pathMTU packets, rounded up. At least: those of all bytes, but for blocks so small that they may have come within
// an answer. At most a fifth more than those of all bytes: for what is rounded up, one request for each READ of the peer's, the few packets of
// the connection manager, and what was sent again. As long as most bytes are in blocks of many packets, these are few. Acknowledgements
// are none of it: READs have none but their data.
func (g guest) checkPackets(t *testing.T, host string, rdma status.Transfer) {
	t.Helper()
	packets := g.PacketsAfter - g.PacketsBefore
	least, most := (rdma.Bytes-rdma.Blocks*eagerBlock)/pathMTU, rdma.Bytes*6/5/pathMTU
	if least <= 0 {
		t.Errorf("%s received too few large blocks to tell anything from packets", host)
	}
	if packets < least || packets > most {
		t.Errorf("%s received %d packets, which is not from %d to %d", host, packets, least, most)
	}
}
