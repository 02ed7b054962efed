//go:build rdma

package peertest

import (
	"bytes"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/rdma"
	"weft/shuffle/tcp"
	"weft/verbs/verbstest"
)

// blocks is a daemon's connection to the owner's server of blocks.
type blocks struct {
	*far
	conn    shuffle.Conn
	metrics *metrics.Set
	dst     []byte
	want    []byte
}

func newBlocks(t *testing.T, peerTimeout time.Duration) *blocks {
	t.Helper()
	b := &blocks{far: newFar(t, rdma.Options{}), metrics: metrics.NewSet(), want: sourceBytes()}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	node, err := rdma.Open(rdma.NodeOptions{Options: rdma.Options{Log: log}, Device: "auto", Metrics: b.metrics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, node) })
	domain, err := node.Join(theApp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(domain.Leave)
	b.dst = verbstest.Memory(t, ownerBytes)
	reg, err := domain.Receive().Register(b.dst)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, reg) })
	b.conn = b.connect(t, tcp.Options{PeerTimeout: peerTimeout, Direct: node, Log: log, Backoff: time.Second})
	if right, direct, err := b.read(t, 1, nil); right != ownerBytes/piece || direct != right {
		t.Fatalf("%d of %d pieces arrived, %d by RDMA: %v", right, ownerBytes/piece, direct, err)
	}
	return b
}

// connect connects with the owner's server, for the time of the test.
func (b *blocks) connect(t *testing.T, o tcp.Options) shuffle.Conn {
	t.Helper()
	o.DaemonID, o.Metrics = [16]byte{1}, b.metrics
	conn, err := tcp.New(o).Dial(t.Context(), shuffle.PeerAddr{Hosts: []string{os.Getenv(peerVariable)}, Port: serverPort, DaemonID: serverID})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, conn) })
	return conn
}

// read reads the block some times over, and acts when a part of that has come. Every read ends, and has the owner's bytes or an error. It returns how many are
// right, how many of these came by RDMA, and an error of the others.
func (b *blocks) read(t *testing.T, rounds int, act func()) (right, direct int, failed error) {
	t.Helper()
	located := make(chan []shuffle.Located, 1)
	b.conn.Locate(&shuffle.LocateRequest{App: theApp, Executor: "1", Blocks: []shuffle.BlockID{{Shuffle: 1, ReduceEnd: 1}}}, nil, func(l []shuffle.Located, err error) {
		if err != nil {
			t.Error(err)
		}
		located <- l
	})
	l := verbstest.Await(t, located, "Locate")
	if len(l) != 1 || l[0].Err != nil {
		t.Fatalf("located %+v", l)
	}
	defer b.conn.Release([]uint64{l[0].Handle})
	acted := make(chan struct{})
	var came atomic.Int32
	for range rounds {
		clear(b.dst)
		outcomes := make([]chan error, ownerBytes/piece)
		ways := make([]string, len(outcomes))
		reqs := make([]shuffle.ReadRequest, len(outcomes))
		for i := range reqs {
			outcomes[i] = make(chan error, 1)
			reqs[i] = shuffle.ReadRequest{
				Ranges: []shuffle.Range{{Handle: l[0].Handle, Offset: int64(i * piece), Length: piece}}, Dst: b.dst[i*piece : (i+1)*piece],
				By: func(transport string) { ways[i] = transport },
				Done: func(err error) {
					outcomes[i] <- err
					if int(came.Add(1)) == len(outcomes)*rounds/4 && act != nil {
						go func() {
							defer close(acted)
							act()
						}()
					}
				},
			}
		}
		b.conn.Read(reqs)
		for i, ch := range outcomes {
			switch err := result(t, ch); {
			case err != nil:
				failed = err
			case !bytes.Equal(b.dst[i*piece:(i+1)*piece], b.want[i*piece:(i+1)*piece]):
				t.Fatalf("piece %d has other bytes", i)
			default:
				if right++; ways[i] == rdma.Name {
					direct++
				}
			}
		}
	}
	if act != nil {
		verbstest.Await(t, acted, "what is done meanwhile")
	}
	return right, direct, failed
}

const rounds = 40

// comes fails the test unless all of it arrives.
func (b *blocks) comes(t *testing.T, act func()) (direct int) {
	t.Helper()
	right, direct, err := b.read(t, rounds, act)
	if right != rounds*ownerBytes/piece {
		t.Errorf("%d of %d pieces arrived: %v", right, rounds*ownerBytes/piece, err)
	}
	t.Logf("%d of %d pieces by RDMA", direct, right)
	return direct
}

// Nothing that this host sends arrives for three seconds, which is more than the device has patience for: what it was to read comes over TCP then, and later
// blocks by RDMA again.
func TestBlocksBehindABlackHoleForAWhile(t *testing.T) {
	b := newBlocks(t, limit)
	b.comes(t, func() {
		mend := lossy(t, "loss", "100%")
		time.Sleep(3 * time.Second) // the fault itself
		mend()
	})
	if n := testutil.ToFloat64(b.metrics.PeerLosses(rdma.Name)); n == 0 {
		t.Error("no RDMA connection was lost")
	}
	for end := time.Now().Add(limit); b.comes(t, nil) == 0; {
		if time.Now().After(end) {
			t.Fatal("blocks do not come by RDMA again")
		}
	}
}

// For ever: every read ends with an error, soon after the peer's time-out.
func TestBlocksBehindABlackHole(t *testing.T) {
	b := newBlocks(t, 3*time.Second)
	var begin time.Time
	_, _, err := b.read(t, rounds, func() {
		begin = time.Now()
		lossy(t, "loss", "100%")
	})
	if err == nil {
		t.Error("nothing failed")
	}
	// A quarter more than the time-out, and the device's 2.7 s.
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
	verbstest.Await(t, b.conn.Closed(), "the end of the connection")
}

// One frame in a hundred of what the peer sends is lost.
func TestBlocksComeInSpiteOfLoss(t *testing.T) {
	b := newBlocks(t, limit)
	dev := os.Getenv(wireVariable) // the same on both hosts
	b.order(t, "tc", "qdisc", "add", "dev", dev, "root", "netem", "loss", "1%")
	defer b.order(t, "tc", "qdisc", "del", "dev", dev, "root")
	if right, direct, err := b.read(t, 2, nil); right != 2*ownerBytes/piece || direct == 0 {
		t.Errorf("%d pieces arrived, %d by RDMA: %v", right, direct, err)
	}
}

// The owner's daemon is killed: whatever is under way ends at once with an error, by either way.
func TestOwnerOfBlocksKilled(t *testing.T) {
	b := newBlocks(t, limit)
	begin := time.Now()
	_, _, err := b.read(t, rounds, func() {
		if err := b.out.Encode(order{Do: "die"}); err != nil {
			t.Error(err)
		}
	})
	if err == nil {
		t.Error("nothing failed")
	}
	if took := time.Since(begin); took > limit/2 {
		t.Errorf("it took %v", took)
	}
	verbstest.Await(t, b.conn.Closed(), "the end of the connection")
	_ = b.far.conn.Close()
	b.reach(t) // whoever takes its place
	fresh := newBlocks(t, limit)
	fresh.comes(t, nil)
}
