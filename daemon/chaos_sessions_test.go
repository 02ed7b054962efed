package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/bridgetest"
)

// violations are what an executor may do that ends its session, and nothing else.
var violations = map[string]func(e *executor, r *rand.Rand) error{
	"close": func(e *executor, _ *rand.Rand) error { e.HangUp(); return nil },
	"torn": func(e *executor, _ *rand.Rand) error {
		err := e.SendBytes([]byte{0, 0, 0, 9, 1})
		e.HangUp()
		return err
	},
	"oversized": func(e *executor, _ *rand.Rand) error { return e.SendBytes([]byte{0x7f, 0xff, 0xff, 0xff}) },
	"garbage": func(e *executor, r *rand.Rand) error {
		n := 16 + r.IntN(2000)
		return e.SendBytes(append(binary.BigEndian.AppendUint32(nil, uint32(n)), bytesOf(n, r.Uint64())...))
	},
	"empty": func(e *executor, _ *rand.Rand) error { return e.Send(&bridgepb.ToDaemon{}) },
	"outside": func(e *executor, _ *rand.Rand) error {
		return e.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
			DataPath: "/etc/passwd", IndexPath: "/etc/passwd", NumPartitions: 1,
		}}})
	},
	"answer": func(e *executor, r *rand.Rand) error {
		return e.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
			UpcallId: 1<<40 + r.Uint64N(1<<20), Result: &bridgepb.BlockOpened_Length{Length: 1 << 50},
		}}})
	},
	"lease": func(e *executor, r *rand.Rand) error {
		return e.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Release{Release: &bridgepb.Release{
			Lease: []uint64{1<<40 + r.Uint64N(1<<20)}, Count: []uint32{1},
		}}})
	},
	"descriptors": func(e *executor, _ *rand.Rand) error { return e.SendOnDescriptors([]byte{1}) },
}

// sessionKinds are what executors, and others who reach the daemons' sockets, do wrong.
func sessionKinds() (all []kind) {
	for action := range violations {
		all = append(all,
			of("reader", action, 2, number(1<<30), func(w *way, arg string) error { return w.violate(w.reader, action, arg) }),
			of("owner", action, 2, number(1<<30), func(w *way, arg string) error { return w.violate(w.owner, action, arg) }))
	}
	// By name, as a map has no order that would be the same again.
	sortKinds(all)
	return append(all,
		of("reader", "twice", 3, nil, (*way).releaseTwice),
		of("reader", "late", 3, nil, (*way).releaseLate),
		of("reader", "pause", 3, while, func(w *way, arg string) error { return w.pause(w.reader, w.all(nil), arg) }),
		of("owner", "pause", 3, while, func(w *way, arg string) error { return w.pause(w.owner, w.named(), arg) }),
		of("owner", "silent", 1, nil, (*way).neverAnswer),
		of("stranger", "bridge", 3, number(1<<30), func(w *way, arg string) error {
			return w.stranger("unix", w.reader.daemon.BridgeSocket, arg)
		}),
		of("stranger", "peer", 3, number(1<<30), func(w *way, arg string) error {
			return w.stranger("tcp", fmt.Sprintf("127.0.0.1:%d", w.owner.daemon.PeerPort), arg)
		}),
		of("stranger", "token", 3, nil, (*way).wrongToken),
	)
}

func (w *way) named() []int { return w.all(func(b content) bool { return b.output == nil }) }

// violate has an executor break a rule while it reads or is read from. Its session ends, and it comes back.
func (w *way) violate(m *member, action, arg string) (err error) {
	w.meanwhile(func() {
		m.use(func(e *executor) {
			if err = violations[action](e, randOf(arg)); err != nil {
				return
			}
			err = w.ended(e)
		})
	})
	return errors.Join(err, m.rejoin())
}

func (w *way) ended(e *executor) error {
	select {
	case <-e.Done():
		return nil
	case <-time.After(patience):
		return errors.New("the daemon does not end the session")
	}
}

// releaseTwice gives a lease back that was given back.
func (w *way) releaseTwice(string) (err error) {
	w.reader.use(func(e *executor) {
		var blocks []bridgetest.Block
		if blocks, err = w.hold(e); err == nil {
			err = errors.Join(e.Release(blocks...), e.Release(blocks...), w.ended(e))
		}
	})
	return errors.Join(err, w.reader.rejoin())
}

// releaseLate gives leases back when the connection by which the bytes came is gone. They are what they were.
func (w *way) releaseLate(string) (err error) {
	w.reader.use(func(e *executor) {
		var blocks []bridgetest.Block
		if blocks, err = w.hold(e); err != nil {
			return
		}
		if err = w.cut(w.link.cut); err != nil {
			return
		}
		w.judge(w.all(nil), blocks)
		err = e.Release(blocks...)
	})
	return err
}

// hold fetches everything, and keeps it.
func (w *way) hold(e *executor) (blocks []bridgetest.Block, err error) {
	var r result
	err = w.until("leases are out", func() bool { return len(blocks) > 0 }, func() {
		if blocks, r = w.get(e, w.all(nil), nil); !r.ok() && len(blocks) > 0 {
			_ = e.Release(blocks...)
			blocks = nil
		}
	})
	return blocks, err
}

// pause has an executor read no frame for some time, in which a fetch that needs it does not end.
func (w *way) pause(m *member, want []int, arg string) error {
	lasts, err := time.ParseDuration(arg)
	if err != nil {
		return err
	}
	waited := false
	return w.until("a fetch waits for the paused executor", func() bool { return waited || err != nil }, func() {
		m.use(func(e *executor) {
			e.Pause()
			defer e.Resume()
			ended := make(chan result, 1)
			w.late.Go(func() { ended <- w.fetch(want, nil) })
			select {
			case r := <-ended:
				if r.ok() {
					w.fail("a fetch went past the paused executor: %v", r)
				}
			case <-time.After(lasts):
				waited = true
			}
		})
	})
}

// neverAnswer has the owner say nothing when it is asked for blocks.
func (w *way) neverAnswer(string) error {
	w.silent.Store(true)
	met := false
	err := w.until("a fetch times out", func() bool { return met }, func() {
		for _, reason := range w.fetch(w.named(), nil).reasons {
			met = met || reason == blockpb.Reason_REASON_TIMEOUT
		}
	})
	w.silent.Store(false)
	return errors.Join(err, w.owner.rejoin()) // else its questions stay open
}

// stranger connects and sends what is no frame. It is hung up on.
func (w *way) stranger(network, address, arg string) error {
	conn, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	garbage := bytesOf(100, uint64(randOf(arg).Uint32()))
	garbage[0] = 0xff // a length that no frame has
	if _, err := conn.Write(garbage); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("a stranger is not hung up on")
	}
	return nil
}

// wrongToken wants a session with the way's application without its secret.
func (w *way) wrongToken(string) error {
	hello := w.reader.hello()
	hello.AppToken = []byte(strings.Repeat("x", 32))
	client, err := bridgetest.Dial(w.reader.daemon.BridgeSocket, hello)
	var refused *bridgetest.RefusedError
	if err == nil {
		client.Close()
	}
	if !errors.As(err, &refused) {
		return fmt.Errorf("a session with a wrong token: %w", err)
	}
	return nil
}
