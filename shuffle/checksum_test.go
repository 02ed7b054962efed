package shuffle

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestChecksumOfRFC3720(t *testing.T) {
	ascending := make([]byte, 32)
	for i := range ascending {
		ascending[i] = byte(i)
	}
	vectors := map[uint32][]byte{
		0x00000000: nil,
		0xe3069283: []byte("123456789"),
		0x8a9136aa: make([]byte, 32),
		0x62a8ab43: bytes.Repeat([]byte{0xff}, 32),
		0x46dd794e: ascending,
	}
	for want, data := range vectors {
		if got := Checksum(data); got != want {
			t.Errorf("%x: %08x, not %08x", data, got, want)
		}
	}
}

func TestCombineChecksums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 3000), 0, 20).Draw(t, "pieces")
		var sum uint32
		var whole []byte
		for _, piece := range pieces {
			sum = CombineChecksums(sum, Checksum(piece), int64(len(piece)))
			whole = append(whole, piece...)
		}
		if want := Checksum(whole); sum != want {
			t.Fatalf("combined %08x, computed %08x", sum, want)
		}
	})
}

// However the bytes of ranges come, each range has its own checksum in the end.
func TestRangeSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 8).Draw(t, "ranges")
		var ranges []Range
		var want []uint32
		for _, p := range parts {
			ranges = append(ranges, Range{Length: int64(len(p))})
			want = append(want, Checksum(p))
		}
		mem := bytes.Join(parts, nil)
		sums := newRangeSums(ranges)
		for n := 0; n < len(mem); {
			n = rapid.IntRange(n+1, len(mem)).Draw(t, "there")
			sums.update(mem[:n])
		}
		sums.update(mem) // nothing new
		if !slices.Equal(sums.all, want) {
			t.Fatalf("%08x, want %08x", sums.all, want)
		}
	})
}

// Lengths beyond 32 bits, checked without that many bytes: appending a zero bytes and then b zero bytes is appending a+b.
func TestCombineLongLengths(t *testing.T) {
	appended := func(sum uint32, n int64) uint32 { return CombineChecksums(sum, 0, n) }
	rapid.Check(t, func(t *rapid.T) {
		sum := rapid.Uint32().Draw(t, "sum")
		a := rapid.Int64Range(0, 1<<61).Draw(t, "a")
		b := rapid.Int64Range(0, 1<<61).Draw(t, "b")
		if got, want := appended(appended(sum, a), b), appended(sum, a+b); got != want {
			t.Fatalf("%d and %d zero bytes give %08x, %d give %08x", a, b, got, a+b, want)
		}
	})
	if got := appended(0x12345678, 0); got != 0x12345678 {
		t.Errorf("nothing appended: %08x", got)
	}
}

func TestCombineOfAMebibyte(t *testing.T) {
	data := bytes.Repeat([]byte("some block of a map output "), 1<<20/27)
	for _, cut := range []int{0, 1, 255, 256, 65535, 65536, len(data) - 1, len(data)} {
		got := CombineChecksums(Checksum(data[:cut]), Checksum(data[cut:]), int64(len(data)-cut))
		if want := Checksum(data); got != want {
			t.Errorf("cut at %d: %08x, not %08x", cut, got, want)
		}
	}
}

func BenchmarkChecksum(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			data := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				_ = Checksum(data)
			}
		})
	}
}

func BenchmarkCombineChecksums(b *testing.B) {
	for _, length := range []int64{64, 1000, 60_000, 1_000_000, 1 << 40} {
		b.Run(fmt.Sprintf("length=%d", length), func(b *testing.B) {
			sum := uint32(1)
			for b.Loop() {
				sum = CombineChecksums(sum, 2, length)
			}
		})
	}
}
