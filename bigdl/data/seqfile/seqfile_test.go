package seqfile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

var marker = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

type record struct{ key, value string }

func written(t testing.TB, codec Codec, records ...record) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, codec, marker)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Append([]byte(r.key), []byte(r.value)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func read(in io.Reader) (got []record, err error) {
	r, err := NewReader(in, "a.seq")
	if err != nil {
		return nil, err
	}
	for {
		key, value, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, record{string(key), string(value)})
	}
}

// The bytes of a file, by hand from Hadoop's description of the format.
func TestHandMade(t *testing.T) {
	text := "19" + hex.EncodeToString([]byte("org.apache.hadoop.io.Text"))
	want := "53455106" + text + text + "0000" + "00000000" + "0102030405060708090a0b0c0d0e0f10" +
		"00000007" + "00000002" + "0137" + "04" + "00ff4142" + // 7 -> 00 ff A B
		"00000003" + "00000002" + "0138" + "00" // 8 -> nothing
	got := written(t, None, record{"7", "\x00\xffAB"}, record{"8", ""})
	if hex.EncodeToString(got) != want {
		t.Errorf("is\n%x, want\n%s", got, want)
	}
}

func TestVariableLengths(t *testing.T) {
	for n, want := range map[int]string{
		0: "00", 127: "7f", 128: "8f80", 255: "8fff", 256: "8e0100", 65535: "8effff", 65536: "8d010000", 1<<24 - 1: "8dffffff", 1 << 24: "8c01000000",
	} {
		b := appendVInt(nil, n)
		if hex.EncodeToString(b) != want {
			t.Errorf("%d is %x, want %s", n, b, want)
		}
		if got, err := readVInt(bytes.NewReader(b), 1<<30); got != n || err != nil {
			t.Errorf("%x is %d, %v; want %d", b, got, err, n)
		}
		if _, err := readVInt(bytes.NewReader(b[:len(b)-1]), 1<<30); err == nil {
			t.Errorf("%x without its end is a length", b)
		}
		if _, err := readVInt(bytes.NewReader(b), n-1); n > 0 && err == nil {
			t.Errorf("%d is not above %d", n, n-1)
		}
	}
	for _, negative := range []string{"ff", "90", "8700", "8b0000000001"} { // -1, -112, what is below zero, five bytes
		b, _ := hex.DecodeString(negative)
		if n, err := readVInt(bytes.NewReader(b), 1<<30); err == nil {
			t.Errorf("%s is the length %d", negative, n)
		}
	}
}

// images are records as those of ImageNet: some shrink, some do not, and they take more than one of snappy's blocks.
func images() (records []record) {
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 6 {
		value := make([]byte, i*100_000)
		for j := range value {
			value[j] = byte(j / 50)
			if i%2 == 0 {
				value[j] = byte(random.Uint32())
			}
		}
		records = append(records, record{strings.Repeat("k", i*40), string(value)})
	}
	return records
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := images()
	for _, codec := range Codecs {
		b := written(t, codec, want...)
		if markers := bytes.Count(b, marker[:]); markers < 3 {
			t.Errorf("%s: %d markers in %d bytes", codec, markers, len(b))
		}
		got, err := read(iotest.HalfReader(bytes.NewReader(b)))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d records, %v", codec, len(got), err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: record %d is another", codec, i)
			}
		}
	}
}

