//go:build e2e

package e2e

import (
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"testing"

	"weft/internal/status"
)

// faultJobs are jobs of faults alone, read by one host from the other.
var faultJobs = []string{"remoteblock", "hugeblock"}

// fault breaks something while a job runs, and lets it go on.
type fault struct {
	name string // the job's label is job.name
	job  string
	do   func(t *testing.T, b *broken)
}

// Where files are broken nobody may read them but by the network: stock Spark takes what it reads from its own disk for the block, even if
// it is too short or another one.
var faults = []fault{
	{"daemonkilled", "bigblocks", killDaemon},
	{"socketsremoved", "bigblocks", removeSockets},
	{"truncated", "remoteblock", truncateData},
	{"randomindex", "remoteblock", scrambleIndex},
	{"executorkilled", "bigblocks", killParent},
}

// TestFaults breaks one thing after the other in one application with two executors on each host. Every job ends with the right result,
// and nothing is left behind.
func TestFaults(t *testing.T) {
	t.Run("3.5.9", func(t *testing.T) { testFaults(t, "3.5.9", faults) })
	t.Run("4.1.3", func(t *testing.T) { testFaults(t, "4.1.3", []fault{faults[0], faults[2], faults[4]}) })
}

func testFaults(t *testing.T, version string, faults []fault) {
	c := cluster(t, version, 2, "--cores", "4")
	b := c.startBroken(t, c.WithWeft().With(Conf{
		"spark.executor.cores": "2",
		"spark.cores.max":      "8",
	}), faults)
	for _, f := range faults {
		b.job = f.name
		if !t.Run(f.name, func(t *testing.T) { f.do(t, b) }) {
			t.FailNow() // the job may wait for a marker that nobody makes any more
		}
	}
	b.Wait(t)
	b.checkResults(t, len(faults))
	sum := b.checkGivenBack(t)
	for _, reason := range []string{"daemon_gone", "peer_lost"} {
		if sum.Fallbacks[reason] == 0 {
			t.Errorf("no block was left to Spark because of %s: %v", reason, sum.Fallbacks)
		}
	}
	if sum.WeftBlocks == 0 {
		t.Error("no block came by weft")
	}
	jobs := b.Shuffled(t)
	for name, job := range jobs {
		t.Logf("%s: %+v", name, *job)
	}
	if jobs["bigblocks.daemonkilled"].FailedTasks != 0 {
		t.Error("a dead daemon failed tasks")
	}
	if jobs["bigblocks.executorkilled"].FailedTasks == 0 {
		t.Error("the killed executor had no task")
	}
	for _, name := range []string{"remoteblock.truncated", "remoteblock.randomindex"} {
		if job := jobs[name]; job != nil && job.FetchFailures == 0 {
			t.Errorf("Spark did not learn of the lost map output: %+v", *job)
		}
	}
	c.checkLeft(t)
}

// killDaemon stops a daemon, so that fetches of its own executors and of its peer are under way for sure when it is killed.
func killDaemon(t *testing.T, b *broken) {
	b.toReducing(t)
	daemon := b.Status(t, Host1).DaemonID
	b.eventually(t, "the peer has a connection that can break", func() bool {
		s := b.look(Host2)
		return s != nil && slices.ContainsFunc(s.Peers, func(p status.Peer) bool { return p.DaemonID == daemon })
	})
	b.Signal(t, Host1, "weft", syscall.SIGSTOP)
	b.release(t)
	b.eventually(t, "a fetch from the stopped daemon is under way", func() bool { return fetches(b.Status(t, Host2)) > 0 })
	b.Signal(t, Host1, "weft", syscall.SIGKILL)
	b.checkRejoined(t, Host1, 2)
	b.checkSegments(t, Host1)
}

// removeSockets removes the socket directory, with the binary in it, and then the daemon: the executors make both anew.
func removeSockets(t *testing.T, b *broken) {
	b.toMapped(t)
	before := b.Status(t, Host1)
	if err := os.RemoveAll(b.socketDir(Host1)); err != nil {
		t.Fatal(err)
	}
	b.toReducing(t)
	if pids := b.Pids(t, Host1, "weft"); len(pids) != 1 || pids[0] != before.PID {
		t.Errorf("daemons %v, before their directory was removed: %d", pids, before.PID)
	}
	b.Signal(t, Host1, "weft", syscall.SIGKILL)
	b.release(t)
	b.checkRejoined(t, Host1, 2)
}

// truncateData cuts a data file in half. Its blocks are lost for good; that is Spark's to repair, and harms no daemon.
func truncateData(t *testing.T, b *broken) {
	b.toMapped(t)
	before := slices.Concat(b.Pids(t, Host1, "weft"), b.Pids(t, Host2, "weft"))
	file := b.mapOutputFile(t, ".data")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	b.checkBadMapOutput(t)
	if after := slices.Concat(b.Pids(t, Host1, "weft"), b.Pids(t, Host2, "weft")); !slices.Equal(before, after) {
		t.Errorf("daemons before %v, after %v", before, after)
	}
}

