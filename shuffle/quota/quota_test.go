package quota_test

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"weft/shuffle/quota"
)

type count int

func (c *count) Inc() { *c++ }

func TestShareOfWhatOthersLeave(t *testing.T) {
	var refused count
	p := quota.New(1000, 75, &refused)
	a, b := p.Of("a"), p.Of("b")
	for _, step := range []struct {
		of   quota.Share
		n    int64
		want bool
	}{
		{a, 751, false},
		{a, 750, true}, // 75 % of all
		{a, 1, false},
		{b, 188, false},
		{b, 187, true}, // 75 % of the 250 that a leaves
		{p.Of("c"), 48, false},
		{p.Of("c"), 47, true}, // and so on
	} {
		if got := step.of.Take(step.n); got != step.want {
			t.Errorf("%s takes %d: %v", step.of.Holder, step.n, got)
		}
	}
	if refused != 4 {
		t.Errorf("%d refusals were counted", refused)
	}
	b.Give(187)
	if a.Take(1) {
		t.Error("a got more than 75 % of all but c's")
	}
	a.Give(750)
	p.Give("c", 47)
	if got := p.Usage(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestTakeSome(t *testing.T) {
	p := quota.New(1000, 75, nil)
	for _, test := range []struct{ need, want, unit, got int64 }{
		{100, 600, 64, 600}, // all that is wanted need be no multiple
		{100, 600, 64, 128}, // of the 150 that are left
		{100, 600, 64, 0},
		{1, 22, 64, 22},
	} {
		if got := p.TakeSome("a", test.need, test.want, test.unit); got != test.got {
			t.Errorf("%+v: got %d", test, got)
		}
	}
}

func TestNoPool(t *testing.T) {
	var none quota.Share
	if !none.Take(1 << 60) {
		t.Error("what has no bound was refused")
	}
	none.Give(1 << 60)
}

// However many holders take whatever they get, the next one finds its share of what is left, and nothing is taken twice.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.Int64Range(0, 1<<40).Draw(t, "max")
		percent := rapid.IntRange(1, 100).Draw(t, "percent")
		p := quota.New(most, percent, nil)
		model := map[string]int64{}
		used := func() (sum int64) {
			for _, n := range model {
				sum += n
			}
			return sum
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				holder := rapid.StringMatching("[a-e]").Draw(t, "holder")
				n := rapid.Int64Range(1, most/2+1).Draw(t, "n")
				others := most - used() + model[holder]
				may := others/100*int64(percent) + others%100*int64(percent)/100
				if got, want := p.Take(holder, n), model[holder]+n <= may; got != want {
					t.Fatalf("%s takes %d: %v, want %v", holder, n, got, want)
				} else if got {
					model[holder] += n
				}
			},
			"give": func(t *rapid.T) {
				holder := rapid.StringMatching("[a-e]").Draw(t, "holder")
				n := rapid.Int64Range(0, model[holder]).Draw(t, "n")
				p.Give(holder, n)
				if model[holder] -= n; model[holder] == 0 {
					delete(model, holder)
				}
			},
			"": func(t *rapid.T) {
				if got := p.Usage(); !maps.Equal(got, model) {
					t.Fatalf("usage %v, want %v", got, model)
				}
				if used() > most {
					t.Fatalf("%d of %d", used(), most)
				}
			},
		})
	})
}