// Hadoop may put several pieces into one block of snappy, and a marker at the end.
func TestHadoopsOtherWays(t *testing.T) {
	b := written(t, Snappy)
	piece := func(s string) []byte { // a piece of one literal
		return append(appendInt(nil, len(s)+2), append([]byte{byte(len(s)), byte(len(s)-1) << 2}, s...)...)
	}
	value := append(appendInt(nil, 6), append(piece("\x06ab"), piece("cde")...)...)
	value = append(value, append(appendInt(nil, 1), piece("f")...)...)
	b = appendInt(appendInt(b, 2+len(value)), 2)
	b = append(append(b, 1, 'k'), value...)
	b = append(appendInt(b, escape), marker[:]...)
	got, err := read(bytes.NewReader(b))
	if err != nil || len(got) != 1 || got[0] != (record{"k", "abcdef"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDamage(t *testing.T) {
	header := len(written(t, None))
	for name, c := range map[string]struct {
		codec   Codec
		damage  func(b []byte) []byte
		records int
		want    string
	}{
		"empty":            {None, func([]byte) []byte { return nil }, 0, "a.seq: ends in its header"},
		"header":           {None, func(b []byte) []byte { return b[:header-1] }, 0, "a.seq: ends in its header"},
		"magic":            {None, func(b []byte) []byte { return append([]byte("PAR1"), b...) }, 0, `a.seq: begins with "PAR", and a Hadoop sequence file with "SEQ"`},
		"version":          {None, func(b []byte) []byte { b[3] = 4; return b }, 0, "is a sequence file of version 4"},
		"class":            {None, func(b []byte) []byte { copy(b[5:], "org.apache.hadoop.io.Long"); return b }, 0, `its keys are of the class "org.apache.hadoop.io.Long"`},
		"by blocks":        {None, func(b []byte) []byte { b[57] = 1; return b }, 0, "is compressed by blocks"},
		"flags":            {None, func(b []byte) []byte { b[56] = 7; return b }, 0, "damaged where compression is said"},
		"codec":            {Deflate, func(b []byte) []byte { copy(b[59:], "com.apache"); return b }, 0, `is compressed by "com.apache.hadoop.io.compress.DefaultCodec"`},
		"metadata":         {None, func(b []byte) []byte { b[58] = 0x80; return b }, 0, "-2147483648 pairs of metadata"},
		"a length's half":  {None, func(b []byte) []byte { return b[:header+2] }, 0, "a.seq: ends in record 0: the file is truncated"},
		"truncated":        {None, func(b []byte) []byte { return b[:len(b)-1] }, 1, "a.seq: ends in record 1: the file is truncated"},
		"key's length":     {None, func(b []byte) []byte { b[header+7] = 100; return b }, 0, "a.seq: record 0: a record of 9 bytes with a key of 100: the file is damaged"},
		"record's length":  {None, func(b []byte) []byte { b[header] = 0x7f; return b }, 0, "record 0: a record of 2130706441 bytes"},
		"key":              {None, func(b []byte) []byte { b[header+8] = 9; return b }, 0, "record 0: its key has a text of 9 bytes where 1 are"},
		"value":            {None, func(b []byte) []byte { b[header+10] = 3; return b }, 0, "record 0: its value has a text of 3 bytes where 6 are"},
		"value's length":   {None, func(b []byte) []byte { b[header+10] = 0xff; return b }, 0, "record 0: its value has a length that is none"},
		"marker":           {None, func(b []byte) []byte { return append(append(b, 255, 255, 255, 255), make([]byte, 16)...) }, 2, "record 2: a sync marker that is not the file's"},
		"half a marker":    {None, func(b []byte) []byte { return append(b, 255, 255, 255, 255, 1, 2) }, 2, "ends in record 2"},
		"deflate":          {Deflate, func(b []byte) []byte { b[len(b)-1]++; return b }, 1, "record 1: its value, compressed by deflate, has zlib: invalid checksum"},
		"snappy's length":  {Snappy, func(b []byte) []byte { b[len(b)-14]++; return b }, 1, "record 1: its value, compressed by snappy, has an early end"},
		"snappy":           {Snappy, func(b []byte) []byte { b[len(b)-9] = 0xff; return b }, 1, "a piece with an impossible length"},
		"snappy too large": {Snappy, func(b []byte) []byte { b[len(b)-17] = 0x7f; return b }, 1, "more than 67108864 bytes when unpacked"},
	} {
		b := c.damage(written(t, c.codec, record{"1", "value1"}, record{"2", "value2"}))
		got, err := read(bytes.NewReader(b))
		if len(got) != c.records || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d records, %v; want %d, %s", name, len(got), err, c.records, c.want)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for _, c := range Codecs {
		if got, err := ParseCodec(string(c)); got != c || err != nil {
			t.Errorf("%s: %s, %v", c, got, err)
		}
	}
	if _, err := ParseCodec("gzip"); err == nil || !strings.Contains(err.Error(), "none, deflate and snappy") {
		t.Errorf("gzip: %v", err)
	}
}

// The corpus is a file by Hadoop's own writer for each codec, and some damaged ones.
func FuzzReader(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.seq")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no files of Hadoop's in testdata", err)
	}
	for _, name := range seeds {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-3])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := read(bytes.NewReader(b))
		if err != nil {
			return
		}
		// What was read without an error is what a file of it has.
		again, err := read(bytes.NewReader(written(t, None, got...)))
		if err != nil || len(again) != len(got) {
			t.Fatalf("%d records became %d: %v", len(got), len(again), err)
		}
		for i := range got {
			if got[i] != again[i] {
				t.Errorf("record %d became another", i)
			}
		}
	})
}

// Hadoop wrote these files: three records, see testdata/README.
func TestHadoopsFiles(t *testing.T) {
	for _, codec := range Codecs {
		f, err := os.Open(filepath.Join("testdata", string(codec)+".seq"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		got, err := read(f)
		if err != nil || len(got) != 3 {
			t.Fatalf("%s: %d records, %v", codec, len(got), err)
		}
		for i, want := range []record{{"1", "\x00\x00\x00\x02\x00\x00\x00\x01ABCDEF"}, {"name\n2", strings.Repeat("weft ", 100)}, {"3", ""}} {
			if got[i] != want {
				t.Errorf("%s: record %d is %q", codec, i, got[i])
			}
		}
	}
}
