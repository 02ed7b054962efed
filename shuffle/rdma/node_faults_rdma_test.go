//go:build rdma

package rdma

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
	"weft/verbs/verbstest"
)

// pair is a reader connected with an owner of one large block.
type pair struct {
	reader, owner *side
	conn          shuffle.Conn
	dst           []byte
	block         []byte
}

const blockLen = 16 << 20

func newPair(t *testing.T) *pair {
	t.Helper()
	return newPairOf(t, func(*side) *side { return newSide(t, 2) })
}

func newPairOf(t *testing.T, owner func(reader *side) *side) *pair {
	t.Helper()
	leakcheck.Check(t)
	p := &pair{reader: newSide(t, 1), block: transporttest.Bytes(1, blockLen)}
	p.owner = owner(p.reader)
	src := transporttest.NewSource(t)
	src.AddFile(transporttest.ID(0), p.block)
	p.conn, _ = connect(t, p.reader, p.owner, src)
	p.dst = p.reader.memory(t, blockLen, p.reader.domain.Receive())
	return p
}

// comes reads the block and fails the test unless it is right, and came by by.
func (p *pair) comes(t *testing.T, by string) {
	t.Helper()
	got, way := read(t, p.conn, p.dst, locate(t, p.conn, transporttest.ID(0))[0])
	if !bytes.Equal(got, p.block) || way != by {
		t.Errorf("it came by %q, not %q, and is right: %t", way, by, bytes.Equal(got, p.block))
	}
}

// soon waits until blocks come by RDMA again.
func (p *pair) soon(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(verbstest.Patience); ; {
		if _, by := read(t, p.conn, p.dst, locate(t, p.conn, transporttest.ID(0))[0]); by == Name {
			return
		}
		if time.Now().After(end) {
			t.Fatal("blocks do not come by RDMA again")
		}
	}
}

// meanwhile reads the block many times, in pieces of 1 MiB, and acts while that is under way. Whatever happens, all of it has to come, and be right. It returns
// how many pieces came by RDMA.
func (p *pair) meanwhile(t *testing.T, act func()) (direct int) {
	t.Helper()
	const piece, rounds, some = 1 << 20, 100, 40
	l := locate(t, p.conn, transporttest.ID(0))[0]
	acted := make(chan struct{})
	came := 0
	for round := range rounds {
		ended := make(chan error, blockLen/piece)
		var by atomic.Int32
		var reqs []shuffle.ReadRequest
		clear(p.dst)
		for off := int64(0); off < blockLen; off += piece {
			reqs = append(reqs, shuffle.ReadRequest{
				Ranges: []shuffle.Range{{Handle: l.Handle, Offset: off, Length: piece}}, Dst: p.dst[off : off+piece],
				By: func(string) { by.Add(1) }, Done: func(err error) { ended <- err },
			})
		}
		p.conn.Read(reqs)
		for range reqs {
			if err := verbstest.Await(t, ended, "Read"); err != nil {
				t.Fatal(err)
			}
			if came++; came == some {
				go func() {
					defer close(acted)
					act()
				}()
			}
		}
		if !bytes.Equal(p.dst, p.block) {
			t.Fatalf("round %d: other bytes", round)
		}
		direct += int(by.Load())
		if round > 10 && closed(acted) {
			break
		}
	}
	verbstest.Await(t, acted, "what is done meanwhile")
	p.conn.Release([]uint64{l.Handle})
	return direct
}

// The keys become invalid, and the connection ends, while they are in use: as when the application's last executor leaves.
func TestOwnerLeavesMeanwhile(t *testing.T) {
	p := newPair(t)
	p.comes(t, Name)
	p.meanwhile(t, func() {
		p.owner.domain.Leave()
		p.owner.left = true
	})
	p.comes(t, "")
	if n := testutil.ToFloat64(p.reader.metrics.PeerLosses(Name)); n != 1 {
		t.Errorf("%v connections were lost, want 1", n)
	}
	if n := p.owner.node.listener.Readers(); n != 0 {
		t.Errorf("%d readers are connected to memory of nobody", n)
	}
}

// The reader's queue pair breaks: what was in flight comes over TCP, what comes later by a new connection.
func TestQueuePairBreaksMeanwhile(t *testing.T) {
	p := newPair(t)
	p.comes(t, Name)
	broken := errors.New("broken by the test")
	p.meanwhile(t, func() {
		p.reader.node.mu.Lock()
		defer p.reader.node.mu.Unlock()
		for c := range p.reader.domain.conns {
			_ = c.qp.ToError()
			go c.queue.fail(broken)
		}
	})
	p.soon(t)
	if n := testutil.ToFloat64(p.reader.metrics.PeerDials(Name, metrics.OK)); n < 2 {
		t.Errorf("%v connections were made, want another", n)
	}
}

