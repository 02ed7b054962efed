package tcp_test

import (
	"errors"
	"testing"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/transporttest"
)

// An answer whose parts make no sense ends the connection; nothing is read or dialled because of it.
func TestConnRefusesWrongParts(t *testing.T) {
	h := hello(3, ownerID)
	h.Features = 1
	greeting := frame(t, &peerpb.Response{Kind: &peerpb.Response_Hello{Hello: h}}, 0)
	good := func() *peerpb.Located { // of two blocks
		return &peerpb.Located{
			Id: 2, Length: []uint64{100, 50}, Handle: []uint64{1, 2}, PartCount: []uint32{2, 1},
			PartAddr: []uint64{1 << 20, 1 << 30, 1 << 40}, PartKey: []uint32{1, 1, 2}, PartLength: []uint64{60, 40, 50},
		}
	}
	locate := func(t *testing.T, l *peerpb.Located) (*transporttest.Direct, error) {
		t.Helper()
		direct := transporttest.NewDirect()
		opts := options(readerID)
		opts.Streams, opts.Direct, opts.Metrics = 1, direct, metrics.NewSet()
		c := dialWith(t, opts, impostor(t, greeting, frame(t, &peerpb.Response{Kind: &peerpb.Response_Located{Located: l}}, 0)))
		ended := make(chan error, 1)
		c.Locate(&shuffle.LocateRequest{App: anApp, Blocks: []shuffle.BlockID{transporttest.ID(0), transporttest.ID(1)}}, nil,
			func(_ []shuffle.Located, err error) { ended <- err })
		err := <-ended
		if err != nil {
			<-c.Closed()
		}
		return direct, err
	}
	for name, change := range map[string]func(*peerpb.Located){
		"far too small parts": func(l *peerpb.Located) {
			l.PartCount, l.PartAddr, l.PartKey = []uint32{3, 0}, []uint64{1, 2, 3}, []uint32{1, 1, 1}
			l.PartLength = []uint64{50, 49, 1}
		},
		"fewer counts than blocks":  func(l *peerpb.Located) { l.PartCount = l.PartCount[:1] },
		"more counts than blocks":   func(l *peerpb.Located) { l.PartCount = append(l.PartCount, 0) },
		"parts without counts":      func(l *peerpb.Located) { l.PartCount = nil },
		"fewer addresses":           func(l *peerpb.Located) { l.PartAddr = l.PartAddr[:2] },
		"fewer keys":                func(l *peerpb.Located) { l.PartKey = nil },
		"more lengths":              func(l *peerpb.Located) { l.PartLength = append(l.PartLength, 1) },
		"more counted than are":     func(l *peerpb.Located) { l.PartCount[1] = 2 },
		"far more counted":          func(l *peerpb.Located) { l.PartCount[0] = 1<<32 - 1 },
		"fewer counted than are":    func(l *peerpb.Located) { l.PartCount[1] = 0 },
		"a block without a handle":  func(l *peerpb.Located) { l.Handle[1], l.Length[1] = 0, 0 },
		"a block that failed":       func(l *peerpb.Located) { l.Reason, l.Error = []uint32{0, 8}, []string{"", ""} },
		"shorter than the block":    func(l *peerpb.Located) { l.PartLength[1] = 39 },
		"longer than the block":     func(l *peerpb.Located) { l.PartLength[1] = 41 },
		"a part of no bytes":        func(l *peerpb.Located) { l.PartLength[0], l.PartLength[1] = 0, 100 },
		"a last part of no bytes":   func(l *peerpb.Located) { l.PartLength[0], l.PartLength[1] = 100, 0 },
		"a negative part":           func(l *peerpb.Located) { l.PartLength[0], l.PartLength[1] = 1<<64-1, 101 },
		"a part of 2^63 bytes":      func(l *peerpb.Located) { l.PartLength[0] = 1 << 63 },
		"one handle for two blocks": func(l *peerpb.Located) { l.Handle[1] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			l := good()
			change(l)
			l.Invitation = []byte("come")
			direct, err := locate(t, l)
			var be *shuffle.BlockError
			if err == nil || errors.As(err, &be) {
				t.Errorf("%v, want that the connection ended", err)
			}
			if n := direct.Count(); n.Dials != 0 {
				t.Error("it was dialled")
			}
		})
	}
	if direct, err := locate(t, good()); err != nil || direct.Count().Dials != 0 {
		t.Errorf("parts without an invitation: %v", err)
	}
	l := good()
	l.PartCount, l.PartAddr, l.PartKey, l.PartLength = nil, nil, nil, nil
	if _, err := locate(t, l); err != nil {
		t.Errorf("no parts: %v", err)
	}
}
