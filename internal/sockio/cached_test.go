package sockio_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"weft/internal/sockio"
)

// cachedFile is a file of these bytes, on a file system that can tell what it has in memory if the directory for temporary files or that of the sources is on
// one (those of disks can; tmpfs and overlayfs cannot, up to Linux 6.18).
func cachedFile(t *testing.T, content []byte) (file *os.File, tells bool) {
	t.Helper()
	for _, parent := range []string{"", "."} {
		dir, err := os.MkdirTemp(parent, "cached-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if file, err = os.Open(path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		if _, err := unix.Preadv2(int(file.Fd()), [][]byte{make([]byte, 1)}, 0, unix.RWF_NOWAIT); err == nil {
			return file, true
		}
	}
	return file, false
}

func TestReadCached(t *testing.T) {
	want := pattern(200 << 10)
	file, tells := cachedFile(t, want)
	fd := int(file.Fd())
	if !tells {
		if n, err := sockio.ReadCached(fd, make([]byte, 1), 0); n > 0 || err == nil {
			t.Fatalf("a file system that cannot tell gave %d bytes, %v", n, err)
		}
		return
	}
	for _, part := range []struct{ at, n int }{{0, 1}, {1000, 128 << 10}, {1, 199 << 10}, {len(want) - 1, 1}} { // directly, and not
		got := make([]byte, part.n)
		if n, err := sockio.ReadCached(fd, got, int64(part.at)); n != part.n || err != nil || !bytes.Equal(got, want[part.at:part.at+part.n]) {
			t.Errorf("%d bytes at %d: %d, %v, or others", part.n, part.at, n, err)
		}
	}
	if n, err := sockio.ReadCached(fd, make([]byte, 10), int64(len(want)-4)); n != 4 || err != nil {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
	file.Close()
	if n, err := sockio.ReadCached(fd, make([]byte, 10), 0); n > 0 || !errors.Is(err, unix.EBADF) {
		t.Errorf("closed: %d, %v", n, err)
	}
}

// A file whose pages were dropped is not read from the disk.
func TestReadCachedDoesNotWait(t *testing.T) {
	want := pattern(64 << 10)
	file, _ := cachedFile(t, want)
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	for range 100 { // somebody else may read it
		if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if n, err := sockio.ReadCached(int(file.Fd()), got, 0); err != nil || n < len(want) {
			return
		}
		if !bytes.Equal(got, want) {
			t.Fatal("other bytes")
		}
	}
	t.Error("all of it was there, 100 times")
}

func TestStatCached(t *testing.T) {
	want := pattern(1000)
	file, _ := cachedFile(t, want)
	fd := int(file.Fd())
	var stat unix.Statx_t
	if err := sockio.StatCached(fd, unix.STATX_SIZE|unix.STATX_NLINK, &stat); err != nil || stat.Size != uint64(len(want)) || stat.Nlink != 1 {
		t.Errorf("%+v, %v", stat, err)
	}
	file.Close()
	if err := sockio.StatCached(fd, unix.STATX_SIZE, &stat); !errors.Is(err, unix.EBADF) {
		t.Errorf("closed: %v", err)
	}
}
