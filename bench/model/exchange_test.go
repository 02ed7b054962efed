package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const mib = 1 << 20

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want+1e-12 {
		t.Errorf("%s: %v, want %v (to within %g %%)", what, got, want, 100*tolerance)
	}
}

func ends(x exchange, starts ...float64) []float64 {
	return x.run(append(starts, make([]float64, x.executors-len(starts))...)).end
}

func TestOneFetchAlone(t *testing.T) {
	x := exchange{executors: 2, block: 8 * mib, slots: 4, latency: 0.002, link: 4 * mib}
	for _, end := range ends(x) { // one each way
		near(t, "latency and bytes", end, 0.002+2, 1e-9)
	}
	x.lookups, x.roundTrip, x.service = true, 0.01, 0.003
	got := ends(x)
	near(t, "the look-up before it", got[0], 0.013+0.002+2, 1e-9)
	near(t, "the second question waits for the first answer", got[1], 0.016+0.002+2, 1e-9)
	near(t, "a network that carries half of the link", ends(exchange{executors: 2, block: 8 * mib, slots: 1, link: 4 * mib, core: 2 * mib}, 0, 100)[0], 4, 1e-9)
}

const later = 1e6 // when the others begin

func TestTwoFlowsShareALink(t *testing.T) {
	x := exchange{executors: 3, block: 8 * mib, slots: 2, link: 4 * mib}
	near(t, "into one reader", ends(x, 0, later, later)[0], 4, 1e-9)
	x.slots = 1 // readers 1 and 2 both begin with owner 0, then read from each other
	for _, end := range ends(x, later)[1:] {
		near(t, "out of one owner", end, 4+2, 0.01)
	}
	x.executors, x.slots = 5, 2
	near(t, "four flows into one reader, two at a time", ends(x, 0, later, later, later, later)[0], 8, 1e-9)
}

func TestLookUpsQueueAtTheDriver(t *testing.T) {
	for _, n := range []int{2, 5, 40} {
		x := exchange{executors: n, block: 1, slots: 4, lookups: true, service: 0.001}
		near(t, fmt.Sprintf("%d executors", n), slices.Max(ends(x)), float64(n*(n-1))*0.001, 1e-9)
	}
	x := exchange{executors: 5, block: 1, slots: 1, lookups: true, service: 0.001}
	p := x.run(make([]float64, 5))
	for e := range p.end {
		near(t, "all of an executor's time is look-ups", p.lookups[e], p.fetches[e], 1e-9)
	}
}

func TestOversubscription(t *testing.T) {
	x := exchange{executors: 4, block: 8 * mib, slots: 3, link: 4 * mib, core: 4 * mib}
	near(t, "twelve blocks through one link's worth", slices.Max(ends(x)), 24, 0.01)
	x.core = 0
	near(t, "no limit", slices.Max(ends(x)), 6, 0.01)
}

func TestFetchesAtATime(t *testing.T) {
	for slots, rounds := range map[int]float64{1: 9, 2: 5, 4: 3, 9: 1, 20: 1} {
		x := exchange{executors: 10, block: 1, slots: slots, latency: 0.5}
		for _, end := range ends(x) {
			near(t, fmt.Sprintf("%d slots", slots), end, 0.5*rounds, 1e-9)
		}
	}
}

func anyExchange(t *rapid.T) exchange {
	return exchange{
		executors: rapid.IntRange(2, 12).Draw(t, "executors"), block: rapid.Float64Range(1, 4*mib).Draw(t, "block"),
		slots: rapid.IntRange(1, 5).Draw(t, "slots"), lookups: rapid.Bool().Draw(t, "lookups"),
		roundTrip: rapid.Float64Range(0, 0.01).Draw(t, "round trip"), service: rapid.Float64Range(0, 0.01).Draw(t, "service"),
		latency: rapid.Float64Range(0, 0.01).Draw(t, "latency"), link: rapid.Float64Range(mib, 100*mib).Draw(t, "link"),
		core: rapid.SampledFrom([]float64{0, mib, 50 * mib}).Draw(t, "core"),
	}
}

// All bytes arrive, no resource is used faster than it can be, and not all of it takes place one after the other.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := anyExchange(t)
		p := x.run(make([]float64, x.executors))
		others, all := float64(x.executors-1), float64(x.executors*(x.executors-1))
		if math.Abs(p.bytes-all*x.block) > 1e-6*p.bytes {
			t.Fatalf("%v bytes of %v arrived", p.bytes, all*x.block)
		}
		least := max(others*over(x.block, x.link), all*over(x.block, x.core), math.Ceil(others/float64(x.slots))*x.latency)
		most := all * (x.latency + 2*over(x.block, x.link) + over(x.block, x.core))
		if x.lookups {
			least = max(least, all*x.service)
			most += all * (x.roundTrip + x.service)
		}
		if last := slices.Max(p.end); last < least*(1-1e-9) || last > most*(1+1e-9) {
			t.Fatalf("ended after %v s, which is not within %v and %v", last, least, most)
		}
		for e := range p.end {
			if p.end[e] <= 0 || p.lookups[e] > p.fetches[e] {
				t.Fatalf("executor %d ends after %v s with %v s of look-ups in %v s", e, p.end[e], p.lookups[e], p.fetches[e])
			}
		}
	})
}

// With everything twice as slow, all takes twice as long.
func TestScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := anyExchange(t)
		fast := x.run(make([]float64, x.executors))
		x.roundTrip, x.service, x.latency, x.link, x.core = 2*x.roundTrip, 2*x.service, 2*x.latency, x.link/2, x.core/2
		slow := x.run(make([]float64, x.executors))
		for e := range fast.end {
			if slow.end[e] != 2*fast.end[e] {
				t.Fatalf("executor %d: %v s, and %v s at half the speed", e, fast.end[e], slow.end[e])
			}
		}
	})
}

// Turns come close to links that are shared exactly, where blocks have many turns.
func TestTurnsAreNearlyFair(t *testing.T) {
	for _, x := range []exchange{
		{executors: 2, block: 16 * mib, slots: 4, latency: 0.001, link: 100 * mib},
		{executors: 8, block: 4 * mib, slots: 4, latency: 0.001, link: 100 * mib},
		{executors: 8, block: 4 * mib, slots: 4, latency: 0.001, link: 100 * mib, core: 200 * mib},
		{executors: 16, block: 2 * mib, slots: 4, latency: 0.001, link: 100 * mib, lookups: true, roundTrip: 0.001, service: 0.0005},
		{executors: 12, block: 2 * mib, slots: 1, latency: 0.001, link: 100 * mib},
	} {
		starts := make([]float64, x.executors)
		for i := range starts {
			starts[i] = float64(i) * 0.002
		}
		got, want := slices.Max(x.run(starts).end), slices.Max(x.fluid(starts))
		t.Logf("%d executors, %d slots, core %v: %.4f s, shared exactly %.4f s (%+.1f %%)", x.executors, x.slots, x.core, got, want, 100*(got/want-1))
		near(t, fmt.Sprintf("%+v", x), got, want, 0.1)
	}
}

// A million fetches, each with its look-up.
func BenchmarkThousandNodes(b *testing.B) {
	c := Default()
	for b.Loop() {
		iterate(c, setting{c.Models["vgg"], c.Transports["stock"], true, 1000, 48})
	}
}
