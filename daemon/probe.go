package daemon

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"weft/jvmbridge"
	"weft/shuffle"
)

// maxProbes is how many may hold the probe block open, and how many may have an invitation to read it by RDMA. Others wait for them to
// hang up, or read over TCP.
const maxProbes = 16

// probe adds the probe block to what peers can be served with.
//
// Whoever reaches the port may read it, with a token that all know: so it is a pattern, in memory and an RDMA domain of its own, where nothing else can be read.
// It takes 1 MiB from the first time that somebody asks until the daemon ends. Over TCP it may be read as often as connections carry it. Since a
// queue pair costs the device something, and so far only an application's token got anybody one, few readers of the probe get one at a time.
type probe struct {
	shuffle.Source
	join func(shuffle.App) (jvmbridge.Membership, error) // nil: no device
	open atomic.Int32

	once  sync.Once
	mem   []byte
	err   error
	close []func() error // what was made
}

// startProbe puts the probe block before what source serves.
func (d *daemon) startProbe(source shuffle.Source) shuffle.Source {
	p := &probe{Source: source, join: d.join()}
	d.opened("probe block", func(context.Context) error { return p.end() })
	return p
}

// App implements shuffle.Source.
func (p *probe) App(id string) (shuffle.App, error) {
	if id == shuffle.ProbeApp.ID {
		return shuffle.ProbeApp, nil
	}
	return p.Source.App(id)
}

// Locate implements shuffle.Source.
func (p *probe) Locate(ctx context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	if req.App != shuffle.ProbeApp {
		return p.Source.Locate(ctx, req)
	}
	if len(req.Blocks) != 1 || req.Blocks[0].Name != shuffle.ProbeBlock {
		return nil, shuffle.Errorf(shuffle.ReasonPeerRefused, "application %s has the block %s alone", req.App.ID, shuffle.ProbeBlock)
	}
	if p.open.Add(1) > maxProbes {
		p.open.Add(-1)
		return nil, shuffle.Errorf(shuffle.ReasonPeerRefused, "%d others try this daemon by its probe block; try again", maxProbes)
	}
	giveBack := func() { p.open.Add(-1) }
	p.once.Do(func() { p.err = p.build() })
	if p.err != nil {
		giveBack()
		return nil, shuffle.Errorf(shuffle.ReasonInternal, "no probe block: %v", p.err)
	}
	return []shuffle.Found{{Length: shuffle.ProbeLen, Mem: p.mem, Close: giveBack}}, nil
}

// Ask implements shuffle.Source: the probe block is for Locate.
func (p *probe) Ask(ctx context.Context, req *shuffle.LocateRequest, done func([]shuffle.Found)) bool {
	return req.App != shuffle.ProbeApp && p.Source.Ask(ctx, req, done)
}

// build makes the block. Its memory is not that of the Go heap: a device may know it for as long as it likes.
func (p *probe) build() (err error) {
	if p.mem, err = unix.Mmap(-1, 0, shuffle.ProbeLen, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS); err != nil {
		return err
	}
	p.close = append(p.close, func() error { return unix.Munmap(p.mem) })
	shuffle.FillProbe(p.mem)
	if p.join == nil {
		return nil
	}
	member, err := p.join(shuffle.ProbeApp)
	if err != nil {
		return nil // over TCP, then
	}
	p.close = append(p.close, func() error { member.Leave(); return nil })
	registered, err := member.Upcall.Register(p.mem)
	if err == nil {
		p.close = append(p.close, registered.Close)
	}
	return err
}

// end gives back what was made, the last first. Nobody reads any more.
func (p *probe) end() error {
	for i := len(p.close) - 1; i >= 0; i-- {
		if err := p.close[i](); err != nil {
			return err // what the device still knows stays
		}
	}
	return nil
}

// sparing is the device as peers see it: with few invitations to the probe block at a time. An invitation ends with the connection that it went over.
type sparing struct {
	shuffle.Direct
	invited atomic.Int32
}

// Invite implements shuffle.Direct.
func (s *sparing) Invite(app shuffle.App) ([]byte, func(), error) {
	if app != shuffle.ProbeApp {
		return s.Direct.Invite(app)
	}
	if s.invited.Add(1) > maxProbes {
		s.invited.Add(-1)
		return nil, nil, errors.New("enough others have an invitation to the probe block")
	}
	invitation, withdraw, err := s.Direct.Invite(app)
	if err != nil {
		s.invited.Add(-1)
		return nil, nil, err
	}
	return invitation, func() {
		withdraw()
		s.invited.Add(-1)
	}, nil
}
