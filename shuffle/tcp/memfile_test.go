package tcp_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// memFile is a source of one block, whose memory and whose memory file differ, so that a reader can tell which of them was sent.
type memFile struct {
	mem     []byte
	file    *os.File
	checked bool
}

func (m memFile) App(id string) (shuffle.App, error) { return shuffle.App{ID: id}, nil }

func (memFile) Ask(context.Context, *shuffle.LocateRequest, func([]shuffle.Found)) bool { return false }

func (m memFile) Locate(_ context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	found := make([]shuffle.Found, len(req.Blocks))
	for i := range found {
		found[i] = shuffle.Found{Length: int64(len(m.mem)), Mem: m.mem, MemFile: m.file, MemOffset: 100, Checked: m.checked}
	}
	return found, nil
}

// A block in a memory file is sent from there only while the reader holds it past the read, and where a checksum tells if it was lost meanwhile.
func TestMemoryFileIsSentFromWhileItIsSafe(t *testing.T) {
	const size = 1 << 20
	mem, inFile := bytes.Repeat([]byte{1}, size), bytes.Repeat([]byte{2}, size)
	file, err := os.Create(filepath.Join(t.TempDir(), "memory"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.WriteAt(inFile, 100); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		checked, givenUp, tls bool
		want                  byte
	}{
		"held and checked":     {true, false, false, 2},
		"given up by the read": {true, true, false, 1},
		"without a checksum":   {false, false, false, 1},
		"neither of both":      {false, true, false, 1},
		"under TLS":            {true, false, true, 1}, // which takes a copy
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := listen(t, memFile{mem, file, test.checked}, "tcp", "127.0.0.1")
			by := tcp.New(options(readerID))
			if test.tls {
				by = tcp.NewTLS(options(readerID))
			}
			c := dialBy(t, by, shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: s.Addr().Port(), DaemonID: ownerID})
			defer func() { _ = c.Close() }()
			located := make(chan []shuffle.Located, 1)
			c.Locate(&shuffle.LocateRequest{Blocks: []shuffle.BlockID{transporttest.ID(0)}}, nil, func(l []shuffle.Located, err error) {
				if err != nil {
					t.Error(err)
				}
				located <- l
			})
			l := <-located
			if len(l) != 1 || l[0].Handle == 0 {
				t.Fatalf("located as %+v", l)
			}
			dst, done := make([]byte, size-5), make(chan error, 1)
			read := shuffle.ReadRequest{Dst: dst, Ranges: []shuffle.Range{{Handle: l[0].Handle, Offset: 5, Length: size - 5}}, Done: func(err error) { done <- err }}
			if test.givenUp {
				read.Release = []uint64{l[0].Handle}
			}
			c.Read([]shuffle.ReadRequest{read})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if want := bytes.Repeat([]byte{test.want}, size-5); !bytes.Equal(dst, want) {
				t.Errorf("bytes are %d..., want %d...", dst[0], test.want)
			}
		})
	}
}
