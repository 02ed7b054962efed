package crc32c

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

func random(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	data := make([]byte, n)
	_, _ = r.Read(data)
	return data
}

// The published check value (RFC 3720, B.4: 32 bytes of zeroes), and that of nothing.
func TestKnown(t *testing.T) {
	if got := Update(0, make([]byte, 32)); got != 0x8a9136aa {
		t.Errorf("32 zeroes: %#x", got)
	}
	if got := Update(0, nil); got != 0 {
		t.Errorf("nothing: %#x", got)
	}
}

// Every length around the blocks' ends, from every alignment in a cache line, is what the standard library says, from any checksum before it.
func TestAgainstStandard(t *testing.T) {
	data := random((32+5)*block + 64)
	for length := range (32+5)*block + 1 {
		off := length % 64
		part := data[off : off+length]
		for _, sum := range []uint32{0, 1, 0xffffffff, 0xdeadbeef} {
			if got, want := Update(sum, part), crc32.Update(sum, table, part); got != want {
				t.Fatalf("%d bytes at %d after %#x: %#x instead of %#x", length, off, sum, got, want)
			}
		}
	}
}

// A single wrong bit anywhere in folded blocks changes the checksum.
func TestEachBitCounts(t *testing.T) {
	data := random(worthFolding)
	right := Update(0, data)
	for bit := range 8 * len(data) {
		data[bit/8] ^= 1 << (bit % 8)
		if Update(0, data) == right {
			t.Fatalf("bit %d does not count", bit)
		}
		data[bit/8] ^= 1 << (bit % 8)
	}
}

// Cut anywhere, the parts give the checksum of the whole.
func TestInParts(t *testing.T) {
	data := random(1 << 20)
	want := crc32.Checksum(data, table)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var sum uint32
		for rest := data; len(rest) > 0; {
			n := 1 + r.IntN(min(len(rest), 256<<10))
			sum = Update(sum, rest[:n])
			rest = rest[n:]
		}
		if sum != want {
			t.Fatalf("%#x instead of %#x", sum, want)
		}
	}
}

// The factors for a distance of 64 bytes are those that are published for CRC32C.
func TestPower(t *testing.T) {
	if a, b := power(512+32), power(512-32); a != 0x740eef02 || b != 0x9e4addf8 {
		t.Errorf("%#x, %#x", a, b)
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add(uint32(0), []byte("weft"))
	f.Add(^uint32(0), random(worthFolding+17))
	f.Fuzz(func(t *testing.T, sum uint32, data []byte) {
		for len(data) > 0 && len(data) < worthFolding { // what the fuzzer makes is short
			data = append(data, data...)
		}
		if got, want := Update(sum, data), crc32.Update(sum, table, data); got != want {
			t.Fatalf("%#x instead of %#x for %d bytes after %#x", got, want, len(data), sum)
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1 << 10, 64 << 10, 256 << 10, 16 << 20} {
		data := random(n)
		for name, update := range map[string]func(uint32, []byte) uint32{
			"standard": func(sum uint32, data []byte) uint32 { return crc32.Update(sum, table, data) }, "folding": Update,
		} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.SetBytes(int64(n))
				for b.Loop() {
					update(0, data)
				}
			})
		}
	}
}
