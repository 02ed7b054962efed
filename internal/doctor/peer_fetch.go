package doctor

import (
	"bytes"
	"context"
	"errors"
	"time"

	"weft/shuffle"
)

// fetched is how the probe block came.
type fetched struct {
	by   string // "": over TCP
	took time.Duration
	err  error
}

var errOther = errors.New("other bytes came than were sent")

// fetch reads the probe block into dst. With an error the connection may write there until it is closed.
func fetch(ctx context.Context, c shuffle.Conn, dst []byte) fetched {
	l, err := locate(ctx, c)
	if err != nil {
		return fetched{err: err}
	}
	var by string
	ended := make(chan error, 1)
	began := time.Now()
	c.Read([]shuffle.ReadRequest{{
		Ranges: []shuffle.Range{{Handle: l.Handle, Length: l.Length}}, Release: []uint64{l.Handle}, Dst: dst,
		By: func(transport string) { by = transport }, Done: func(err error) { ended <- err },
	}})
	select {
	case err = <-ended:
	case <-ctx.Done():
		return fetched{err: context.Cause(ctx)}
	}
	f := fetched{by: by, took: time.Since(began), err: err}
	want := make([]byte, shuffle.ProbeLen)
	shuffle.FillProbe(want)
	if f.err == nil && !bytes.Equal(dst, want) {
		f.err = errOther
	}
	return f
}

// locate asks for the probe block.
func locate(ctx context.Context, c shuffle.Conn) (l shuffle.Located, err error) {
	type answer struct {
		all []shuffle.Located
		err error
	}
	answered := make(chan answer, 1)
	req := &shuffle.LocateRequest{App: shuffle.ProbeApp, Blocks: []shuffle.BlockID{{Name: shuffle.ProbeBlock}}}
	c.Locate(req, nil, func(all []shuffle.Located, err error) { answered <- answer{all, err} })
	select {
	case a := <-answered:
		if a.err != nil {
			return l, a.err
		}
		l = a.all[0]
	case <-ctx.Done():
		return l, context.Cause(ctx)
	}
	switch {
	case l.Err != nil:
		return l, l.Err
	case l.Handle == 0 || l.Length != shuffle.ProbeLen:
		return l, errOther
	}
	return l, nil
}
