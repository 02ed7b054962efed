//go:build e2e || rdma

package e2e

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// writeMNIST writes images in MNIST's format: those of a digit have one pattern, under noise.
func writeMNIST(t testing.TB, dir, set string, n int) {
	t.Helper()
	const side, cell = 28, 4
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	labels := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 2049), uint32(n))
	images := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 2051), uint32(n))
	images = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(images, side), side)
	for i := range n {
		digit := i % 10
		labels = append(labels, byte(digit))
		pattern := rand.New(rand.NewPCG(2, uint64(digit)))
		var bright [side / cell * side / cell]float64
		for j := range bright {
			bright[j] = 60 + 120*float64(pattern.IntN(2))
		}
		for p := range side * side {
			level := bright[p/side/cell*(side/cell)+p%side/cell] + 40*rng.NormFloat64()
			images = append(images, byte(min(max(level, 0), 255)))
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{set + "-images-idx3-ubyte": images, set + "-labels-idx1-ubyte": labels} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
