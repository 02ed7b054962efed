package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// indexFile is the index file of partitions of these lengths, and the size of their data file.
func indexFile(lengths ...int64) (file []byte, dataSize int64) {
	file = binary.BigEndian.AppendUint64(nil, 0)
	for _, n := range lengths {
		dataSize += n
		file = binary.BigEndian.AppendUint64(file, uint64(dataSize))
	}
	return file, dataSize
}

func readIndexBytes(file []byte, partitions uint32, dataSize int64) (*index, error) {
	return readIndex(bytes.NewReader(file), int64(len(file)), partitions, dataSize)
}

func TestReadIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		longest := rapid.SampledFrom([]int64{3, 5000, math.MaxUint32, 1 << 40}).Draw(t, "longest")
		lengths := rapid.SliceOfN(rapid.Int64Range(0, longest), 0, 300).Draw(t, "lengths")
		file, dataSize := indexFile(lengths...)
		slack := rapid.Int64Range(0, 2).Draw(t, "bytes behind the last partition")
		x, err := readIndexBytes(file, uint32(len(lengths)), dataSize+slack)
		if err != nil {
			t.Fatal(err)
		}
		if x.partitions() != uint32(len(lengths)) || x.end() != dataSize {
			t.Fatalf("%d partitions end at %d", x.partitions(), x.end())
		}
		at := int64(0)
		for i, n := range lengths {
			if start, end := x.offset(uint32(i)), x.offset(uint32(i)+1); start != at || end-start != n {
				t.Fatalf("partition %d is [%d, %d), not [%d, %d)", i, start, end, at, at+n)
			}
			at += n
		}
		if perPartition := x.bytes() / int64(len(lengths)+1); dataSize+slack <= math.MaxUint32 && perPartition > 4 {
			t.Fatalf("%d bytes a partition for a data file of %d", perPartition, dataSize)
		}
	})
}

// An index larger than the buffer it is read through.
func TestReadLongIndex(t *testing.T) {
	lengths := make([]int64, 100_000)
	for i := range lengths {
		lengths[i] = int64(i % 7)
	}
	file, dataSize := indexFile(lengths...)
	x, err := readIndexBytes(file, uint32(len(lengths)), dataSize)
	if err != nil || x.end() != dataSize || x.offset(99_999)+lengths[99_999] != dataSize {
		t.Fatalf("%v", err)
	}
}

func TestReadIndexRefuses(t *testing.T) {
	good, dataSize := indexFile(10, 0, 20)
	put := func(i int, offset uint64) []byte {
		file := bytes.Clone(good)
		binary.BigEndian.PutUint64(file[offsetSize*i:], offset)
		return file
	}
	tests := map[string]struct {
		file       []byte
		partitions uint32
		dataSize   int64
	}{
		"one partition less":       {good, 2, dataSize},
		"one partition more":       {good, 4, dataSize},
		"truncated":                {good[:len(good)-1], 3, dataSize},
		"empty":                    {nil, 3, dataSize},
		"first not 0":              {put(0, 1), 3, dataSize},
		"decreasing":               {put(2, 9), 3, dataSize},
		"beyond the data":          {good, 3, dataSize - 1},
		"beyond 63 bits":           {put(3, 1<<63), 3, dataSize},
		"largest":                  {put(3, math.MaxUint64), 3, math.MaxInt64},
		"without data":             {good, 3, 0},
		"more partitions than any": {make([]byte, offsetSize*(MaxPartitions+2)), MaxPartitions + 1, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if x, err := readIndexBytes(test.file, test.partitions, test.dataSize); err == nil {
				t.Errorf("taken: %d partitions to %d", x.partitions(), x.end())
			}
		})
	}
}

// The file became shorter after its size was asked for.
func TestReadIndexTornOff(t *testing.T) {
	good, dataSize := indexFile(1, 2, 3)
	_, err := readIndex(bytes.NewReader(good[:17]), int64(len(good)), 3, dataSize)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error: %v", err)
	}
}

func FuzzReadIndex(f *testing.F) {
	good, dataSize := indexFile(10, 0, 20, 1<<33)
	f.Add(good, uint32(4), dataSize)
	f.Add(good[:24], uint32(2), int64(10))
	f.Add(good, uint32(4), dataSize-1)
	f.Add([]byte{}, uint32(0), int64(0))
	f.Add(make([]byte, 8), uint32(0), int64(0))
	f.Add(bytes.Repeat([]byte{0xff}, 16), uint32(1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, file []byte, partitions uint32, dataSize int64) {
		if dataSize < 0 {
			return // no file has this size
		}
		x, err := readIndexBytes(file, partitions, dataSize)
		if err != nil {
			return
		}
		// What was taken must be the file's own offsets, in order and within the data file.
		if x.partitions() != partitions {
			t.Fatalf("%d partitions, not %d", x.partitions(), partitions)
		}
		for i := uint32(0); i <= partitions; i++ {
			offset := x.offset(i)
			if offset < 0 || offset > dataSize || uint64(offset) != binary.BigEndian.Uint64(file[offsetSize*i:]) {
				t.Fatalf("offset %d is %d", i, offset)
			}
			if i > 0 && offset < x.offset(i-1) {
				t.Fatalf("offset %d is %d, behind %d", i, offset, x.offset(i-1))
			}
		}
	})
}
