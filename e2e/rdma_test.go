//go:build rdma

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	transport, device := guestsTransport(t)
	jobs := []string{"groupByKey:reduces=32", "broadcast", "cachedrdd", "bigblocks"}
	c := newCluster("guests", "3.5.9", 2)
	c.prepareInGuests(t)
	conf := c.WithWeft().With(Conf{
		"spark.cores.max":              "2", // no task starts before both executors are there
		"spark.driver.memory":          "512m",
		"spark.executor.memory":        "640m",
		"spark.weft.rdma.device":       device,
		"spark.weft.fetch.eager.block": strconv.Itoa(eagerBlock),
		"spark.weft.daemon.grace":      "1h", // it is asked what it did when its executors have ended
	})
	whole := c.inGuest(t, "1-whole", c.arguments(conf, "", jobs)...)
	apps := []*guestApp{whole}
	var broken *guestApp
	if transport == "rdma" {
		broken = c.inGuestKilled(t, "2-killed", conf)
		apps = append(apps, broken)
	}
	c.runGuests(t, "1280M", apps...)

	whole.checkResults(t, len(jobs))
	whole.checkEndedByWeft(t)
	whole.checkWarnings(t)
	var shuffled, moved int64
	for _, job := range whole.Shuffled(t) {
		shuffled += job.RemoteBytes
	}
	for host, g := range whole.Guests {
		moved += g.check(t, host, transport)
	}
	if moved < shuffled || shuffled == 0 {
		t.Errorf("Spark counts %d remote bytes of shuffles, the daemons received %d", shuffled, moved)
	}
	if broken != nil {
		t.Run("daemon killed", func(t *testing.T) { broken.checkKilled(t, whole) })
	}
}

// guestsTransport is by which transport blocks are to come, and the device that is to be chosen for that.
func guestsTransport(t *testing.T) (transport, device string) {
	t.Helper()
	transport = os.Getenv("WEFT_TEST_SPARK_TRANSPORT")
	device = map[string]string{"tcp": "none", "rdma": "auto"}[transport]
	if device == "" {
		t.Fatalf("WEFT_TEST_SPARK_TRANSPORT is %q, neither tcp nor rdma", transport)
	}
	return transport, device
}

// inGuestKilled adds an application in the middle of which Host2's daemon is killed, while Host1 READs blocks from it.
func (c *Cluster) inGuestKilled(t *testing.T, name string, conf Conf) *guestApp {
	t.Helper()
	markers := filepath.Join(c.dir, "apps", name, "markers")
	conf = conf.With(Conf{"spark.reducer.maxSizeInFlight": "2m"}) // a task that has one block is not done soon
	a := c.inGuest(t, name, c.arguments(conf, markers, []string{"bigblocks"})...)
	if err := os.Mkdir(markers, 0o755); err != nil {
		t.Fatal(err)
	}
	return a
}

// checkKilled checks that the application has stock Spark's result all the same, that blocks came by RDMA before and others by Netty after, and that
// who met that said so once and counted. before is what ran in the guests before.
func (a *guestApp) checkKilled(t *testing.T, before *guestApp) {
	a.checkResults(t, 1)
	sum := Total(a.summaries(t))
	t.Logf("%+v", sum)
	for name, job := range a.Shuffled(t) {
		if job.FailedTasks != 0 {
			t.Errorf("a dead daemon failed %d tasks of %s", job.FailedTasks, name)
		}
	}
	if sum.Leases != 0 || sum.Leaks != 0 {
		t.Errorf("leases were not given back: %+v", sum)
	}
	reader, readerBefore := a.Guests[Host1].Status, before.Guests[Host1].Status
	if n := receivedBy(reader, "rdma").Bytes - receivedBy(readerBefore, "rdma").Bytes; n <= 0 || sum.NettyBytes == 0 {
		t.Errorf("%s received %d bytes by RDMA before; %d came by Netty", Host1, n, sum.NettyBytes)
	}
	if a.Guests[Host2].Status.DaemonID == before.Guests[Host2].Status.DaemonID {
		t.Errorf("the daemon of %s lives on", Host2)
	}

	causes := []string{"peer_lost", "the session with this node's daemon ended"}
	if sum.Fallbacks["peer_unknown"] > 0 { // until the daemon has a successor
		causes = append(causes, "peer_unknown")
	}
	a.checkWarnings(t, causes...)
	if sum.Fallbacks["peer_lost"] == 0 || sum.Fallbacks["daemon_gone"] == 0 {
		t.Errorf("no block was left to Spark by who read from the daemon, or by whose daemon it was: %v", sum.Fallbacks)
	}
	if !slices.ContainsFunc(reader.Fallbacks, func(c status.Count) bool { return c.Reason == "peer_lost" && c.Blocks == sum.Fallbacks[c.Reason] }) {
		t.Errorf("the daemon of %s counts %+v, its executors %v", Host1, reader.Fallbacks, sum.Fallbacks)
	}
	if n := strings.Count(a.cluster.read("h1/daemon.log"), `level=WARN msg="the connection to a peer ended`); n != 1 {
		t.Errorf("the daemon of %s says %d times that it lost its peer", Host1, n)
	}
}

// receivedBy is what a daemon received by a transport.
func receivedBy(s status.Status, transport string) status.Transfer {
	for _, row := range s.Transfers {
		if row.Direction == "received" && row.Transport == transport {
			return row
		}
	}
	return status.Transfer{}
}

// check checks that all blocks for a guest came by the transport, and returns their bytes.
func (g guest) check(t *testing.T, host, transport string) int64 {
	t.Helper()
	g.checkTransfers(t, host, transport, eagerBlock)
	tcp, rdma := receivedBy(g.Status, "tcp"), receivedBy(g.Status, "rdma")
	if transport == "rdma" {
		g.checkPackets(t, host, rdma)
	}
	return tcp.Bytes + rdma.Bytes
}

// checkTransfers checks that all blocks for a guest came by the transport, but for those of up to eager bytes, which come by tcp.
func (g guest) checkTransfers(t *testing.T, host, transport string, eager int64) {
	t.Helper()
	tcp, rdma, packets := receivedBy(g.Status, "tcp"), receivedBy(g.Status, "rdma"), g.PacketsAfter-g.PacketsBefore
	t.Logf("%s received %d blocks, %d bytes by tcp; %d blocks, %d bytes by rdma; its device %d packets", host, tcp.Blocks, tcp.Bytes, rdma.Blocks,
		rdma.Bytes, packets)
	if len(g.Status.Failed)+len(g.Status.Fallbacks) > 0 {
		t.Errorf("%s could not bring all blocks: %+v, %+v", host, g.Status.Failed, g.Status.Fallbacks)
	}
	if receivedBy(g.Status, transport).Bytes == 0 {
		t.Errorf("%s received nothing by %s", host, transport)
	}
	if transport == "rdma" {
		if tcp.Bytes > tcp.Blocks*eager {
			t.Errorf("%s received blocks above %d bytes by tcp", host, eager)
		}
		// A single large one would not show in that.
		if r := g.Status.RDMA; r == nil || r.HiddenBlocks != 0 || r.Broken != "" {
			t.Errorf("%s does not expose all blocks: %+v", host, r)
		}
	} else if rdma.Blocks != 0 || packets != 0 {
		t.Errorf("%s used its RDMA device", host)
	}
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
