package rdma

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"weft/bench/raw"
	"weft/shuffle/rdma"
	"weft/verbs"
)

// maxDepth is how many READs a connection posts at most.
const maxDepth = 64

// maxSamples of latencies are kept in a row.
const maxSamples = 1 << 20

// peer is the owner's Serve.
type peer struct{ addr string }

// row asks the owner for a row, lets measure do it, and returns what it cost the owner.
func (p peer) row(ctx context.Context, a ask, measure func(answer) error) (cpu float64, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var got answer
	in := json.NewDecoder(conn)
	if err := errors.Join(json.NewEncoder(conn).Encode(a), in.Decode(&got)); err != nil {
		return 0, fmt.Errorf("the owner's side at %s: %w", p.addr, err)
	}
	if got.Error != "" {
		return 0, errors.New(got.Error)
	}
	if err := measure(got); err != nil {
		return 0, err
	}
	var c cost
	err = errors.Join(conn.(*net.TCPConn).CloseWrite(), in.Decode(&c)) //nolint:forcetypeassert // dialled as TCP
	if err == nil && c.Error != "" {
		err = errors.New(c.Error)
	}
	return c.CPUSeconds, err
}

// weft measures a row of shuffle/rdma for about d.
func (e *end) weft(ctx context.Context, p peer, block, depth int, d time.Duration) (Record, error) {
	rec := Record{Impl: Weft, BlockBytes: block, Depth: depth}
	var gb, own float64
	others, err := p.row(ctx, ask{Program: Weft, Block: block, Depth: depth}, func(a answer) (err error) {
		mem, err := e.arena(arenaLen(block, depth), verbs.LocalWrite)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, mem.close()) }()
		dialling, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		c, err := e.device.Dial(dialling, mem.pd, a.Addr, a.Token)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		r := reading{conn: c, mr: mem.mr, at: a.At, block: block, places: len(mem.mem) / block, begun: make([]time.Time, depth), ended: make(chan struct{})}
		before := raw.CPU()
		if err := r.run(ctx, d); err != nil {
			return err
		}
		own = (raw.CPU() - before).Seconds()
		if err := check(mem.mem); err != nil {
			return err
		}
		gb = float64(r.n) * float64(block) / 1e9
		slices.Sort(r.took)
		rec.GBPerS = gb / r.last.Sub(r.start).Seconds()
		rec.P50us, rec.P99us = micros(r.took[len(r.took)/2]), micros(r.took[len(r.took)*99/100])
		return nil
	})
	rec.CPUSecPerGB = (own + others) / gb
	return rec, err
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// reading keeps READs in flight: each that ended begins the next in its place, from its Done, as a loop over libibverbs would.
type reading struct {
	conn          *rdma.Conn
	mr            *verbs.MR
	at            verbs.Remote
	block, places int

	mu           sync.Mutex
	begun        []time.Time // by READ in flight
	took         []time.Duration
	n, flying    int
	start, until time.Time
	last         time.Time
	err          error
	ended        chan struct{}
}

func (r *reading) run(ctx context.Context, d time.Duration) error {
	r.took = make([]time.Duration, 0, 1<<16)
	reads := make([]rdma.Read, len(r.begun))
	for i := range reads {
		off := i % r.places * r.block
		reads[i] = rdma.Read{Local: r.mr.SGE(off, r.block), Remote: verbs.Remote{Addr: r.at.Addr + uint64(off), RKey: r.at.RKey}}
		reads[i].Done = func(err error) {
			if r.done(i, err) {
				r.conn.Read(reads[i])
			}
		}
	}
	r.start = time.Now()
	r.until = r.start.Add(d)
	r.flying = len(reads)
	for i := range r.begun {
		r.begun[i] = r.start
	}
	r.conn.Read(reads...)
	select {
	case <-r.ended:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// done notes the end of a READ, and says whether it is to be done again.
func (r *reading) done(i int, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if err == nil {
		r.n++
		r.last = now
		if len(r.took) < maxSamples {
			r.took = append(r.took, now.Sub(r.begun[i]))
		}
	} else if r.err == nil {
		r.err = err
	}
	if r.err == nil && now.Before(r.until) {
		r.begun[i] = now
		return true
	}
	if r.flying--; r.flying == 0 {
		close(r.ended)
	}
	return false
}
