package daemon

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weft/internal/chaos"
	"weft/internal/leakcheck"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
	"weft/shuffle/transporttest"
)

var (
	chaosSeed   = flag.Uint64("chaos.seed", 1, "TestChaos: of the faults")
	chaosFaults = flag.Int("chaos.faults", 1000, "TestChaos: how many, at least")
	chaosFor    = flag.Duration("chaos.for", 0, "TestChaos: goes on for so long, at least")
	chaosWays   = flag.Int("chaos.ways", 8, "TestChaos: how many things are broken at the same time")
	chaosScript = flag.String("chaos.script", "", "TestChaos: these faults and no others")
	chaosRecord = flag.String("chaos.record", "", "TestChaos: writes its record into this file")
)

// waySizes are of blocks of each map output: eager ones, some that are read together, one in pieces, and empty ones. wayPiece is of a piece.
var waySizes = []int{10, 0, 32 << 10, 32<<10 + 1, 100, 60 << 10, 0, 200<<10 + 7}

const wayPiece = 64 << 10

// chaosRun is a run of TestChaos.
type chaosRun struct {
	t    *testing.T
	rec  *chaos.Record
	ctx  context.Context // ends when the readers are to end
	ways []*way
	late sync.WaitGroup // fetches that were begun while something was broken
}

// TestChaos breaks the ways between two daemons at random places for as long as it is told, while readers fetch over them. Every fetch ends
// in time, with the right bytes or a reason; after each fault all blocks come again; and nothing is left behind.
func TestChaos(t *testing.T) {
	leakcheck.Check(t)
	goroutines := goleak.IgnoreCurrent()
	began := time.Now()
	c := &chaosRun{t: t, rec: chaos.NewRecord("in process", *chaosSeed)}
	daemons := c.start()
	c.run(began)
	for _, w := range c.ways {
		w.reader.close()
		w.owner.close()
	}
	for _, d := range daemons {
		c.wantEmpty(d)
		d.stop()
	}
	for _, w := range c.ways {
		w.link.close()
	}
	if err := goleak.Find(goroutines); err != nil {
		c.broken("%v", err)
	}
	run := c.rec.End(time.Since(began))
	if err := chaos.Table(t.Output(), run); err != nil {
		t.Error(err)
	}
	if *chaosRecord != "" {
		if err := run.Save(*chaosRecord); err != nil {
			t.Error(err)
		}
	}
	if *chaosScript != "" {
		return
	}
	if n := run.Faults(); n < *chaosFaults {
		t.Errorf("%d faults happened, of %d", n, *chaosFaults)
	}
	if run.Outcomes["right"] == 0 {
		t.Error("no block came")
	}
}

// start starts two daemons, and on every way an owner at one and a reader at the other, turn by turn.
func (c *chaosRun) start() []*running {
	byPort := map[uint16]*transporttest.Script{}
	byApp := map[string]*transporttest.Script{}
	for i := range *chaosWays {
		w := &way{chaosRun: c, n: i, script: transporttest.MustParse("")}
		var err error
		if w.link, err = newLink(); err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(w.link.close)
		byPort[w.link.port()], byApp[w.app()] = w.script, w.script
		c.ways = append(c.ways, w)
	}
	opts := testOptions(c.t)
	opts.MemoryMax, opts.FetchPiece = 1<<30, wayPiece
	opts.PeerTimeout, opts.PeerConnectTimeout = time.Second, time.Second
	s := seams{
		source:    func(src shuffle.Source) shuffle.Source { return faultySources{src, byApp} },
		transport: func(t shuffle.Transport) shuffle.Transport { return faultyTransports{t, byPort} },
	}
	var daemons []*running
	for range 2 {
		opts.SocketDir = testOptions(c.t).SocketDir
		daemons = append(daemons, startWith(c.t, opts, s))
	}
	for i, w := range c.ways {
		w.set(daemons[i%2], daemons[(i+1)%2])
	}
	return daemons
}

func (w *way) app() string { return "app-" + strconv.Itoa(w.n) }

// encrypted tells whether the way is under TLS: every second one of each daemon's is.
func (w *way) encrypted() bool { return w.n/2%2 == 1 }

