package synth_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"weft/bigdl/data/synth"
)

// The simplest of models, the mean image of each class, tells new images apart without an error: so can any that is worth training.
func TestCanBeLearnt(t *testing.T) {
	for _, size := range []struct{ side, planes int }{{28, 1}, {32, 3}} {
		pixels := make([]byte, size.planes*size.side*size.side)
		var means [10][]float64
		for i := range means {
			means[i] = make([]float64, len(pixels))
		}
		train := synth.New(1, 0, 10, size.side, size.planes)
		for range 200 {
			class := train.Next(pixels)
			for i, p := range pixels {
				means[class][i] += float64(p) / 20
			}
		}
		test := synth.New(1, 1, 10, size.side, size.planes)
		for range 100 {
			class := test.Next(pixels)
			best, least := -1, 0.0
			for c, mean := range means {
				d := 0.0
				for i, p := range pixels {
					d += (float64(p) - mean[i]) * (float64(p) - mean[i])
				}
				if best < 0 || d < least {
					best, least = c, d
				}
			}
			if best != class {
				t.Errorf("%dx%dx%d: an image of class %d is taken for one of %d", size.side, size.side, size.planes, class, best)
			}
		}
	}
}

func TestEachRoundHasEachClass(t *testing.T) {
	g := synth.New(1, 0, 7, 8, 1)
	pixels := make([]byte, 64)
	for round := range 20 {
		seen := map[int]bool{}
		for range 7 {
			seen[g.Next(pixels)] = true
		}
		if len(seen) != 7 {
			t.Errorf("round %d has the classes %v", round, seen)
		}
	}
}

// Images of a seed are the same on every machine and with every Go.
func TestImagesOfASeed(t *testing.T) {
	h := sha256.New()
	pixels := make([]byte, 3*32*32)
	for stream := range uint64(2) {
		g := synth.New(42, stream, 10, 32, 3)
		for range 100 {
			h.Write([]byte{byte(g.Next(pixels))})
			h.Write(pixels)
		}
	}
	if got, want := fmt.Sprintf("%x", h.Sum(nil)), "5b0b4d84bea4664c0fa041db995165f14feb73aa35b44b1f53fbb850a53a7a50"; got != want {
		t.Errorf("is %s, was %s", got, want)
	}
}