// scrambleIndex fills an index file with random bytes.
func scrambleIndex(t *testing.T, b *broken) {
	b.toMapped(t)
	if err := scramble(b.mapOutputFile(t, ".index")); err != nil {
		t.Fatal(err)
	}
	b.checkBadMapOutput(t)
}

// scramble fills a file with as many random bytes as it has.
func scramble(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	return os.WriteFile(path, content, 0o644)
}

// killParent kills the executor that started the daemon of its host. The daemon stays for the others, and for the executor that Spark
// starts instead.
func killParent(t *testing.T, b *broken) {
	b.toReducing(t)
	daemon := b.Pids(t, Host1, "weft")
	executors := b.Pids(t, Host1, "executor")
	if len(daemon) != 1 || len(executors) != 2 {
		t.Fatalf("daemons %v and executors %v on %s", daemon, executors, Host1)
	}
	parent := parentOf(t, daemon[0])
	if !slices.Contains(executors, parent) {
		t.Fatalf("the daemon's parent %d is none of the executors %v", parent, executors)
	}
	kill(t, parent)
	b.eventually(t, "the daemon gives up what the executor held", func() bool {
		s := b.look(Host1)
		return s != nil && len(s.Sessions) == 1 && s.Memory.ReceiveBytes == s.Sessions[0].Receive.AllocatedBytes
	})
	b.release(t)
	b.awaitEnd(t)
	if after := b.Pids(t, Host1, "weft"); !slices.Equal(after, daemon) {
		t.Errorf("daemons before %v, after %v", daemon, after)
	}
}

// TestSmallArena gives executors an arena of 1 MiB. Blocks of 4 MiB go by Netty; a join whose four tasks may have twice as much in flight
// ends, though each of them holds leases of one input while it waits for the other.
func TestSmallArena(t *testing.T) {
	c := cluster(t, "3.5.9", 2, "--cores", "4")
	r := c.Submit(t, c.WithWeft().With(Conf{
		"spark.weft.memory.session":     "1m",
		"spark.weft.memory.region":      "1m",
		"spark.weft.daemon.grace":       "1s",
		"spark.reducer.maxSizeInFlight": "512k",
		"spark.cores.max":               "8",
	}), "bigblocks:reduces=4:records=16", "join")
	r.checkResults(t, 2)
	sum := r.checkGivenBack(t)
	remote := r.Shuffled(t)
	if got := sum.Fallbacks["too_large"]; got != remote["bigblocks"].RemoteBlocks {
		t.Errorf("%d blocks were too large, of %d: %v", got, remote["bigblocks"].RemoteBlocks, sum.Fallbacks)
	}
	if sum.WeftBlocks == 0 {
		t.Error("no block came by weft")
	}
	for name, job := range remote {
		t.Logf("%s: %+v", name, *job)
		if job.FailedTasks != 0 {
			t.Errorf("%s: %+v", name, *job)
		}
	}
	c.checkLeft(t)
}

// TestTimeouts gives every fetch 1 ms over a link that takes 20 ms each way, with daemons that fill memory with poison when its lease ends:
// data that comes late reaches nobody.
func TestTimeouts(t *testing.T) {
	c := cluster(t, "3.5.9", 2, "--cores", "4")
	t.Cleanup(func() { c.checkLeft(t) }) // after the daemons have ended
	daemon := buildPoisoning(t)
	for _, host := range []string{Host1, Host2} {
		c.Daemon(t, host, daemon)
	}
	c.Link(t, Host1, "delay", "20ms")
	r := c.Submit(t, c.WithWeft().With(Conf{
		"spark.weft.daemon.mode":   "external",
		"spark.weft.socket.dir":    externalDir,
		"spark.weft.fetch.timeout": "1ms",
		"spark.cores.max":          "8",
	}), "bigblocks", "groupByKey", "broadcast")
	r.checkResults(t, 3)
	sum := r.checkGivenBack(t)
	if sum.Fallbacks["timeout"] == 0 {
		t.Errorf("nothing timed out: %v", sum.Fallbacks)
	}
	for _, host := range []string{Host1, Host2} {
		s := c.Status(t, host, "--socket-dir", externalDir)
		if s == nil || s.Memory.ReceiveBytes != 0 || s.Memory.UpcallBytes != 0 {
			t.Errorf("%s holds memory after the last session: %+v", host, s)
		}
	}
	for name, job := range r.Shuffled(t) {
		if job.FailedTasks != 0 {
			t.Errorf("%s: %+v", name, *job)
		}
	}
}