// The port goes down: the device's event is enough for both sides to leave it alone, until it is up again.
func TestPortDownMeanwhile(t *testing.T) {
	p := newPairOf(t, func(s *side) *side { return s }) // one daemon: a device's events are told once to each process
	p.comes(t, Name)
	carrier := func(state string) { // the cable; with the whole link down soft-RoCE's connection manager would not recover
		if out, err := exec.Command("ip", "link", "set", netDev(t), "carrier", state).CombinedOutput(); err != nil {
			t.Errorf("carrier %s: %v %s", state, err, out)
		}
	}
	broken := func(want bool) {
		t.Helper()
		for end := time.Now().Add(verbstest.Patience); (p.reader.node.Broken() != nil) != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the device is broken: %v, want %t", p.reader.node.Broken(), want)
			}
		}
	}
	defer carrier("on")
	p.meanwhile(t, func() { carrier("off") })
	broken(true)
	p.comes(t, "")
	carrier("on")
	broken(false)
	p.soon(t)

	// soft-RoCE has no fatal events; this is what one does, whatever the port says then.
	p.reader.node.fail(errors.New("fatal, says the test"), true)
	p.reader.node.mend()
	broken(true)
	p.comes(t, "")
}

// wrong gives keys that open nothing.
type wrong struct {
	*Node
	change func(*shuffle.Part)
}

func (w wrong) Expose(app shuffle.App, f *shuffle.Found) ([]shuffle.Part, func(), error) {
	parts, hide, err := w.Node.Expose(app, f)
	for i := range parts {
		w.change(&parts[i])
	}
	return parts, hide, err
}

// A key or a place that opens nothing, told by the owner, ends the connection; the blocks come over TCP. (Of another place in the region the checksum tells.)
func TestWrongKeys(t *testing.T) {
	for name, change := range map[string]func(*shuffle.Part){
		"key":    func(p *shuffle.Part) { p.Key += 0x10101 },
		"beyond": func(p *shuffle.Part) { p.Addr += blockLen / 2 },
		"before": func(p *shuffle.Part) { p.Addr -= 4096 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPairOf(t, func(*side) *side {
				owner := newSide(t, 2)
				owner.direct = wrong{owner.node, change}
				return owner
			})
			for range 3 {
				p.comes(t, "")
			}
			if n := testutil.ToFloat64(p.reader.metrics.PeerLosses(Name)); n == 0 {
				t.Error("no connection was lost")
			}
		})
	}
}

const memlockVariable = "WEFT_TEST_MEMLOCK"

// With too small a limit of locked memory blocks come over TCP. The limit does not count for root, so another process tries, as nobody.
func TestTooLittleMayBeLocked(t *testing.T) {
	if os.Getenv(memlockVariable) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^TestTooLittleMayBeLocked$")
		cmd.Env = append(os.Environ(), memlockVariable+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	p := newPair(t)
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	p.comes(t, "") // the owner's file
	if n := testutil.ToFloat64(p.owner.metrics.HiddenBlocks); n == 0 {
		t.Error("no block was counted as not registered")
	}
	hidden := testutil.ToFloat64(p.owner.metrics.HiddenBlocks)
	lent := p.owner.memory(t, blockLen, p.owner.domain.Upcall())
	if _, _, err := p.owner.node.Expose(theApp, &shuffle.Found{Mem: lent, Length: blockLen}); !errors.Is(err, errElsewhere) {
		t.Errorf("memory that was not registered: %v", err)
	}
	if n := testutil.ToFloat64(p.owner.metrics.HiddenBlocks); n != hidden+1 {
		t.Errorf("%v blocks count as hidden, want one more than %v", n, hidden)
	}
	more := p.reader.memory(t, blockLen, p.reader.domain.Receive()) // the reader's memory
	got, by := read(t, p.conn, more, locate(t, p.conn, transporttest.ID(0))[0])
	if by != "" || !bytes.Equal(got, p.block) {
		t.Errorf("it came by %q", by)
	}
}

// While blocks are read by RDMA the owner sends no byte of them: what it sends does not grow with what is read.
func TestOwnerHasNoPartInIt(t *testing.T) {
	p := newPair(t)
	for range 10 {
		p.comes(t, Name)
	}
	if n := testutil.ToFloat64(p.owner.metrics.BytesTotal(tcp.Name, metrics.Served)); n != 0 {
		t.Errorf("the owner sent %v bytes of blocks", n)
	}
	l := locate(t, p.conn, transporttest.ID(0))[0]
	defer p.conn.Release([]uint64{l.Handle})
	posts := func() (n uint64) {
		p.reader.node.mu.Lock()
		defer p.reader.node.mu.Unlock()
		for c := range p.reader.domain.conns {
			n += c.queue.posts.Load()
		}
		return n
	}
	before, ended := posts(), make(chan error, blockLen/4096)
	var reqs []shuffle.ReadRequest
	for off := int64(0); off < blockLen; off += 4096 {
		reqs = append(reqs, shuffle.ReadRequest{
			Ranges: []shuffle.Range{{Handle: l.Handle, Offset: off, Length: 4096}}, Dst: p.dst[off : off+4096], Done: func(err error) { ended <- err },
		})
	}
	p.conn.Read(reqs)
	for range reqs {
		if err := verbstest.Await(t, ended, "Read"); err != nil {
			t.Fatal(err)
		}
	}
	if n := posts() - before; n > uint64(len(reqs)/16) {
		t.Errorf("%d calls into C for %d pieces, want at most one for 16", n, len(reqs))
	}
}
