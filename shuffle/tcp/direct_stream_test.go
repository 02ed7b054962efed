package tcp_test

import (
	"context"
	"testing"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/transporttest"
)

// streams notes the streams of direct reads.
type streams struct {
	shuffle.Direct
	seen chan uint64
}

type streamsConn struct {
	shuffle.DirectConn
	seen chan uint64
}

func (s *streams) Dial(ctx context.Context, app shuffle.App, invitation []byte) (shuffle.DirectConn, error) {
	c, err := s.Direct.Dial(ctx, app, invitation)
	return &streamsConn{c, s.seen}, err
}

func (c *streamsConn) Read(reqs []shuffle.DirectRead) {
	for i := range reqs {
		c.seen <- reqs[i].Stream
	}
	c.DirectConn.Read(reqs)
}

// A direct read is of its request's stream: those that waited for the connection, and later ones.
func TestDirectReadsKeepTheirStream(t *testing.T) {
	direct, data := &streams{transporttest.NewDirect(), make(chan uint64, 1)}, transporttest.Bytes(1, 5000)
	peer, _ := exposing(t, direct, data)
	opts := options(readerID)
	opts.Streams, opts.Direct, opts.Metrics = 1, direct, metrics.NewSet()
	r := &directRig{t: t, conn: dialWith(t, opts, peer)}
	block := r.locate(anApp, transporttest.ID(0))[0]
	for stream := range uint64(3) {
		ended := make(chan error, 1)
		r.conn.Read([]shuffle.ReadRequest{{
			Ranges: []shuffle.Range{{Handle: block.Handle, Length: block.Length}}, Dst: make([]byte, block.Length), Stream: 7 + stream,
			By: func(string) {}, Done: func(err error) { ended <- err },
		}})
		if got := <-direct.seen; got != 7+stream {
			t.Errorf("stream %d, want %d", got, 7+stream)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	_ = r.conn.Close()
}
