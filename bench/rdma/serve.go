package rdma

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"weft/bench/raw"
	"weft/shuffle/rdma"
	"weft/verbs"
)

// ask begins a row: the reader sends it over a TCP connection, takes the answer, measures, ends its direction, and takes what the row cost.
type ask struct {
	Program    string `json:"program"` // weft, or one of perftest
	Block      int    `json:"block"`
	Depth      int    `json:"depth"`
	Iterations int    `json:"iterations,omitempty"`
}

type answer struct {
	Error string         `json:"error,omitempty"`
	Addr  netip.AddrPort `json:"addr,omitzero"` // of weft's listener, or where perftest listens
	Token rdma.Token     `json:"token,omitzero"`
	At    verbs.Remote   `json:"at,omitzero"`
}

type cost struct {
	CPUSeconds float64 `json:"cpu_s"`
	Error      string  `json:"error,omitempty"`
}

// maxBlock bounds what a reader may make the owner hold.
const maxBlock = 1 << 30

// Serve is the owner's side of all rows, until ctx ends; it calls ready when it can be reached. An address without a host is the device's.
// Whoever reaches it may read the benchmark's memory and start perftest: it asks for no secret.
func Serve(ctx context.Context, addr, device string, ready func(net.Addr)) error {
	e, err := open(device)
	if err != nil {
		return err
	}
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		addr = net.JoinHostPort(e.addr.String(), port)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return errors.Join(err, e.close())
	}
	ready(l.Addr())
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var rows sync.WaitGroup
	for {
		conn, err := l.Accept()
		if err != nil {
			rows.Wait()
			if ctx.Err() != nil {
				err = nil
			}
			return errors.Join(err, e.close())
		}
		rows.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			defer func() { _ = conn.Close() }()
			e.serve(ctx, conn)
		})
	}
}

func (e *end) serve(ctx context.Context, conn net.Conn) {
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	var a ask
	if in.Decode(&a) != nil {
		return
	}
	var err error
	switch {
	case a.Block < 8 || a.Block%8 != 0 || a.Block > maxBlock || a.Depth < 1 || a.Depth > maxDepth:
		err = fmt.Errorf("blocks of %d bytes, %d in flight: want a multiple of 8 up to %d, and 1 to %d", a.Block, a.Depth, maxBlock, maxDepth)
	case a.Program == Weft:
		err = e.own(a, in, out)
	case a.Program == latency || a.Program == bandwidth:
		err = e.ownPerftest(ctx, a, in, out)
	default:
		err = fmt.Errorf("unknown program %q", a.Program)
	}
	if err != nil {
		_ = out.Encode(answer{Error: err.Error()}) // as an answer or as the cost
	}
}

// own lets the reader read memory of this end.
func (e *end) own(a ask, in *json.Decoder, out *json.Encoder) (err error) {
	mem, err := e.arena(arenaLen(a.Block, a.Depth), verbs.RemoteRead)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.close()) }()
	fill(mem.mem)
	l, err := e.device.Listen(netip.AddrPortFrom(e.addr, 0))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	token, err := l.Offer(mem.pd)
	if err != nil {
		return err
	}
	before := raw.CPU()
	if err := out.Encode(answer{Addr: l.Addr(), Token: token, At: mem.mr.Remote(0)}); err != nil {
		return err
	}
	over(in)
	return out.Encode(cost{CPUSeconds: (raw.CPU() - before).Seconds()})
}

// over returns when the reader has ended its direction, or has gone.
func over(in *json.Decoder) {
	var nothing struct{}
	_ = in.Decode(&nothing)
}
