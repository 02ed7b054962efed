package shuffle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// MaxPartitions bounds the partitions of one map output: its index file has at most 8 MiB.
const MaxPartitions = 1 << 20

const offsetSize = 8 // bytes of an offset in an index file

// index says where in a data file the partitions of a map output lie. It takes 4 bytes a partition for data files below 4 GiB, else 8,
// and never changes.
type index struct {
	small []uint32
	large []uint64
}

// readIndex reads an index file as Spark writes it: for n partitions n+1 offsets, big-endian, the first 0, none smaller than the one
// before. size is the file's size; no partition may end beyond dataSize.
func readIndex(file io.ReaderAt, size int64, partitions uint32, dataSize int64) (*index, error) {
	if partitions > MaxPartitions {
		return nil, fmt.Errorf("%d partitions; at most %d are supported", partitions, MaxPartitions)
	}
	if want := offsetSize * (int64(partitions) + 1); size != want {
		return nil, fmt.Errorf("index file of %d bytes; %d partitions need %d", size, partitions, want)
	}
	x := newIndex(int(partitions)+1, dataSize)
	buffer := getBuffer()
	defer putBuffer(buffer)
	before, i := uint64(0), 0
	for at := int64(0); at < size; {
		part := (*buffer)[:min(size-at, int64(len(buffer)))]
		if n, err := file.ReadAt(part, at); n < len(part) {
			return nil, fmt.Errorf("index file ends at byte %d of %d: %w", at+int64(n), size, noEOF(err))
		}
		n, last := x.set(i, part, before, uint64(dataSize))
		switch {
		case n == len(part)/offsetSize:
		case last < before:
			return nil, fmt.Errorf("index file: offset %d is %d, behind %d", i+n, last, before)
		default:
			return nil, fmt.Errorf("index file: offset %d is %d; the data file has %d bytes", i+n, last, dataSize)
		}
		before, i, at = last, i+n, at+int64(len(part))
	}
	if first := x.offset(0); first != 0 {
		return nil, fmt.Errorf("index file begins with offset %d, not 0", first)
	}
	return x, nil
}

func newIndex(offsets int, dataSize int64) *index {
	if dataSize <= math.MaxUint32 {
		return &index{small: make([]uint32, offsets)}
	}
	return &index{large: make([]uint64, offsets)}
}

// set takes offsets from part, the first of them that of partition i, until one is smaller than the one before it or greater than most. It gives
// the number that it took, and the last that it looked at.
func (x *index) set(i int, part []byte, before, most uint64) (n int, last uint64) {
	if x.small != nil {
		return decode(x.small[i:], part, before, most)
	}
	return decode(x.large[i:], part, before, most)
}

func decode[T uint32 | uint64](to []T, part []byte, before, most uint64) (n int, last uint64) {
	for ; len(part) >= offsetSize; part = part[offsetSize:] {
		offset := binary.BigEndian.Uint64(part)
		if offset < before || offset > most {
			return n, offset
		}
		to[n], before = T(offset), offset
		n++
	}
	return n, before
}

// offset is where partition i begins and i-1 ends; i goes up to the number of partitions.
func (x *index) offset(i uint32) int64 {
	if x.small != nil {
		return int64(x.small[i])
	}
	return int64(x.large[i])
}

func (x *index) partitions() uint32 { return uint32(max(len(x.small), len(x.large)) - 1) }

// end is where the last partition ends.
func (x *index) end() int64 { return x.offset(x.partitions()) }

// bytes is the memory x holds.
func (x *index) bytes() int64 { return 4*int64(cap(x.small)) + 8*int64(cap(x.large)) }

// noEOF tells a file that ended too early by its own word, so that nobody takes it for a regular end.
func noEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