// set makes what the way has, and has its executors join.
func (w *way) set(owner, reader *running) {
	w.link.set(func() { w.link.target = fmt.Sprintf("127.0.0.1:%d", owner.PeerPort) })
	dirs := w.t.TempDir()
	at := func(d *running, name string, joined func(*executor) error) *member {
		dir := filepath.Join(dirs, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			w.t.Fatal(err)
		}
		hello := func() *bridgepb.Hello {
			h := bridgetest.Hello(w.app(), name, dir)
			if w.encrypted() {
				h.Features = bridgetest.Encrypt
			}
			return h
		}
		return &member{daemon: d, hello: hello, joined: joined}
	}
	w.owner = at(owner, "owner", func(e *executor) error {
		e.Serve(w.serve)
		for _, o := range w.outputs {
			if err := e.Send(o.registration()); err != nil {
				return err
			}
		}
		return nil
	})
	w.reader = at(reader, "reader", func(*executor) error { return nil })
	for id := range uint64(2) {
		o, err := newOutput(filepath.Join(dirs, "owner"), 1, id, waySizes)
		if err != nil {
			w.t.Fatal(err)
		}
		w.outputs = append(w.outputs, o)
		for reduce, data := range o.blocks {
			w.blocks = append(w.blocks, content{output: o, reduce: uint32(reduce), data: data})
		}
	}
	for i, size := range []int{1000, 100_000, 30_000} {
		w.blocks = append(w.blocks, content{name: fmt.Sprintf("rdd_%d_%d", w.n, i), data: bytesOf(size, uint64(w.n*100+i))})
	}
	for _, m := range []*member{w.owner, w.reader} {
		if err := m.rejoin(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// run has the ways suffer their faults while others read over them, and returns when nothing is under way any more.
func (c *chaosRun) run(began time.Time) {
	var stop context.CancelFunc
	c.ctx, stop = context.WithCancel(context.Background())
	defer stop()
	scripted, err := chaos.Parse(*chaosScript)
	if err != nil {
		c.t.Fatal(err)
	}
	known, drawn := map[string]kind{}, []chaos.Kind{}
	for _, k := range kinds() {
		known[k.Name()] = k
		drawn = append(drawn, k.Kind)
	}
	share := (*chaosFaults + len(c.ways) - 1) / len(c.ways)
	var suffering, reading sync.WaitGroup
	for _, w := range c.ways {
		reading.Go(func() { w.read(rand.New(rand.NewPCG(*chaosSeed, uint64(1000+w.n)))) })
		suffering.Go(func() {
			if !w.heals("the beginning", began, began) {
				return
			}
			if *chaosScript != "" {
				for _, f := range scripted {
					if f.Way == w.n && !w.suffer(known, f) {
						return
					}
				}
				return
			}
			schedule := chaos.NewSchedule(*chaosSeed, w.n, drawn)
			for n := 0; n < share || time.Since(began) < *chaosFor; n++ {
				if !w.suffer(known, schedule.Next()) {
					return
				}
			}
		})
	}
	suffering.Wait()
	stop()
	reading.Wait()
	c.late.Wait()
}

// suffer has one fault happen; false where the way is of no more use.
func (w *way) suffer(known map[string]kind, f chaos.Fault) bool {
	w.mu.Lock()
	w.done = append(w.done, f.String())
	w.mu.Unlock()
	k, ok := known[f.Kind()]
	if !ok {
		w.fail("there is no fault %q", f.Kind())
		return false
	}
	began := time.Now()
	if err := k.do(w, f.Arg); err != nil {
		w.fail("%v", err)
		return false
	}
	return w.heals(f.Kind(), began, time.Now())
}

// heals waits until everything comes again, and records how long after the fault that was.
func (w *way) heals(kind string, began, lifted time.Time) bool {
	var r result
	err := w.until("all blocks come again", func() bool { return r.ok() && r.came > 0 }, func() { r = w.fetch(w.all(nil), nil) })
	if err != nil {
		w.fail("%v (%v since it was made whole again): %v", err, time.Since(lifted), r)
		return false
	}
	if len(w.done) > 0 {
		w.rec.Recovered(kind, time.Since(began))
	}
	return true
}

// fail says what is wrong on the way, and how to have it again.
func (w *way) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken("way %d, after %d faults: %s\n\tall: -chaos.seed=%d -chaos.ways=%d -chaos.faults=%d\n\tthe last of this way: -chaos.script='%s'",
		w.n, len(w.done), fmt.Sprintf(format, args...), *chaosSeed, *chaosWays, *chaosFaults, strings.Join(w.done[max(0, len(w.done)-10):], "; "))
}

func (c *chaosRun) broken(format string, args ...any) {
	c.rec.Fail(format, args...)
	c.t.Errorf(format, args...)
}

// wantEmpty waits until a daemon whose executors have left has nothing of theirs any more.
func (c *chaosRun) wantEmpty(d *running) {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		s := d.status(c.t)
		if len(s.Sessions) == 0 && len(s.Departed) == 0 && s.Memory.ReceiveBytes == 0 && s.Memory.UpcallBytes == 0 &&
			s.MapOutputs == 0 && s.OpenFiles == 0 {
			return
		}
		if time.Now().After(end) {
			c.broken("a daemon whose executors have left still has: %d sessions %+v, %d departed, %+v, %d map outputs, %d open files",
				len(s.Sessions), s.Sessions, len(s.Departed), s.Memory, s.MapOutputs, s.OpenFiles)
			return
		}
	}
}

// faultyTransports breaks the ways to peers, each by the script of its own.
type faultyTransports struct {
	shuffle.Transport
	byPort map[uint16]*transporttest.Script
}

func (f faultyTransports) Dial(ctx context.Context, peer shuffle.PeerAddr) (shuffle.Conn, error) {
	return transporttest.Faulty(f.Transport, f.byPort[peer.Port]).Dial(ctx, peer)
}

// faultySources breaks the serving of applications, each by the script of its own.
type faultySources struct {
	shuffle.Source
	byApp map[string]*transporttest.Script
}

func (f faultySources) Locate(ctx context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	return transporttest.FaultySource(f.Source, f.byApp[req.App.ID]).Locate(ctx, req)
}

func (f faultySources) Ask(ctx context.Context, req *shuffle.LocateRequest, done func([]shuffle.Found)) bool {
	return transporttest.FaultySource(f.Source, f.byApp[req.App.ID]).Ask(ctx, req, done)
}

func sortKinds(all []kind) {
	slices.SortFunc(all, func(a, b kind) int { return strings.Compare(a.Name(), b.Name()) })
}

// randOf is the same for the same argument.
func randOf(arg string) *rand.Rand {
	n, _ := strconv.ParseUint(arg, 10, 64)
	return rand.New(rand.NewPCG(n, 1))
}
