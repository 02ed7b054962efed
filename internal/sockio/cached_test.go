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

func TestReadCached(t *testing.T) {
	path, want := filepath.Join(t.TempDir(), "file"), pattern(200<<10)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(file.Fd())
	if _, err := sockio.ReadCached(fd, make([]byte, 1), 0); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("the file system of the temporary directory has no RWF_NOWAIT")
	}
	for _, part := range []struct{ at, n int }{{0, 1}, {1000, 64 << 10}, {1, 199 << 10}, {len(want) - 1, 1}} { // directly, and not
		got := make([]byte, part.n)
		if n, err := sockio.ReadCached(fd, got, int64(part.at)); n != part.n || err != nil || !bytes.Equal(got, want[part.at:part.at+part.n]) {
			t.Errorf("%d bytes at %d: %d, %v, or others", part.n, part.at, n, err)
		}
	}
	if n, err := sockio.ReadCached(fd, make([]byte, 10), int64(len(want)-4)); n != 4 || err != nil {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
	var stat unix.Statx_t
	if err := sockio.StatCached(fd, unix.STATX_SIZE|unix.STATX_NLINK, &stat); err != nil || stat.Size != uint64(len(want)) || stat.Nlink != 1 {
		t.Errorf("%+v, %v", stat, err)
	}
	file.Close()
	if err := sockio.StatCached(fd, unix.STATX_SIZE, &stat); !errors.Is(err, unix.EBADF) {
		t.Errorf("closed: %v", err)
	}
	if n, err := sockio.ReadCached(fd, make([]byte, 10), 0); n > 0 || !errors.Is(err, unix.EBADF) {
		t.Errorf("closed: %d, %v", n, err)
	}
}
