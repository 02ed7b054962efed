package tcp

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/quota"
	"weft/shuffle/serve"
	"weft/shuffle/transporttest"
)

// Whoever answers and may not wait sends what is there once. A range of a file, for which a disk may have to be waited for, he leaves to the goroutine.
func TestOutboxInAHurry(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	sock, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	w := &wire{sock: sock.(*net.TCPConn)}
	if err := w.tune(time.Minute); err != nil {
		t.Fatal(err)
	}
	o := &outbox{wire: w, fail: func(err error) { t.Error(err) }, wake: make(chan struct{}, 1), busy: true} // its goroutine is this test
	o.step, o.room.L = o.trySend, &o.mu

	src := transporttest.NewSource(t)
	ids, data := src.Add(5000)
	table := serve.NewTable(metrics.NewSet(), Name, 0)
	defer table.Close()
	answer, _ := table.Answer(quota.Share{}, serve.Find(t.Context(), src, &shuffle.LocateRequest{Blocks: ids}), 0, nil, nil, nil)
	block, err := table.Acquire(shuffle.Range{Handle: answer[0].Handle, Length: 5000})
	if err != nil {
		t.Fatal(err)
	}
	part := piece{table: table, block: block, n: 5000}
	if part.lies(func() bool { return false }); part.file == nil {
		t.Fatal("the block is in no file")
	}
	head := func(text string) *frame {
		b := getBuffer(len(text))
		b.b = append(b.b[:0], text...)
		return &frame{head: b}
	}
	ranges := head("ranges")
	ranges.pieces = []piece{part}
	o.queue = []*frame{head("mine"), head("another"), ranges, head("the last")}

	o.drain(false)
	select {
	case <-o.wake:
	default:
		t.Fatal("the goroutine was not told of the rest")
	}
	if len(o.queue) != 2 || o.queue[0] != ranges || !o.busy {
		t.Fatalf("%d frames are left, busy: %v", len(o.queue), o.busy)
	}
	if o.stuck(time.Now().Add(time.Hour)) {
		t.Error("what was sent counts as being sent")
	}
	o.drain(true)
	if len(o.queue) != 0 || o.busy {
		t.Fatalf("%d frames are left, busy: %v", len(o.queue), o.busy)
	}
	want := append(append([]byte("mineanotherranges"), data[0]...), "the last"...)
	got := make([]byte, len(want))
	_ = peer.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, or other bytes", err)
	}
}
