package soak

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestTrend(t *testing.T) {
	const mega = 1e6
	memory, count := Bound{Relative: 0.25, Absolute: 10 * mega}, Bound{Absolute: 0.5}
	r := rand.New(rand.NewPCG(1, 2))
	noise := func() float64 { return r.NormFloat64() * 5 * mega }
	for _, c := range []struct {
		name  string
		n     int // one a minute
		value func(minute float64) float64
		bound Bound
		fails bool
		grew  float64 // about
	}{
		{"flat", 480, func(float64) float64 { return 40 * mega }, memory, false, 0},
		{"all nothing", 480, func(float64) float64 { return 0 }, count, false, 0},
		{"noisy flat", 480, func(float64) float64 { return 40*mega + noise() }, memory, false, 0},
		{"peaks", 480, func(m float64) float64 { return 40*mega + 500*mega*float64(int(m)%5/4) }, memory, false, 0},
		{"step at the start", 480, func(m float64) float64 {
			if m < 60 {
				return 10 * mega
			}
			return 60 * mega
		}, memory, false, 0},
		{"falling", 480, func(m float64) float64 { return 100*mega - m*mega/10 }, memory, false, -38 * mega},
		{"leak", 480, func(m float64) float64 { return 40*mega + m*mega/10 + noise() }, memory, true, 38 * mega},
		{"leak of many samples", 5760, func(m float64) float64 { return 40*mega + m*mega/100 + noise() }, memory, true, 46 * mega},
		{"slow leak, below the absolute bound", 480, func(m float64) float64 { return 20*mega + m*mega/50 }, memory, false, 7.7 * mega},
		{"slow leak, below the relative bound", 480, func(m float64) float64 { return 400*mega + m*mega/10 }, memory, false, 38 * mega},
		{"a lease every hour", 480, func(m float64) float64 { return math.Floor(m / 60) }, count, true, 6.4},
		{"few", 13, func(m float64) float64 { return m }, count, true, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			var points []Point
			for m := range c.n {
				points = append(points, Point{float64(m) * 60, c.value(float64(m))})
			}
			got, err := trendOf(points, c.bound)
			if err != nil {
				t.Fatal(err)
			}
			if got.Fails != c.fails || math.Abs(got.Grew-c.grew) > 0.1*math.Abs(c.grew)+c.bound.Absolute/4 {
				t.Errorf("%+v; want fails %v, grew about %v", got, c.fails, c.grew)
			}
		})
	}
}

func TestTrendOfTooFew(t *testing.T) {
	var points []Point
	for n := range 6 { // of five, one is warm-up
		if _, err := trendOf(points, Bound{}); err == nil || !strings.Contains(err.Error(), "longer") {
			t.Errorf("of %d: %v", n, err)
		}
		points = append(points, Point{At: float64(n)})
	}
}
