package tcp_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"weft/shuffle"
	"weft/shuffle/transporttest"
)

// ready is a source of which all lies ready: whoever asks has the answer.
type ready struct {
	*transporttest.Source
	room atomic.Int64 // of the last request
}

func (r *ready) Ask(ctx context.Context, req *shuffle.LocateRequest, done func([]shuffle.Found)) bool {
	r.room.Store(int64(req.EagerBytes))
	found, err := r.Source.Locate(ctx, req)
	if err != nil {
		return false
	}
	done(found)
	return true
}

func (r *ready) Locate(context.Context, *shuffle.LocateRequest) ([]shuffle.Found, error) {
	return nil, shuffle.Errorf(shuffle.ReasonInternal, "it was not asked")
}

// Several blocks that lie ready are answered by who reads the request: small ones within the room for them, one that failed, one that is held open.
func TestBlocksThatLieReady(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		src := &ready{Source: transporttest.NewSource(t)}
		ids, data := src.Add(100, 5000, 200)
		src.AddError(transporttest.ID(9), shuffle.Errorf(shuffle.ReasonNotFound, "gone"))
		_, peer := listen(t, src, "tcp", "127.0.0.1")
		c := dialBy(t, w.transport(options(readerID)), peer)
		for range 10 {
			eager, ended := make([]byte, 1000), make(chan []shuffle.Located, 1)
			req := &shuffle.LocateRequest{Blocks: append(ids[:3:3], transporttest.ID(9)), EagerBlock: 400}
			c.Locate(req, eager, func(l []shuffle.Located, err error) {
				if err != nil {
					t.Error(err)
				}
				ended <- l
			})
			select {
			case l := <-ended:
				if len(l) != 4 || l[0].Err != nil || l[1].Handle == 0 || l[2].EagerOff != 100 || l[3].Err == nil || l[3].Err.Reason != shuffle.ReasonNotFound {
					t.Fatalf("%+v", l)
				}
				if !bytes.Equal(eager[:300], append(bytes.Clone(data[0]), data[2]...)) {
					t.Fatal("other bytes")
				}
				c.Release([]uint64{l[1].Handle})
			case <-time.After(20 * time.Second):
				t.Fatal("no answer")
			}
			if n := src.room.Load(); n != 1000 {
				t.Fatalf("the source was told of room for %d bytes", n)
			}
		}
		deadline := time.Now().Add(20 * time.Second)
		for src.Open() != 0 {
			if time.Now().After(deadline) {
				t.Fatalf("%d blocks are held open", src.Open())
			}
			time.Sleep(time.Millisecond)
		}
	})
}
