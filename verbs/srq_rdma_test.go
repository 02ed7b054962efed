//go:build rdma

package verbs_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/verbs"
	"weft/verbs/verbstest"
)

// inbox is an end whose SRQ receives messages of 4 KiB.
type inbox struct {
	*verbstest.End
	mem      []byte
	mr       *verbs.MR
	receives *verbs.RecvBatch
}

func newInbox(t *testing.T, end *verbstest.End) *inbox {
	t.Helper()
	b := &inbox{End: end, receives: verbs.NewRecvBatch(1)}
	t.Cleanup(func() { verbstest.Close(t, b.receives) })
	b.mem, b.mr = end.Register(t, 4096, verbs.LocalWrite)
	return b
}

// refill lets one message come.
func (b *inbox) refill(t *testing.T) {
	t.Helper()
	clear(b.mem)
	b.receives.Add(9, b.mr.SGE(0, 4096))
	if _, err := b.SRQ.PostRecv(b.receives); err != nil {
		t.Fatal(err)
	}
}

// sender is an end with a message.
type sender struct {
	*verbstest.End
	text  []byte
	mr    *verbs.MR
	batch *verbs.SendBatch
}

func newSender(t *testing.T, end *verbstest.End) *sender {
	t.Helper()
	s := &sender{End: end, batch: verbs.NewSendBatch(2, 1)}
	t.Cleanup(func() { verbstest.Close(t, s.batch) })
	s.text, s.mr = end.Register(t, 4096, 0)
	fill(s.text, 5)
	return s
}

// send posts the message so many times, as requests 1, 2 and so on.
func (s *sender) send(t *testing.T, count int) {
	t.Helper()
	for i := range count {
		s.batch.Send(uint64(i+1), verbs.Signaled, s.mr.SGE(0, 4096))
	}
	if n, err := s.QP.PostSend(s.batch); n != count || err != nil {
		t.Fatal(n, err)
	}
}

// arrives fails the test unless the message that was sent arrives.
func (s *sender) arrives(t *testing.T, at *inbox) {
	t.Helper()
	if wc := at.Completion(t); wc.Err() != nil || wc.ID() != 9 || wc.QPN() != at.QP.Num() || !bytes.Equal(at.mem, s.text) {
		t.Errorf("received request %d with %v; the bytes are right: %v", wc.ID(), wc.Err(), bytes.Equal(at.mem, s.text))
	}
	if wc := s.Completion(t); wc.Err() != nil || wc.ID() != 1 {
		t.Errorf("sent: %v", wc.Err())
	}
}

// A SEND to an SRQ in which there is no receive request is tried as often as was agreed and then ends the connection, with an error of
// its own; one that is refilled in time gets it. Both happen while another connection, with its own SRQ, goes on. What is left in the device is
// checked at the end of all tests.
func TestStarvedSRQ(t *testing.T) {
	device := verbstest.Device(t)
	pair := func(t *testing.T, rnrRetries int) (*sender, *inbox) {
		client, server := verbstest.Pair(t, device, verbstest.Config{SRQ: true, RNRRetries: rnrRetries})
		return newSender(t, client), newInbox(t, server)
	}
	undisturbed := func(t *testing.T, s *sender, b *inbox) {
		t.Helper()
		b.refill(t)
		s.send(t, 1)
		s.arrives(t, b)
	}

	t.Run("for ever", func(t *testing.T) {
		leakcheck.Check(t)
		from, to := pair(t, 1)
		other, others := pair(t, 0)
		from.send(t, 2)
		begin := time.Now()
		undisturbed(t, other, others)
		first, second := from.Completion(t), from.Completion(t)
		// The peer says how long to wait between tries; the connection manager's 0 means 0.66 s. There is one more try.
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		var wrong *verbs.WCError
		if first.ID() != 1 || !errors.Is(first.Err(), verbs.WCRNRRetryExcErr) || !errors.As(first.Err(), &wrong) || wrong.QPN != from.QP.Num() {
			t.Errorf("first: %v", first.Err())
		}
		if second.ID() != 2 || !errors.Is(second.Err(), verbs.WCWRFlushErr) {
			t.Errorf("second: %v", second.Err())
		}
		if state, err := from.QP.State(); state != verbs.QPErr || err != nil {
			t.Errorf("state %d, %v", state, err)
		}
		to.refill(t)
		var wcs [1]verbs.WC
		if n, err := to.CQ.Poll(wcs[:]); n != 0 || err != nil || !bytes.Equal(to.mem, make([]byte, 4096)) {
			t.Errorf("%d messages arrived after the end: %v", n, err)
		}
		undisturbed(t, other, others)
	})

	t.Run("refilled", func(t *testing.T) {
		leakcheck.Check(t)
		from, to := pair(t, 6)
		other, others := pair(t, 0)
		from.send(t, 1)
		time.Sleep(50 * time.Millisecond) // the fault itself: the first try fails
		undisturbed(t, other, others)
		var wcs [1]verbs.WC
		if n, err := from.CQ.Poll(wcs[:]); n != 0 || err != nil {
			t.Fatalf("the SEND has ended with nobody to receive it: %v, %v", wcs[0].Err(), err)
		}
		to.refill(t)
		from.arrives(t, to)
		undisturbed(t, from, to)
	})
}
