package raw

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weft/shuffle/crc32c"
)

func TestServeSendsTheFile(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	path := filepath.Join(t.TempDir(), "block")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, f, len(want)) }()

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2*len(want))
	if _, err := io.ReadFull(conn, got); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if !bytes.Equal(got, append(append([]byte(nil), want...), want...)) {
		t.Error("the stream is not the file, twice")
	}

	r, err := Read(ctx, l.Addr().String(), len(want), 4*len(want), time.Millisecond, true)
	if err != nil {
		t.Fatal(err)
	}
	if r.Blocks < 1 || r.Elapsed < time.Millisecond {
		t.Errorf("measured %+v: want at least one block and one millisecond", r)
	}
	if r.Checksum != crc32c.Update(0, want) {
		t.Errorf("checksum %08x, the file has %08x", r.Checksum, crc32c.Update(0, want))
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve after cancel: %v", err)
	}
}
