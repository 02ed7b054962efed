//go:build rdma

package rdma

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"

	"weft/internal/leakcheck"
	"weft/verbs"
	"weft/verbs/verbstest"
)

const limit = verbstest.Patience

// ends are a reader and an owner on one device, in one process.
type ends struct {
	device   *Device
	listener *Listener
	owner    *verbs.PD
	reader   *verbs.PD
	source   []byte
	there    *verbs.MR
	target   []byte
	here     *verbs.MR
}

func newEnds(t testing.TB, size int, opts Options) *ends {
	t.Helper()
	leakcheck.Check(t)
	ctx := verbstest.Device(t)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	device, err := NewDevice(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, device) })
	e := &ends{device: device}
	e.owner, e.source, e.there = memory(t, ctx, size, verbs.RemoteRead)
	e.reader, e.target, e.here = memory(t, ctx, size, verbs.LocalWrite)
	rng := rand.NewPCG(1, uint64(size))
	for i := range e.source {
		e.source[i] = byte(rng.Uint64())
	}
	_, addr := verbstest.Addrs(t, ctx)
	if e.listener, err = device.Listen(netip.AddrPortFrom(addr, 0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, e.listener) })
	return e
}

func memory(t testing.TB, ctx *verbs.Context, size int, access verbs.Access) (*verbs.PD, []byte, *verbs.MR) {
	t.Helper()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, pd) })
	mem := verbstest.Memory(t, size)
	mr, err := pd.RegMR(mem, access)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, mr) })
	return pd, mem, mr
}

// offer is a token for the owner's memory.
func (e *ends) offer(t testing.TB) Token {
	t.Helper()
	token, err := e.listener.Offer(e.owner)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// dial connects the reader with the owner.
func (e *ends) dial(t testing.TB) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), e.offer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// read is a READ of bytes [off, off+n) to the same place.
func (e *ends) read(off, n int, done func(error)) Read {
	return Read{Local: e.here.SGE(off, n), Remote: e.there.Remote(off), Done: done}
}

// within fails the test where ch is not closed in time.
func within(t testing.TB, ch <-chan struct{}, what string) {
	t.Helper()
	verbstest.Await(t, ch, what)
}

// result waits for the outcome of a READ.
func result(t testing.TB, ch <-chan error) error {
	t.Helper()
	return verbstest.Await(t, ch, "a READ")
}

// flood begins seconds of READs of 1 MiB. When some have come, act runs, at the same time; flood waits for it and returns the outcomes. Soft-RoCE on one
// processor may do all of a READ within the call that posts it, so that whoever posts finds nothing under way.
func (e *ends) flood(t *testing.T, c *Conn, act func()) []error {
	t.Helper()
	const count, some = 4096, 20
	ended, acted := make(chan error, count), make(chan struct{})
	var came atomic.Int32
	for i := range count {
		c.Read(e.read(i*(1<<20)%len(e.source), 1<<20, func(err error) {
			ended <- err
			if came.Add(1) == some {
				go func() {
					defer close(acted)
					act()
				}()
			}
		}))
	}
	within(t, acted, "what is done meanwhile")
	var all []error
	for range count {
		all = append(all, result(t, ended))
	}
	return all
}

// number is how many of the errors are this one; nil: any.
func number(all []error, want error) (n int) {
	for _, err := range all {
		if err != nil && (want == nil || errors.Is(err, want)) {
			n++
		}
	}
	return n
}
