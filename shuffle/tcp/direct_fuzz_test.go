package tcp

import (
	"log/slog"
	"testing"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/transporttest"
)

// What is learned of an answer, whatever it is, are parts that make up their blocks, and a range of a block is found in them.
func FuzzLearn(f *testing.F) {
	for _, v := range vectors()["responses.txt"] {
		if r, ok := v.msg.(*peerpb.Response); ok && r.GetLocated() != nil {
			f.Add(frameOf(f, v.msg, 0)[headerLen:], uint64(3), uint64(50))
		}
	}
	app := shuffle.App{ID: "app"}
	f.Fuzz(func(t *testing.T, msg []byte, from, n uint64) {
		kind, value, err := only(msg)
		var m located
		if err != nil || kind != fieldLocated || m.parse(value) != nil {
			return
		}
		answer, _, err := m.answer(len(m.lengths))
		if err != nil {
			return
		}
		b := &bundle{log: slog.New(slog.DiscardHandler)}
		d := newDirect(b, Options{Direct: transporttest.NewDirect(), Metrics: metrics.NewSet()}.withDefaults())
		err = d.learn(app, &m, answer)
		d.end()
		d.cancel()
		d.close()
		if err != nil {
			return
		}
		for i := range answer {
			h := d.held[answer[i].Handle]
			if h == nil {
				continue
			}
			off := int64(from % uint64(h.length+1))
			length := int64(n % uint64(h.length-off+1))
			checkParts(t, h, off, length, appendParts(nil, h.parts, off, length))
		}
	})
}

func checkParts(t *testing.T, h *held, off, length int64, got []shuffle.Part) {
	t.Helper()
	var whole, some []shuffle.Part // of one byte each
	if h.length > 1<<10 {
		sum := int64(0)
		for _, p := range got {
			sum += p.Length
		}
		if sum != length {
			t.Errorf("%d bytes of %+v are %+v", length, h.parts, got)
		}
		return
	}
	each := func(to *[]shuffle.Part, parts []shuffle.Part) {
		for _, p := range parts {
			if p.Length <= 0 {
				t.Fatalf("%+v", parts)
			}
			for i := range p.Length {
				*to = append(*to, shuffle.Part{Addr: p.Addr + uint64(i), Key: p.Key, Length: 1})
			}
		}
	}
	each(&whole, h.parts)
	each(&some, got)
	if int64(len(whole)) != h.length || int64(len(some)) != length {
		t.Fatalf("a block of %d bytes has %d, a range of %d has %d", h.length, len(whole), length, len(some))
	}
	for i := range some {
		if some[i] != whole[int(off)+i] {
			t.Fatalf("byte %d of a range at %d: %+v, want %+v", i, off, some[i], whole[int(off)+i])
		}
	}
}

// A range of a block in parts is found in all of them.
func TestParts(t *testing.T) {
	h := &held{length: 12, parts: []shuffle.Part{{Addr: 100, Key: 1, Length: 5}, {Addr: 200, Key: 2, Length: 1}, {Addr: 300, Key: 1, Length: 6}}}
	for off := range h.length + 1 {
		for n := range h.length - off + 1 {
			checkParts(t, h, off, n, appendParts(nil, h.parts, off, n))
		}
	}
}
