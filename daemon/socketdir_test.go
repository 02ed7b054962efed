package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/internal/leakcheck"
)

func TestSocketDirIsMadePrivate(t *testing.T) {
	leakcheck.Check(t)
	path := filepath.Join(t.TempDir(), "weft")
	if err := CheckSocketDir(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	d, err := openSocketDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := CheckSocketDir(path); err != nil {
		t.Error(err)
	}
}

func TestSocketDirOthersCanUseIsRefused(t *testing.T) {
	leakcheck.Check(t)
	for mode, good := range map[fs.FileMode]bool{0o700: true, 0o750: true, 0o770: false, 0o701: false, 0o755: false, 0o777: false} {
		path := filepath.Join(t.TempDir(), "weft")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		d, err := openSocketDir(path)
		if err == nil {
			d.close()
		}
		if good != (err == nil) || (err != nil && !strings.Contains(err.Error(), "chmod 0700")) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestSocketDirMustBeADirectoryOfThisUser(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := openSocketDir(link); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("symbolic link: %v", err)
	}
	if os.Geteuid() == 0 {
		foreign := filepath.Join(dir, "foreign")
		if err := errors.Join(os.Mkdir(foreign, 0o700), os.Chown(foreign, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		if _, err := openSocketDir(foreign); err == nil || !strings.Contains(err.Error(), "belongs to uid 65534") {
			t.Errorf("another user's: %v", err)
		}
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	leakcheck.Check(t)
	path := filepath.Join(t.TempDir(), "weft")
	first, err := openSocketDir(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = openSocketDir(path)
	if !errors.Is(err, ErrAlreadyRunning) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("second: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	third, err := openSocketDir(path)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	third.close()
}

func TestStaleSocketIsReplacedAndNothingElse(t *testing.T) {
	leakcheck.Check(t)
	d, err := openSocketDir(filepath.Join(t.TempDir(), "weft"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	stale, err := d.listenUnix("s", false)
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()

	l, err := d.listenUnix("s", false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", filepath.Join(d.path, "s"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()

	file := filepath.Join(d.path, "precious")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := d.listenUnix("precious", false); err == nil {
		l.Close()
		t.Error("a file was replaced")
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "data" {
		t.Errorf("the file holds %q, %v", content, err)
	}
}

// In a directory open to its group the bridge is, and the admin socket is not.
func TestSocketsOfASharedDirectory(t *testing.T) {
	leakcheck.Check(t)
	path := filepath.Join(t.TempDir(), "weft")
	if err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o750)); err != nil {
		t.Fatal(err)
	}
	d, err := openSocketDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for shared, want := range map[bool]fs.FileMode{true: 0o660, false: 0o600} {
		name := fmt.Sprint(shared)
		l, err := d.listenUnix(name, shared)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("shared %v: %v, %v", shared, info.Mode(), err)
		}
	}
}
